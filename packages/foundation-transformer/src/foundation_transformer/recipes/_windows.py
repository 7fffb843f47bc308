"""Batches for language models: windows of one long text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from foundation_nn import init
from foundation_nn.training import generator_state, set_generator
from numpy.typing import ArrayLike, NDArray

from foundation_transformer._build import Ids


@dataclass(frozen=True)
class WindowBatch:
    """Rows of text without padding, each from one text.

    Attributes
    ----------
    ids : (B, T) integer array
    targets : (B, T) integer array
        The token after each.
    """

    ids: Ids
    targets: Ids
    segments: None = None

    @property
    def num_tokens(self) -> int:
        """Targets: what a loss averages over."""
        return self.targets.size


class TokenSource(Protocol):
    """A text that is read in parts, because it is larger than memory.

    ``foundation_data.TokenStream`` is one, in memory or in files.
    """

    @property
    def fingerprint(self) -> str:
        """A checksum of the text."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Ids:
        """The ids from one place to another, (stop - start,)."""


class _Array:
    """A text in memory."""

    def __init__(self, ids: NDArray[Any]) -> None:
        self.ids = ids

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.ids.astype("<i8").tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> Ids:
        return self.ids[start:stop]


class RandomWindows:
    """Endless batches of windows that begin anywhere in the text.

    Parameters
    ----------
    text : (N,) integer array or TokenSource
        A source, such as what ``foundation_data.open_shards`` returns, stays in its files.
    length : int
        T.
    batch_size : int
        B.
    rng : numpy.random.Generator, optional
        Where each window begins is drawn from it, batch by batch.

    Raises
    ------
    ValueError
        If the text is too short for a window and the token after it.

    Examples
    --------
    >>> import numpy as np
    >>> batch = next(iter(RandomWindows(np.arange(100), length=4, batch_size=2)))
    >>> batch.ids.shape, bool((batch.targets == batch.ids + 1).all())
    ((2, 4), True)
    """

    def __init__(
        self,
        text: ArrayLike | TokenSource,
        length: int,
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.text = _source(text, length)
        self.length = length
        self.batch_size = batch_size
        self.rng = init.generator(rng)

    @property
    def fingerprint(self) -> str:
        """A checksum of the text: with equal ones, the same generator draws the same windows."""
        return self.text.fingerprint

    def __iter__(self) -> Iterator[WindowBatch]:
        size = self.length + 1
        while True:
            starts = self.rng.integers(len(self.text) - self.length, size=(self.batch_size, 1))
            rows = [self.text.read(start, start + size) for start in starts[:, 0].tolist()]
            window = np.stack(rows)  # (B, T + 1)
            yield WindowBatch(window[:, :-1], window[:, 1:])

    def state_dict(self) -> dict[str, Any]:
        """The state of the generator, and a checksum of the text, so that a run can be resumed."""
        return {"rng": generator_state(self.rng), "fingerprint": self.fingerprint}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken.

        Raises
        ------
        ValueError
            If that was with another text.
        """
        if state["fingerprint"] != self.fingerprint:
            raise ValueError(
                "RandomWindows: the state belongs to another text; resume with the text and the "
                "tokenizer as they were"
            )
        set_generator(self.rng, state["rng"])


def consecutive_windows(
    text: ArrayLike | TokenSource, length: int, batch_size: int
) -> list[WindowBatch]:
    """Batches in which every token but the first is a target once, for evaluation.

    What is left over at the end is less than a window, and left out.

    Parameters
    ----------
    text : (N,) integer array or TokenSource
        It is read as a whole.
    length : int
        T.
    batch_size : int
        B; the last batch may be smaller.

    Raises
    ------
    ValueError
        If the text is too short for a window and the token after it.
    """
    source = _source(text, length)
    count = (len(source) - 1) // length
    ids = source.read(0, count * length + 1)
    inputs = ids[:-1].reshape(count, length)
    targets = ids[1:].reshape(count, length)
    return [
        WindowBatch(inputs[i : i + batch_size], targets[i : i + batch_size])
        for i in range(0, count, batch_size)
    ]


def _source(given: Any, length: int) -> TokenSource:
    source: TokenSource
    if hasattr(given, "read") and hasattr(given, "fingerprint"):
        source = given
    else:
        ids = np.asarray(given)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"expected the text as (N,) integers, got {ids.dtype} of shape {ids.shape}"
            )
        source = _Array(ids)
    if not 1 <= length < len(source):
        raise ValueError(
            f"expected windows of 1 to {len(source) - 1} tokens in a text of {len(source)}, got "
            f"length={length}"
        )
    return source
