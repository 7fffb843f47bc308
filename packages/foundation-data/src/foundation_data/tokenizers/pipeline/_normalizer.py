"""What changes a text before it is cut: the steps of the ``normalizer`` of a `tokenizer.json`.

Most byte-level tokenizers do nothing. Those of SentencePiece write a space as ``▁``, which can be
part of a token like any letter:

>>> normalize_with([Prepend("▁"), Replace(" ", "▁")], "so it is")
'▁so▁it▁is'
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import regex

from foundation_data.tokenizers._patterns import WHITE_SPACE, compile_pattern


class Normalizer(Protocol):
    """One change to the whole text."""

    def apply(self, text: str) -> str:
        """Return the changed text."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        ...


def normalize_with(normalizers: Iterable[Normalizer], text: str) -> str:
    """Apply each normalizer in turn."""
    for normalizer in normalizers:
        text = normalizer.apply(text)
    return text


#: The names of Unicode's four normal forms.
UNICODE_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_MARKS = regex.compile(r"\p{M}+")


def to_lower(text: str) -> str:
    """Every character in lower case, with one small sigma."""
    # `str.lower` writes a capital sigma at the end of a word as ς; tokenizer files mean σ.
    return text.replace("Σ", "σ").lower()


@dataclass(frozen=True)
class UnicodeForm:
    """One of Unicode's four normal forms: NFC, NFD, NFKC, NFKD."""

    form: str

    def apply(self, text: str) -> str:
        """Return `text` in this form."""
        return unicodedata.normalize(self.form, text)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": self.form}


@dataclass(frozen=True)
class Lowercase:
    """Every character in lower case."""

    def apply(self, text: str) -> str:
        """Return `text` in lower case."""
        return to_lower(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Lowercase"}


@dataclass(frozen=True)
class StripAccents:
    """Without the marks that Unicode sets apart from their letters, which NFD and NFKD do."""

    def apply(self, text: str) -> str:
        """Return `text` without marks."""
        return text if text.isascii() else _MARKS.sub("", text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "StripAccents"}


@dataclass(frozen=True)
class Strip:
    """Without white space at the beginning, at the end, or both."""

    left: bool = True
    right: bool = True

    def apply(self, text: str) -> str:
        """Return `text` without white space around it."""
        if self.left:
            text = text.lstrip(WHITE_SPACE)
        return text.rstrip(WHITE_SPACE) if self.right else text

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Strip", "strip_left": self.left, "strip_right": self.right}


@dataclass(frozen=True)
class Prepend:
    """A text is put before every text that is not empty."""

    prefix: str

    def apply(self, text: str) -> str:
        """Return `text` with the prefix."""
        return self.prefix + text if text else text

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Prepend", "prepend": self.prefix}


@dataclass(frozen=True)
class Replace:
    """Every occurrence of a text is replaced, or every match of a pattern with `regex`.

    Examples
    --------
    >>> Replace(" {2,}", " ", regex=True).apply("one    space")
    'one space'
    """

    pattern: str
    content: str
    regex: bool = False

    def __post_init__(self) -> None:
        if self.regex:
            compile_pattern(self.pattern)
        elif not self.pattern:
            raise ValueError("Replace: expected a pattern of at least one character, got ''")

    def apply(self, text: str) -> str:
        """Return `text` with the content in the place of each match."""
        if not self.regex:
            return text.replace(self.pattern, self.content)
        parts: list[str] = []
        done = 0
        for start, end in compile_pattern(self.pattern).spans(text):
            parts += (text[done:start], self.content)
            done = end
        return "".join((*parts, text[done:]))

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        kind = "Regex" if self.regex else "String"
        return {"type": "Replace", "pattern": {kind: self.pattern}, "content": self.content}
