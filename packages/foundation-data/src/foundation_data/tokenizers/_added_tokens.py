"""Tokens that stand in a text as they are, such as ``<|im_start|>`` or ``[MASK]``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from foundation_data.tokenizers._unicode_regex import WHITESPACE


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
        Where two tokens begin at the same place, those that are not `normalized` come first.
    """

    content: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False

    @property
    def pattern(self) -> str:
        """The regular expression that finds the token, its content in a group."""
        left = f"[{WHITESPACE}]*" if self.lstrip else ""
        right = f"[{WHITESPACE}]*" if self.rstrip else ""
        return f"{left}({re.escape(self.content)}){right}"

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

    __slots__ = ("_pattern",)

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        by_precedence = sorted(tokens, key=lambda token: (token.normalized, -len(token.content)))
        patterns = [token.pattern for token in by_precedence]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def split(self, text: str) -> list[tuple[str, str | None]]:
        """Return each stretch of ordinary text with the token that follows it."""
        if self._pattern is None:
            return [(text, None)]
        parts: list[tuple[str, str | None]] = []
        end = 0
        for match in self._pattern.finditer(text):
            token = match[match.lastindex or 0]  # the one group that has matched
            parts.append((text[end : match.start()], token))
            end = match.end()
        parts.append((text[end:], None))
        return parts
