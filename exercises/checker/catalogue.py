"""Which exercises there are, and what a number on the command line means."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Exercise", "choose", "find_exercises"]

FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Exercise:
    """One gap or a few, such as ``3_attention/2_scaled_attention.py``.

    Parameters
    ----------
    chapter, number : int
        3 and 2.
    name : str
        ``scaled_attention``, which is the name of its check, too.
    title : str
        The first line of the file.
    file : Path
        What the learner edits.
    """

    chapter: int
    number: int
    name: str
    title: str
    file: Path

    @property
    def label(self) -> str:
        return f"{self.chapter}.{self.number}"


def find_exercises(folder: Path = FOLDER, solutions: bool = False) -> list[Exercise]:
    """All exercises in their order.

    Titles are read from the solutions, which Python can read whatever a learner has typed.

    Parameters
    ----------
    folder : Path
        With the chapters in it.
    solutions : bool
        Whether ``file`` is to be the reference solution.
    """
    found = []
    for solution in FOLDER.glob("solutions/*/*.py"):
        chapter, _, room = solution.parent.name.partition("_")
        number, _, name = solution.stem.partition("_")
        described = ast.get_docstring(ast.parse(solution.read_text("utf-8"))) or ""
        first = described.splitlines()[0]
        title = re.sub(r"^[\d.]+ ", "", first).rstrip(".")
        file = solution if solutions else folder / f"{chapter}_{room}" / solution.name
        found.append(Exercise(int(chapter), int(number), name, title, file))
    return sorted(found, key=lambda exercise: (exercise.chapter, exercise.number))


def choose(exercises: list[Exercise], wanted: Iterable[str]) -> list[Exercise]:
    """Those that the words on the command line mean: ``3`` a chapter, ``3.2`` an exercise.

    Raises
    ------
    ValueError
        If a word means none of them.
    """
    chosen: list[Exercise] = []
    for word in wanted:
        matching = [e for e in exercises if word in (str(e.chapter), e.label)]
        if not matching:
            chapters = sorted({e.chapter for e in exercises})
            of_chapter = [e.label for e in exercises if word.startswith(f"{e.chapter}.")]
            raise ValueError(
                f"there is no exercise {word}; "
                + (
                    f"this chapter has {', '.join(of_chapter)}"
                    if of_chapter
                    else f"name a chapter, {chapters[0]} to {chapters[-1]}, or one exercise, "
                    f"such as {exercises[0].label}"
                )
            )
        chosen += [e for e in matching if e not in chosen]
    return chosen or exercises
