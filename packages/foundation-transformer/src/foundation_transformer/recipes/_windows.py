"""Batches for language models: windows of one long text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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


class RandomWindows:
    """Endless batches of windows that begin anywhere in the text.

    Parameters
    ----------
    ids : (N,) integer array
        The text.
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
        ids: ArrayLike,
        length: int,
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.ids = _text(ids, length)
        self.length = length
        self.batch_size = batch_size
        self.rng = init.generator(rng)

    @property
    def fingerprint(self) -> str:
        """A checksum of the text: with equal ones, the same generator draws the same windows."""
        return hashlib.sha256(self.ids.astype("<i8").tobytes()).hexdigest()

    def __iter__(self) -> Iterator[WindowBatch]:
        within = np.arange(self.length + 1)
        while True:
            starts = self.rng.integers(len(self.ids) - self.length, size=(self.batch_size, 1))
            window = self.ids[starts + within]  # (B, T + 1)
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


def consecutive_windows(ids: ArrayLike, length: int, batch_size: int) -> list[WindowBatch]:
    """Batches in which every token but the first is a target once, for evaluation.

    What is left over at the end is less than a window, and left out.

    Parameters
    ----------
    ids : (N,) integer array
    length : int
        T.
    batch_size : int
        B; the last batch may be smaller.

    Raises
    ------
    ValueError
        If the text is too short for a window and the token after it.
    """
    text = _text(ids, length)
    count = (len(text) - 1) // length
    inputs = text[: count * length].reshape(count, length)
    targets = text[1 : count * length + 1].reshape(count, length)
    return [
        WindowBatch(inputs[i : i + batch_size], targets[i : i + batch_size])
        for i in range(0, count, batch_size)
    ]


def _text(ids: Any, length: int) -> NDArray[Any]:
    text = np.asarray(ids)
    if text.ndim != 1 or text.dtype.kind not in "iu":
        raise ValueError(
            f"expected the text as (N,) integers, got {text.dtype} of shape {text.shape}"
        )
    if not 1 <= length < len(text):
        raise ValueError(
            f"expected windows of 1 to {len(text) - 1} tokens in a text of {len(text)}, got "
            f"length={length}"
        )
    return text
