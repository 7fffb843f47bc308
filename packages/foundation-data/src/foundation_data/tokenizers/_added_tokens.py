"""Tokens that stand in a text as they are, such as ``<|im_start|>`` or ``[MASK]``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from foundation_data.tokenizers._patterns import WHITE_SPACE

_WHITE_SPACE = re.compile(f"[{WHITE_SPACE}]*")


@dataclass(frozen=True)
class AddedToken:
    """A token found in the text before anything else happens to it.

    Attributes
    ----------
    content : str
        The token.
    special : bool
        Whether it steers the model instead of being text. Such a token is found in a text only
        where the caller allows it, and `decode` leaves it out.
    lstrip, rstrip : bool
        Whether the white space on its left or right belongs to it.
    normalized : bool
        Whether a token that is text is looked for in the normalised text, if a tokenizer
        normalises. Where two tokens begin at the same place, those that are not come first.
    """

    content: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False

    def to_json(self, index: int) -> dict[str, Any]:
        """Return the token as it stands in `tokenizer.json`."""
        return {
            "id": index,
            "content": self.content,
            "single_word": False,
            "lstrip": self.lstrip,
            "rstrip": self.rstrip,
            "normalized": self.normalized,
            "special": self.special,
        }


class TokenFinder:
    """Splits text at the tokens that it knows; where several begin, at the longest.

    Examples
    --------
    >>> TokenFinder([AddedToken("<a>"), AddedToken("<b>", lstrip=True)]).split("x<a>y <b>z")
    [('x', '<a>'), ('y', '<b>'), ('z', None)]
    """

    __slots__ = ("_pattern", "_tokens")

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        by_precedence = sorted(tokens, key=lambda token: (token.normalized, -len(token.content)))
        self._tokens = {token.content: token for token in by_precedence}
        self._pattern = re.compile("|".join(map(re.escape, self._tokens)))

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Where each token begins and ends, with the white space that belongs to it."""
        found: list[tuple[int, int, str]] = []
        if not self._tokens:
            return found
        before = 0  # where the token before ends
        for match in self._pattern.finditer(text):
            start = match.start()
            end = match.end()
            if start < before:
                continue  # it lies in the white space that belongs to the token before
            token = self._tokens[match.group()]
            if token.lstrip:
                start = before + len(text[before:start].rstrip(WHITE_SPACE))
            if token.rstrip:
                end = _WHITE_SPACE.match(text, end).end()  # type: ignore[union-attr]
            found.append((start, end, token.content))
            before = end
        return found

    def split(self, text: str) -> list[tuple[str, str | None]]:
        """Return each stretch of ordinary text with the token that follows it."""
        parts: list[tuple[str, str | None]] = []
        before = 0
        for start, end, token in self.find(text):
            parts.append((text[before:start], token))
            before = end
        parts.append((text[before:], None))
        return parts
