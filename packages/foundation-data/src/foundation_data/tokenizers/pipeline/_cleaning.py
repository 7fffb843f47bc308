"""Cleaning: steps that take many decisions at once, each of them those of one family of models."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import regex

from foundation_data._text import INVISIBLE, normalize
from foundation_data.tokenizers._patterns import WHITE_SPACE
from foundation_data.tokenizers.pipeline._normalizer import to_lower


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
        return to_lower(text) if self.lowercase else text

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {
            "type": "BertNormalizer",
            "clean_text": self.clean_text,
            "handle_chinese_chars": self.handle_chinese_chars,
            "strip_accents": self.strip_accents,
            "lowercase": self.lowercase,
        }


# The control characters but for tab, the two line ends, the form feed and NUL.
_NMT_REMOVED = dict.fromkeys((*range(0x01, 0x09), 0x0B, *range(0x0E, 0x20), 0x7F, 0x8F, 0x9F), None)
_NMT_BLANK = dict.fromkeys(
    (*(0x09, 0x0A, 0x0C, 0x0D, 0x1680), *range(0x200B, 0x2010), *(0x2028, 0x2029, 0x2581)), " "
)
_NMT = {**_NMT_REMOVED, **_NMT_BLANK, 0xFEFF: " ", 0xFFFD: " "}


@dataclass(frozen=True)
class Nmt:
    """Google's cleaning for translation: no control characters, and other blanks as spaces."""

    def apply(self, text: str) -> str:
        """Return the cleaned text."""
        return text.translate(_NMT)

    def to_json(self) -> dict[str, Any]:
        """Return the step as it stands in `tokenizer.json`."""
        return {"type": "Nmt"}
