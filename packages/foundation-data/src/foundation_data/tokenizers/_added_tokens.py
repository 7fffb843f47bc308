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
        Whether it steers the model rather than being text: then text may only hold it where the
        caller allows that, and `decode` leaves it out.
    lstrip, rstrip : bool
        Whether it swallows the white space on its left or right.
    normalized : bool
        Whether it gives way to those that are not, where two begin together.
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
    """Splits text at the tokens that it knows, the longest first where several begin.

    Examples
    --------
    >>> TokenFinder([AddedToken("<a>"), AddedToken("<b>", lstrip=True)]).split("x<a>y <b>z")
    [('x', '<a>'), ('y', '<b>'), ('z', None)]
    """

    __slots__ = ("_pattern",)

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        in_turn = sorted(tokens, key=lambda token: (token.normalized, -len(token.content)))
        patterns = [token.pattern for token in in_turn]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def split(self, text: str) -> list[tuple[str, str | None]]:
        """Return each stretch of ordinary text with the token that follows it."""
        parts: list[tuple[str, str | None]] = []
        end = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            parts.append((text[end : match.start()], match[match.lastindex or 0]))
            end = match.end()
        parts.append((text[end:], None))
        return parts
