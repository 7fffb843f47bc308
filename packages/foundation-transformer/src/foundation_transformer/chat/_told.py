"""Strings of which each character knows who wrote it: the template, or a message.

A chat template puts the texts of messages between tokens that steer the model, and the whole
becomes one string. If such a token stands in a message, it must remain text. Once the string is
made, nobody could tell the two apart. So a message's text is given to the template as
:class:`Told`, and every way in which a template makes strings of strings keeps the difference:

>>> line = concat(["<|user|>", Told("Hi <|user|>").strip(), "<|end|>"])
>>> pieces_of(line)
[('<|user|>', True), ('Hi <|user|>', False), ('<|end|>', True)]

A plain ``str`` is the template's. What is made of a message in a way that is not followed here,
such as a number formatted into a string, is the message's altogether.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, SupportsIndex

_TEMPLATE, _MESSAGE = b"\0", b"\1"
#: A second bit of a mark: a template says that the model wrote this, by ``{% generation %}``.
_GENERATED = 2


class Told(str):
    """A string with a mark for each of its characters: 1 if a message says it, else 0.

    2 is added to the mark of what stands between ``{% generation %}`` and ``{% endgeneration %}``.

    Parameters
    ----------
    text : str
    marks : bytes, optional
        As long as the text; all of it is a message's by default.
    """

    __slots__ = ("marks",)
    marks: bytes

    def __new__(cls, text: str = "", marks: bytes | None = None) -> Told:
        told = super().__new__(cls, text)
        told.marks = _MESSAGE * len(text) if marks is None else marks
        return told

    def __str__(self) -> str:
        return self

    # --- parts

    def __getitem__(self, key: SupportsIndex | slice) -> Told:
        text = super().__getitem__(key)
        if not isinstance(key, slice):
            start = range(len(self))[key]
            key = slice(start, start + 1)
        return Told(text, self.marks[key])

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def lstrip(self, chars: str | None = None, /) -> Told:
        """Without the white space on the left, or those characters."""
        return self[len(self) - len(super().lstrip(chars)) :]

    def rstrip(self, chars: str | None = None, /) -> Told:
        """Without the white space on the right, or those characters."""
        return self[: len(super().rstrip(chars))]

    def strip(self, chars: str | None = None, /) -> Told:
        """Without the white space at both ends, or those characters."""
        return self.lstrip(chars).rstrip(chars)

    def removeprefix(self, prefix: str, /) -> Told:
        """Without this beginning."""
        return self[len(prefix) :] if self.startswith(prefix) else self[:]

    def removesuffix(self, suffix: str, /) -> Told:
        """Without this end."""
        return self[: len(self) - len(suffix)] if self.endswith(suffix) else self[:]

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        """What stands before the first separator, the separator, and what stands after it."""
        before, found, after = self._cut(super().partition(sep))
        return before, found, after

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        """The same for the last separator."""
        before, found, after = self._cut(super().rpartition(sep))
        return before, found, after

    def splitlines(self, keepends: bool = False) -> list[str]:
        """The lines."""
        lines = self._cut(super().splitlines(keepends=True))
        if keepends:
            return list(lines)
        bare = super().splitlines()
        return [line[: len(text)] for line, text in zip(lines, bare, strict=True)]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """The parts between separators, or between white space."""
        return self._apart(super().split(sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """The same, from the right if there are more than ``maxsplit``."""
        return self._apart(super().rsplit(sep, maxsplit), sep)

    def _cut(self, parts: Iterable[str]) -> list[Told]:
        """The marked parts that make up the whole text."""
        cut: list[Told] = []
        start = 0
        for part in parts:
            cut.append(self[start : start + len(part)])
            start += len(part)
        return cut

    def _apart(self, parts: Iterable[str], sep: str | None) -> list[str]:
        """The marked parts between which a separator, or white space, was left out."""
        apart: list[str] = []
        start = 0
        for part in parts:
            if sep is None:
                start = self.index(part, start)
            apart.append(self[start : start + len(part)])
            start += len(part) + len(sep or "")
        return apart

    # --- wholes

    def __add__(self, other: Any, /) -> str:
        return concat([self, other]) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any, /) -> str:
        return concat([other, self]) if isinstance(other, str) else NotImplemented

    def __mul__(self, count: SupportsIndex, /) -> Told:
        text = super().__mul__(count)
        return Told(text, self.marks * count)

    __rmul__ = __mul__

    def join(self, parts: Iterable[str], /) -> str:
        """The parts with this text between them."""
        between: list[str] = []
        for part in parts:
            between += [self, part] if between else [part]
        return concat(between)

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        """The text with something else for each ``old``, at most ``count`` times."""
        if not old:
            return Told(super().replace(old, new, count))
        return concat(_between(self.split(old, count), new))

    # --- letters: as many as before, in all but a few languages

    def upper(self) -> Told:
        """In capital letters."""
        return self._same_letters(super().upper())

    def lower(self) -> Told:
        """In small letters."""
        return self._same_letters(super().lower())

    def title(self) -> Told:
        """Each word with a capital letter."""
        return self._same_letters(super().title())

    def capitalize(self) -> Told:
        """With a capital letter."""
        return self._same_letters(super().capitalize())

    def _same_letters(self, text: str) -> Told:
        return Told(text, self.marks if len(text) == len(self) else None)


def _between(parts: list[str], new: str) -> Iterator[str]:
    for i, part in enumerate(parts):
        if i:
            yield new
        yield part


def concat(parts: Iterable[Any]) -> str:
    """One string of several; of anything that is no string, its text."""
    texts = [part if isinstance(part, str) else told(part, part) for part in parts]
    whole = str.join("", texts)
    if not any(isinstance(text, Told) for text in texts):
        return whole
    return Told(whole, b"".join(map(marks_of, texts)))


def told(value: Any, *sources: Any) -> str:
    """The text of a value; a message's if a message stands in what it was made of."""
    text = str(value)
    if isinstance(text, Told) or not any(map(holds_message, sources)):
        return text
    return Told(text)


def holds_message(value: Any) -> bool:
    """Whether there is something in a value that a message says."""
    if isinstance(value, str):
        return isinstance(value, Told)
    if isinstance(value, dict):
        return any(map(holds_message, value)) or any(map(holds_message, value.values()))
    return isinstance(value, list | tuple | set) and any(map(holds_message, value))


def as_message(value: Any) -> Any:
    """Plain data of JSON in which every string is a message's."""
    if isinstance(value, Mapping):
        return {as_message(name): as_message(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_message(inner) for inner in value]
    if isinstance(value, str):
        return Told(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    raise TypeError(
        f"expected messages of strings, numbers, lists and dicts, got {type(value).__name__}"
    )


def pieces_of(text: str) -> list[tuple[str, bool]]:
    """Stretches of one writer, each with whether that is the template."""
    whole = plain(text)
    return [
        (whole[start:end], not by_message)
        for start, end, by_message in _stretches(is_message(text))
    ]


def generated(text: str) -> Told:
    """The same text, of which a template says that the model wrote it."""
    return Told(text, bytes([mark | _GENERATED for mark in marks_of(text)]))


def generated_spans(text: str) -> list[tuple[int, int]]:
    """Where what the model wrote begins and ends, as far as the template says so."""
    marks = [bool(mark & _GENERATED) for mark in marks_of(text)]
    return [(start, end) for start, end, is_generated in _stretches(marks) if is_generated]


def plain(text: str) -> str:
    """The text without its marks."""
    return str.__getitem__(text, slice(None))


def is_message(text: str) -> list[bool]:
    """Of each character, whether a message says it."""
    return [bool(mark & 1) for mark in marks_of(text)]


def _stretches(flags: Iterable[bool]) -> Iterator[tuple[int, int, bool]]:
    """The beginning and the end of each stretch of equal flags, and the flag."""
    start = 0
    for flag, group in groupby(flags):
        end = start + len(list(group))
        yield start, end, flag
        start = end


def marks_of(text: str) -> bytes:
    """A mark for each character."""
    return text.marks if isinstance(text, Told) else _TEMPLATE * len(text)
