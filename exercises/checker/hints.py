"""What a learner can be told: that a gap is still open, or what to look at."""

from __future__ import annotations

import textwrap
import traceback
from pathlib import Path

__all__ = ["Gap", "Hint", "describe_error", "frames_in"]

WIDTH = 92


class Hint(Exception):
    """The work is not right yet.

    Parameters
    ----------
    title : str
        What was tried.
    look_at : str
        The sentence that leads on.
    expected, came : str, optional
        Both as they are printed.
    """

    def __init__(
        self, title: str, look_at: str, expected: str | None = None, came: str | None = None
    ) -> None:
        super().__init__(title)
        self.title = title
        self.look_at = look_at
        self.expected = expected
        self.came = came

    def lines(self) -> list[str]:
        """As it is printed: a line for what was tried, and beneath it what there is to know."""
        first, *rest = textwrap.wrap(self.title, WIDTH - 2)
        said = [f"✗ {first}", *(f"  {line}" for line in rest)]
        for label, text in (
            ("expected", self.expected),
            ("came", self.came),
            ("look at", self.look_at),
        ):
            if text is not None:
                first, *rest = _in_lines(text)
                said.append(f"    {label:10}{first}")
                said += [f"{'':14}{line}" for line in rest]
        return said


def _in_lines(text: str) -> list[str]:
    """The lines of a text, of which none is longer than the width; at least one."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH - 14) or [""]]
    return lines or [""]


class Gap(Exception):
    """A gap that nobody has filled yet. It is no mistake; it is where to go on."""

    def __init__(self, turn: str, line: int) -> None:
        super().__init__(turn)
        self.line = line


def frames_in(file: Path, error: BaseException) -> list[traceback.FrameSummary]:
    """The places in a file through which an exception has come, the deepest last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if Path(frame.filename) == file]


def describe_error(error: BaseException, file: Path, doing: str) -> Hint | Gap:
    """An exception that came out of a learner's file, as something to read.

    The line is the deepest one of the learner's own: where a library refuses an argument, the
    call is shown, not the inside of the library.
    """
    here = frames_in(file, error)
    line = here[-1].lineno or 0 if here else 0
    text = str(error).strip() or "no message"
    if isinstance(error, NotImplementedError) and text.startswith("your turn"):
        return Gap(text, line)
    if isinstance(error, SyntaxError):
        shown = (error.text or "").strip()
        return Hint(
            f"Python cannot read {file.name}",
            "The fault is in that line or at the end of the one above it: a bracket or a colon "
            "that is missing, or an indentation that does not fit.",
            came=f"line {error.lineno}: {error.msg}\n{shown}",
        )
    if not here:
        return Hint(
            doing,
            "The check could not use what your function returned. Compare its type and shape with "
            "those at the top of the file.",
            came=f"{type(error).__name__}: {text}",
        )
    return Hint(
        doing,
        f"Line {line} of {file.name} raised it:  {here[-1].line}",
        came=f"{type(error).__name__}: {text}",
    )
