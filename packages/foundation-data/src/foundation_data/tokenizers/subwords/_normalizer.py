"""What a subword tokenizer does to text before cutting it: the ``normalizer`` of `tokenizer.json`.

Most byte-level tokenizers do nothing. BERT's removes control characters and accents, and makes all
letters small.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import regex
from foundation_nn.files import field

from foundation_data._text import INVISIBLE, normalize
from foundation_data.tokenizers._patterns import WHITE_SPACE


class Normalizer(Protocol):
    """One change to the whole text."""

    def apply(self, text: str) -> str:
        """Return the changed text."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        ...


def _lower(text: str) -> str:
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
        return _lower(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Lowercase"}


@dataclass(frozen=True)
class CleanText:
    """What readers do to sentences, see :func:`foundation_data.normalize`.

    With it a tokenizer gives the same ids to texts that look the same, whoever hands them in. In
    `tokenizer.json` it stands as steps that the ``tokenizers`` library has. Half a surrogate pair,
    which those steps cannot name, is a character that no such file can hold.
    """

    def apply(self, text: str) -> str:
        """Return the normalised text."""
        return normalize(text)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        blank = f"[\0-\x20\x7f-\x9f{WHITE_SPACE}]+"
        steps = [
            {"type": "Replace", "pattern": {"Regex": f"[{INVISIBLE}]"}, "content": ""},
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": blank}, "content": " "},
            {"type": "Strip", "strip_left": True, "strip_right": True},
        ]
        return {"type": "Sequence", "normalizers": steps}


# Tab and the two line ends are control characters, but white space here.
_CONTROLS = regex.compile(r"(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}]")
_WHITE_SPACE = regex.compile(r"\s")
_MARKS = regex.compile(r"\p{Mn}+")
# What BERT calls Chinese: Han, but neither kana nor hangul. (BERT's own list begins the block at
# 2B820; the library that files are written for begins it at 2B920.)
_HAN = regex.compile(
    "[\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b920-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f]"
)


@dataclass(frozen=True)
class BertNormalizer:
    """BERT's cleaning: no control characters, Han letters set apart, no accents, lower case.

    `strip_accents` of None means: as `lowercase`.
    """

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True

    def apply(self, text: str) -> str:
        """Return the cleaned text."""
        if self.clean_text:
            text = _CONTROLS.sub("", text)
            text = _WHITE_SPACE.sub(" ", text)
        if self.handle_chinese_chars and not text.isascii():
            text = _HAN.sub(r" \g<0> ", text)
        strip = self.lowercase if self.strip_accents is None else self.strip_accents
        if strip and not text.isascii():
            text = _MARKS.sub("", unicodedata.normalize("NFD", text))
        return _lower(text) if self.lowercase else text

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {
            "type": "BertNormalizer",
            "clean_text": self.clean_text,
            "handle_chinese_chars": self.handle_chinese_chars,
            "strip_accents": self.strip_accents,
            "lowercase": self.lowercase,
        }


def normalize_with(normalizers: Iterable[Normalizer], text: str) -> str:
    """Apply each normalizer in turn."""
    for normalizer in normalizers:
        text = normalizer.apply(text)
    return text


def normalizers_from_json(content: Any) -> tuple[Normalizer, ...]:
    """Read the ``normalizer`` of a `tokenizer.json`.

    Raises
    ------
    ValueError
        If one is not supported or malformed.
    """
    if content is None:
        return ()
    try:
        return _read_normalizers(content)
    except ValueError as error:
        raise ValueError(f"normalizer: {error}") from error


def _read_normalizers(content: Any) -> tuple[Normalizer, ...]:
    if content == CleanText().to_json():
        return (CleanText(),)
    kind = field(content, "type", str)
    if kind == "Sequence":
        return tuple(
            chain.from_iterable(map(_read_normalizers, field(content, "normalizers", list)))
        )
    if kind == "BertNormalizer":
        clean = BertNormalizer(
            clean_text=field(content, "clean_text", bool, default=True),
            handle_chinese_chars=field(content, "handle_chinese_chars", bool, default=True),
            strip_accents=field(content, "strip_accents", bool | None, default=None),
            lowercase=field(content, "lowercase", bool, default=True),
        )
        return (clean,)
    if kind in ("NFC", "NFD", "NFKC", "NFKD"):
        return (UnicodeForm(kind),)
    if kind == "Lowercase":
        return (Lowercase(),)
    raise ValueError(
        "expected Sequence, NFC, NFD, NFKC, NFKD, Lowercase or BertNormalizer, "
        f"got {kind!r:.60}, which is not supported"
    )
