"""Tokens as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def labels(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token, or its name where it stands for none, such as ``[CLS]``.

    Where a character is spread over several tokens, the last one bears it, and the others are "…".
    """
    found, held = [], []
    for index, token in zip(ids, tokenizer.vocabulary.to_tokens(ids), strict=True):
        held.append(index)
        text = tokenizer.decode(held)
        if text.endswith("\ufffd"):  # bytes of an unfinished character
            found.append("…")
        else:
            found.append(text or token)
            held = []
    return found
