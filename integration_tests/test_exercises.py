"""Exercises fail while they are empty, pass when solved, and know their typical mistakes."""

import ast
import dataclasses
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "exercises"
sys.path.insert(0, str(FOLDER))  # as when check.py is started from there

from checker.catalogue import choose, find_exercises  # noqa: E402
from checker.hints import Gap, Hint  # noqa: E402
from checker.report import check, print_report  # noqa: E402
from exercise_mistakes import MISTAKES  # noqa: E402

EXERCISES = {exercise.label: exercise for exercise in find_exercises()}
SOLUTIONS = {exercise.label: exercise for exercise in find_exercises(solutions=True)}


@functools.cache
def changed():
    """Names of the files in the folder that differ from what git knows; empty without git."""
    asked = ["git", "-C", str(FOLDER), "status", "--porcelain", "."]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return frozenset()
    return frozenset(line[3:].strip() for line in said.splitlines())


def in_work(label):
    """Whether somebody who learns here has changed the exercise."""
    return EXERCISES[label].file.relative_to(ROOT).as_posix() in changed()


def run(*arguments, cwd=ROOT):
    command = [sys.executable, str(FOLDER / "check.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd)


@pytest.mark.parametrize("label", EXERCISES)
def test_an_exercise_that_nobody_has_worked_on_is_an_open_gap(label):
    if in_work(label):
        pytest.skip("somebody is working on this exercise")
    result = check(EXERCISES[label])
    assert isinstance(result.problem, Gap), result.lines()
    assert result.mark == "·"
    line = EXERCISES[label].file.read_text("utf-8").splitlines()[result.problem.line - 1]
    assert "raise NotImplementedError(" in line


@pytest.mark.parametrize("label", SOLUTIONS)
def test_the_reference_solution_passes(label):
    result = check(SOLUTIONS[label])
    assert result.solved, "\n".join(result.lines())
    assert len(result.passed) >= 2


@pytest.mark.parametrize("label", EXERCISES)
def test_an_exercise_and_its_solution_differ_in_the_gaps_alone(label):
    if in_work(label):
        pytest.skip("somebody is working on this exercise")
    exercise = EXERCISES[label].file.read_text("utf-8")
    solution = SOLUTIONS[label].file.read_text("utf-8")
    assert outline(exercise) == outline(solution)
    assert ast.get_docstring(ast.parse(exercise)).startswith(f"{label} ")
    chapter, *rest = ast.get_docstring(ast.parse(exercise)).split("\n\n")[1:]
    assert chapter.startswith(f"Chapter {label.partition('.')[0]}, ")
    assert "?" in rest[0]
    assert any(paragraph.startswith("Write ") for paragraph in rest)


def outline(source):
    """A module's text without what stands in functions, but with all that describes them."""
    tree = ast.parse(source)
    described = [ast.get_docstring(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            described += [node.name, ast.get_docstring(node)]
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            described.append(ast.unparse(node.args))
    return described


def test_every_chapter_has_three_to_six_exercises_and_each_a_typical_mistake():
    for chapter in map(str, range(1, 13)):
        assert 3 <= len(choose(list(EXERCISES.values()), [chapter])) <= 6
    assert {label for label, *_ in MISTAKES} == set(EXERCISES)


@pytest.mark.parametrize(
    ("label", "right", "wrong", "hint"), MISTAKES, ids=[f"{m[0]}-{m[3]}" for m in MISTAKES]
)
def test_a_typical_mistake_is_met_with_its_hint(label, right, wrong, hint, tmp_path):
    source = SOLUTIONS[label].file.read_text("utf-8")
    before, found, after = source.rpartition(right)
    assert found, f"the solution of {label} does not have {right!r}"
    copy = tmp_path / SOLUTIONS[label].file.name
    copy.write_text(before + wrong + after, "utf-8")
    result = check(dataclasses.replace(SOLUTIONS[label], file=copy))
    said = "\n".join(result.lines())
    assert isinstance(result.problem, Hint), said
    assert hint in " ".join(said.split())
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("return 1 +", "Python cannot read"),
        ("pass", "Nothing came back. Does neuron end with a return?"),
        ("...", "Nothing came back"),
        ("return weight @ x", "NameError: name 'weight' is not defined"),
        ("return w.reshape(7)", "Line 2 of 1_neuron.py raised it: return w.reshape(7)"),
        ("x += 1; return w @ x", "Argument 1 was changed by neuron"),
        ("return [1, [2, 3]]", "expected -0.3799 came [1, [2, 3]]"),
        ("return {}", "expected -0.3799 came {}"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import numpy as np; return np.zeros(2)", "came shape (2,)"),
    ],
)
def test_what_cannot_be_run_is_met_with_a_hint(body, hint, tmp_path):
    copy = tmp_path / "1_neuron.py"
    copy.write_text(f"def neuron(x, w, b):\n    {body}\n", "utf-8")
    result = check(dataclasses.replace(EXERCISES["1.1"], file=copy))
    assert isinstance(result.problem, Hint)
    assert hint in " ".join(" ".join(result.lines()).split())


@pytest.mark.parametrize("odd", ["0", "[]", "'text'", "{}", "(1, None)", "[None] * 3", "print"])
@pytest.mark.parametrize("label", EXERCISES)
def test_whatever_is_returned_is_met_with_a_hint(label, odd, tmp_path):
    """Also results of a type that no check expects; nothing is raised."""
    tree = ast.parse(EXERCISES[label].file.read_text("utf-8"))
    copy = tmp_path / EXERCISES[label].file.name
    copy.write_text(ast.unparse(FillGaps(odd).visit(tree)), "utf-8")
    problem = check(dataclasses.replace(EXERCISES[label], file=copy)).problem
    assert isinstance(problem, Hint)
    assert problem.lines()


class FillGaps(ast.NodeTransformer):
    """Put a return of something in the place of every gap."""

    def __init__(self, value):
        self.value = value

    def visit_Raise(self, _node):
        return ast.parse(f"return {self.value}").body[0]


def test_a_function_that_was_renamed_and_a_file_that_is_gone(tmp_path):
    copy = tmp_path / "1_neuron.py"
    result = check(dataclasses.replace(EXERCISES["1.1"], file=copy))
    assert any("The file is not there" in line for line in result.lines())
    copy.write_text("def neurone(x, w, b):\n    return 0\n", "utf-8")
    result = check(dataclasses.replace(EXERCISES["1.1"], file=copy))
    assert "looking for neuron in 1_neuron.py" in result.lines()[1]


def test_the_command_marks_counts_and_says_where_to_go_on(tmp_path):
    done = run("1", "3.1", "--solutions", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓") == 6
    assert done.stdout.endswith("All 6 are solved. Well done!\n")

    if not in_work("3.1"):
        begun = run("3.1")
        assert begun.returncode == 1
        assert "· 3.1  " in begun.stdout
        assert "0 of 1 solved. Go on with exercises" in begun.stdout
        assert begun.stderr == ""

    overview = run()
    assert overview.returncode == 1
    for label, exercise in EXERCISES.items():
        assert f"{label}  {exercise.title}" in overview.stdout
    if not changed():
        assert "your turn" not in overview.stdout

    unknown = run("1.9")
    assert unknown.returncode == 2
    assert "there is no exercise 1.9; this chapter has 1.1, 1.2" in unknown.stderr


def test_ctrl_c_says_which_line_was_running(tmp_path, capsys):
    copy = tmp_path / "1_neuron.py"
    copy.write_text("def neuron(x, w, b):\n    raise KeyboardInterrupt  # in a loop\n", "utf-8")
    assert print_report([dataclasses.replace(EXERCISES["1.1"], file=copy)]) == 130
    said = capsys.readouterr().out
    assert "You stopped the check of 1.1, which was at line 2 of 1_neuron.py:  raise Key" in said


def test_the_guide_names_every_folder_and_links_to_its_chapter():
    guide = (FOLDER / "README.md").read_text("utf-8")
    for folder in {exercise.file.parent.name for exercise in EXERCISES.values()}:
        link = re.search(rf"\| `{folder}` \| \[[^]]+\]\((\S+)\) \|", guide)
        assert link is not None, folder
        assert (FOLDER / link[1]).exists()


def test_without_the_packages_the_command_says_what_to_do():
    command = [sys.executable, "-S", "-E", str(FOLDER / "check.py")]  # no installed packages
    told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT)
    assert told.returncode == 1
    assert "python3 noxfile.py -s exercises" in told.stderr
    assert "Traceback" not in told.stderr
