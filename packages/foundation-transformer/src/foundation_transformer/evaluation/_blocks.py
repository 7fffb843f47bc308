"""Logits of many tokens, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator

#: Of the logits that are computed at once.
_BLOCK_BYTES = 1 << 26


def blocks(count: int, vocab_size: int) -> Iterator[slice]:
    """Rows whose logits take some megabytes together."""
    step = max(1, _BLOCK_BYTES // (8 * vocab_size))
    return (slice(start, start + step) for start in range(0, count, step))
