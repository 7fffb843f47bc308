"""Running the checks, and what is printed about them."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path

from checker.catalogue import Exercise
from checker.hints import Gap, Hint, frames_in
from checker.steps import Steps
from checker.work import Work, learners_code

__all__ = ["Result", "check", "print_report"]

CHAPTERS = {
    1: "Networks and backpropagation",
    2: "Recurrent networks",
    3: "Attention",
    4: "The transformer layer",
    5: "Encoder and decoder",
    6: "Data",
    7: "Training",
    8: "Language models and writing",
    9: "Published models",
    10: "Teaching a model something new",
    11: "Other things to learn than the next token",
    12: "How good is it?",
}


@dataclass(frozen=True)
class Result:
    """How far an exercise is.

    Parameters
    ----------
    exercise : Exercise
        Which one.
    passed : list of str
        The steps that are right.
    problem : Hint, Gap or None
        What keeps it from being solved.
    """

    exercise: Exercise
    passed: list[str]
    problem: Hint | Gap | None

    @property
    def solved(self) -> bool:
        return self.problem is None

    @property
    def mark(self) -> str:
        """``✓`` solved, ``·`` a gap is open, ``✗`` something is not right yet."""
        if self.problem is None:
            return "✓"
        return "·" if isinstance(self.problem, Gap) else "✗"

    def lines(self, overview: bool = False) -> list[str]:
        """The exercise, what it has passed so far if that is not all, and how to go on.

        An overview of several chapters names exercises that nobody has begun, and no more.
        """
        said = [f"{self.mark} {self.exercise.label}  {self.exercise.title}"]
        untouched = isinstance(self.problem, Gap) and not self.passed
        if self.problem is None or (overview and untouched):
            return said
        said += [f"      ✓ {title}" for title in self.passed]
        place = shown_path(self.exercise.file)
        if isinstance(self.problem, Gap):
            return [*said, f"      {self.problem}", f"      {place}, line {self.problem.line}"]
        return [*said, *(f"      {line}" for line in self.problem.lines()), f"      {place}"]


def check(exercise: Exercise) -> Result:
    """Run one exercise through its check."""
    steps = Steps()
    checks = importlib.import_module(f"checks.chapter_{exercise.chapter}")
    try:
        if not exercise.file.exists():
            raise Hint(
                f"opening {shown_path(exercise.file)}",
                "The file is not there. `git checkout` of its path brings it back.",
            )
        with learners_code(exercise.file, f"using what {exercise.file.name} defines"):
            getattr(checks, exercise.name)(Work(exercise.file), steps)
    except (Hint, Gap) as problem:
        return Result(exercise, steps.passed, problem)
    return Result(exercise, steps.passed, None)


def print_report(exercises: list[Exercise]) -> int:
    """Check, print as it goes, and return the exit code: 0 if all are solved."""
    results = []
    chapter = None
    overview = len({exercise.chapter for exercise in exercises}) > 1
    for exercise in exercises:
        if exercise.chapter != chapter:
            chapter = exercise.chapter
            print(f"\n{chapter} {CHAPTERS[chapter]}\n")
        try:
            result = check(exercise)
        except KeyboardInterrupt as stopped:
            print(f"\nYou stopped the check of {exercise.label}{where(exercise, stopped)}")
            return 130
        results.append(result)
        print("\n".join(result.lines(overview)), flush=True)
    print(f"\n{verdict(results)}")
    return 0 if all(result.solved for result in results) else 1


def where(exercise: Exercise, stopped: KeyboardInterrupt) -> str:
    """At which line of the learner's file Ctrl-C met it."""
    here = frames_in(exercise.file, stopped)
    if not here:
        return "."
    line = f"line {here[-1].lineno} of {exercise.file.name}"
    return f", which was at {line}:  {here[-1].line}\nDoes that loop end?"


def verdict(results: list[Result]) -> str:
    """The last line: how many are solved, and where to go on."""
    solved = sum(result.solved for result in results)
    if solved == len(results):
        return "Solved." if solved == 1 else f"All {solved} are solved. Well done!"
    following = next(result.exercise for result in results if not result.solved)
    return f"{solved} of {len(results)} solved. Go on with {shown_path(following.file)}"


def shown_path(file: Path) -> str:
    """From where the learner stands, if that is shorter."""
    try:
        relative = os.path.relpath(file)
    except ValueError:  # another drive, on Windows
        return str(file)
    return min(relative, str(file), key=len)
