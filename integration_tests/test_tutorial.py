"""The scripts in ``tutorial/``, written as a user would: they run, and mypy strict likes them."""

import re
import runpy
import tempfile
from pathlib import Path

import numpy as np
import pytest

TUTORIAL = Path(__file__).parent / "tutorial"
SCRIPTS = sorted(TUTORIAL.glob("*.py"))


def test_mypy_strict_has_nothing_to_say():
    api = pytest.importorskip("mypy.api", reason="mypy is not installed; nox -s typecheck has it")
    settings = TUTORIAL.parent.parent / "pyproject.toml"
    report, errors, status = api.run(["--config-file", str(settings), *map(str, SCRIPTS)])
    assert not status, report + errors


def test_all_calls_that_are_typed_work():
    runpy.run_path(str(TUTORIAL / "typed_calls.py"), run_name="__main__")


def test_one_thing_of_each_kind_can_be_written_by_a_user(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    runpy.run_path(str(TUTORIAL / "extending.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "counted: 14 resumed to the same bits: True" in said
    assert "pieces: ['ba', 'na', 'na']" in said
    assert "the same tokenizer: True" in said
    assert "the model alone: (1, 5)" in said
    moved = re.search(r"moved by 0.5: \[\[(.*), (.*)\]\]", said).groups()
    # The gradient of w² points along w = (3, 4), whose norm is 5.
    np.testing.assert_allclose([float(n) for n in moved], [2.7, 3.6], rtol=1e-6)


def test_the_script_learns_what_it_says(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    names = runpy.run_path(str(TUTORIAL / "user_script.py"), run_name="__main__")
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    slope = 2 * np.ones((2, 2)) @ x - np.exp(-x) / 4  # of the sum of x xᵀ and the mean of e⁻ˣ
    np.testing.assert_allclose(names["x"].grad, slope, rtol=1e-6)
    said = capsys.readouterr().out
    accuracy, loss = map(float, re.search(r"accuracy: (.*), loss: (.*)", said).groups())
    assert accuracy > 0.9  # of guessing, a third
    assert loss < 0.3
    assert float(re.search("the best one: (.*)", said)[1]) < 0.05
    assert f"learns: {3 * 32 + 3} of {2 * 32 + 32 + 32 * 32 + 32 + 3 * 32 + 3}" in said
    assert "pictures: ['history.png', 'rings.png']" in said
    assert "the same: True" in said
    assert "3 4 5, and on: [6, 7, 8, 9, 0]" in said
