"""From tokens back to text: the ``decoder`` of a `tokenizer.json`.

Each step takes a list of tokens and gives a list of texts; the last one's are joined. This is how
a tokenizer of Llama writes a text that begins with a space and ends with a character that is in no
token but as its bytes:

>>> steps = [ReplaceInTokens("▁", " "), ByteFallback(), Fuse(), StripCharacter(" ", start=1)]
>>> decode_with(steps, ["▁so", "▁it", "▁is", "<0xE2>", "<0x80>", "<0xA6>"])
'so it is…'
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from foundation_nn.files import field

from foundation_data.tokenizers.pipeline._pre_tokenizer import BLANK, Metaspace

_ONE_BYTE = "foundation-data: one byte"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_token(byte: int) -> str:
    """The token that stands for a byte of a character that is in no token."""
    return f"<0x{byte:02X}>"


class DecoderStep(Protocol):
    """One step from tokens to text."""

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        ...


def decode_with(steps: Sequence[DecoderStep] | None, tokens: Iterable[str]) -> str:
    """The text of the tokens; without a decoder, with a space between them."""
    if steps is None:
        return " ".join(tokens)
    parts = list(tokens)
    for step in steps:
        parts = step.apply(parts)
    return "".join(parts)


@dataclass(frozen=True)
class ReplaceInTokens:
    """A text is replaced wherever it stands in a token."""

    pattern: str
    content: str

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        return [token.replace(self.pattern, self.content) for token in tokens]


@dataclass(frozen=True)
class MetaspaceDecoder:
    """``▁`` becomes a space, but for that of the first token, which the cut may have put there."""

    replacement: str = BLANK
    strip_first: bool = True

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        texts = [token.replace(self.replacement, " ") for token in tokens]
        if tokens and self.strip_first:
            texts[0] = tokens[0].replace(self.replacement, "")
        return texts


@dataclass(frozen=True)
class ByteFallback:
    """Tokens of bytes become the characters that they make; each byte that makes none, U+FFFD.

    SentencePiece decodes like this. The ``tokenizers`` library writes U+FFFD for all bytes beside
    each other if one of them makes no character; so a text that is written token by token would
    lose characters, and get them back.
    """

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        texts: list[str] = []
        pending = bytearray()
        for token in tokens:
            byte = _BYTE_TOKEN.fullmatch(token)
            if byte is not None:
                pending.append(int(byte[1], 16))
                continue
            if pending:
                texts.append(pending.decode("utf-8", _ONE_BYTE))
                pending.clear()
            texts.append(token)
        return [*texts, pending.decode("utf-8", _ONE_BYTE)] if pending else texts


def _one_byte(error: UnicodeError) -> tuple[str, int]:
    """What is written for a byte that fits nowhere, and where reading goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    three = error.object[error.start : error.start + 3]
    try:  # half a surrogate pair, which a Python string can hold
        return three.decode("utf-8", "surrogatepass"), error.start + len(three)
    except UnicodeDecodeError:
        return "\ufffd", error.start + 1


codecs.register_error(_ONE_BYTE, _one_byte)


@dataclass(frozen=True)
class Fuse:
    """All of them become one, so that the next step sees the whole text."""

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        return ["".join(tokens)]


@dataclass(frozen=True)
class StripCharacter:
    """A character is taken away at the ends of each text, so many times at most."""

    character: str
    start: int = 0
    stop: int = 0

    def apply(self, tokens: list[str]) -> list[str]:
        """Return what becomes of the tokens."""
        return [self._strip(token) for token in tokens]

    def _strip(self, text: str) -> str:
        first = len(text) - len(text.lstrip(self.character))
        last = len(text) - len(text.rstrip(self.character))
        return text[min(first, self.start) : len(text) - min(last, self.stop)]


def decoder_from_json(content: Any) -> tuple[DecoderStep, ...] | None:
    """Read the ``decoder`` of a `tokenizer.json`; None if there is none.

    Raises
    ------
    ValueError
        If a step is not supported or malformed.
    """
    if content is None:
        return None
    try:
        return _read_steps(content)
    except ValueError as error:
        raise ValueError(f"decoder: {error}") from error


def _read_steps(content: Any) -> tuple[DecoderStep, ...]:
    kind = field(content, "type", str)
    if kind == "Sequence":
        return tuple(chain.from_iterable(map(_read_steps, field(content, "decoders", list))))
    if kind not in _READERS:
        raise ValueError(
            f"expected Sequence, {', '.join(_READERS)}, got {kind!r:.60}, which is not supported"
        )
    return (_READERS[kind](content),)


def _read_replace(content: Any) -> DecoderStep:
    pattern = field(content, "pattern", dict)
    return ReplaceInTokens(field(pattern, "String", str), field(content, "content", str))


def _read_strip(content: Any) -> DecoderStep:
    character = field(content, "content", str)
    start = field(content, "start", int)
    stop = field(content, "stop", int)
    if len(character) != 1 or start < 0 or stop < 0:
        raise ValueError(
            "Strip: expected one character and how often it is taken away at either end, got "
            f"{character!r:.60}, {start} and {stop}"
        )
    return StripCharacter(character, start, stop)


def _read_metaspace(content: Any) -> DecoderStep:
    step = Metaspace.from_json(content)
    return MetaspaceDecoder(step.replacement, step.prepend_scheme != "never")


_READERS: dict[str, Callable[[Any], DecoderStep]] = {
    "Replace": _read_replace,
    "Metaspace": _read_metaspace,
    "ByteFallback": lambda _: ByteFallback(),
    "Fuse": lambda _: Fuse(),
    "Strip": _read_strip,
}
