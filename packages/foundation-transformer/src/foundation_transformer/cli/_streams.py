"""Standard input, output and error of the command, whatever they are connected to.

Any of the three may be closed, a reader may leave, a terminal may know few characters, and what a
file holds may be commands for the terminal. None of that may end in a traceback, and none of it
may cost a run what it has learnt.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from foundation_nn.distributed import launch

#: What stands for our own signs where a terminal does not know them.
_PLAIN = {"→": "->", "…": "...", "≠": "!=", "×": "x", "–": "-", "·": "*", "²": "^2"}
#: Control characters but for the line end and the tab. They would steer a terminal, or, as those
#: that turn the direction of writing, show a text in another order than it has.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""A text in which control characters stand as ``\x1b``, so that they cannot act.

    >>> printable("a \x1b[31mred\x1b[0m word")
    'a \\x1b[31mred\\x1b[0m word'
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def in_one_line(text: str) -> str:
    r"""A name in which nothing acts, line ends and tabs neither.

    >>> in_one_line("a\nb")
    'a\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    """For :func:`codecs.register_error`: a replacement for what an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    replaced = [_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in unknown]
    return "".join(replaced), error.end


codecs.register_error("foundation-plain", _in_plain_characters)


class Output:
    """A stream to print to: standard output or standard error.

    Characters that its encoding lacks are replaced, never an error. On a terminal, control
    characters are shown instead of obeyed.

    Parameters
    ----------
    stream : text stream or None
        None if it was closed before the command began.
    name : str
        For messages.
    needed : bool
        Whether what is printed is the purpose of the command. If not, a command goes on in silence
        when nobody can read it any longer, and each line is delivered at once.
    obeyed : bool
        Whether control characters shall act nevertheless.
    """

    def __init__(
        self, stream: TextIO | None, name: str, needed: bool, obeyed: bool = False
    ) -> None:
        self.stream = stream
        self.name = name
        self.needed = needed
        self.obeyed = obeyed

    def write(self, text: str) -> int:
        """Print; if that is impossible, be silent from now on or raise ``OSError``."""
        shown = printable(text) if self.isatty() and not self.obeyed else text
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        shown = shown.encode(encoding, "foundation-plain").decode(encoding)
        with self._until_unreadable():
            if self.stream is not None:
                self.stream.write(shown)
                if not self.needed and "\n" in text:
                    self.stream.flush()
            elif self.needed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return len(text)

    def flush(self) -> None:
        """Deliver what was printed."""
        with self._until_unreadable():
            if self.stream is not None:
                self.stream.flush()

    def isatty(self) -> bool:
        """Whether somebody sits in front of it, perhaps behind a command that started this one."""
        if self.name == "standard error" and launch.on_terminal():
            return self.stream is not None
        return self.stream is not None and self.stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextmanager
    def _until_unreadable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and "closed file" not in str(error):
                raise
            if self.stream is not None:
                _drop(self.stream)
            self.stream = None
            if not self.needed:
                return
            if isinstance(error, BrokenPipeError):
                raise
            number = getattr(error, "errno", None) or errno.EBADF
            raise OSError(number, os.strerror(number), self.name) from None


def obeying(stream: TextIO) -> TextIO:
    """The same stream for colours and progress bars, whose control characters are our own."""
    if not isinstance(stream, Output):
        return stream
    return cast(TextIO, Output(stream.stream, stream.name, stream.needed, obeyed=True))


def _drop(stream: TextIO) -> None:
    """Let what is still in its buffer go nowhere, also when the interpreter ends."""
    with suppress(OSError, ValueError):  # it has no descriptor, or is closed already
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def safe_streams() -> Iterator[Output]:
    """Within, ``sys.stdout`` and ``sys.stderr`` are :class:`Output`; gives the former."""
    if os.name == "posix":
        _fill_closed_descriptors()
    before = sys.stdout, sys.stderr
    output = Output(sys.stdout, "standard output", needed=True)
    sys.stdout = cast(TextIO, output)
    sys.stderr = cast(TextIO, Output(sys.stderr, "standard error", needed=False))
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before


def _fill_closed_descriptors() -> None:
    """Open nothing in place of what is closed, or the next file would take its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def standard_input() -> TextIO:
    """Standard input as UTF-8, its line ends as they are; a line ends with LF.

    Raises
    ------
    OSError
        If it is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise OSError("standard input is closed; give the text as an argument, or a file after <")
    if isinstance(sys.stdin, io.TextIOWrapper):
        # Some locales let broken bytes pass, and a CR within a line would end it, so that all
        # later lines had the wrong translations beside them.
        sys.stdin.reconfigure(encoding="utf-8", errors="strict", newline="\n")
    return sys.stdin


def read_standard_input(max_characters: int | None = None) -> str:
    """All of it, line ends as they are.

    Raises
    ------
    OSError, ValueError
        If it is closed, no UTF-8, or longer than that.
    """
    try:
        text = standard_input().read(-1 if max_characters is None else max_characters + 1)
    except UnicodeDecodeError:
        raise ValueError("standard input: not UTF-8; convert it first, e.g. with iconv") from None
    if max_characters is not None and len(text) > max_characters:
        raise ValueError(
            f"standard input: has more than {max_characters:,} characters; if it is meant to be so "
            "large, raise --max-bytes"
        )
    return text


def is_typed() -> bool:
    """Whether somebody types the input."""
    return standard_input().isatty()
