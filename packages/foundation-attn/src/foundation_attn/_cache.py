"""Keys and values of earlier positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class KVCache:
    """Room for the keys and values of a batch.

    Beside self-attention it grows by the positions of each call. Beside cross-attention it is
    filled by the first call and read by the others, so that the memory is projected once.

    Parameters
    ----------
    max_len : int, optional
        The most positions it will hold: room for them is allocated once. Without it, room is
        doubled whenever there is no more, so that a position costs a constant on average.

    Attributes
    ----------
    length : int
        Positions held.
    source : (key, value) arrays or None
        Beside cross-attention, what the keys and values were projected from.
    padding : (B, n) bool array or None
        Which of the first n positions were padding when they were added; all later ones were real.

    Raises
    ------
    ValueError
        If ``max_len`` is less than one.
    """

    def __init__(self, max_len: int | None = None) -> None:
        if max_len is not None and max_len < 1:
            raise ValueError(f"KVCache: expected max_len >= 1, got {max_len}")
        self.max_len = max_len
        self.length = 0
        self.source: tuple[NDArray[Any], NDArray[Any]] | None = None
        self.padding: NDArray[np.bool_] | None = None
        self._keys: NDArray[Any] | None = None
        self._values: NDArray[Any] | None = None

    def __repr__(self) -> str:
        return f"KVCache(max_len={self.max_len}) of {self.length} positions"

    def append(self, k: NDArray[Any], v: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Add (B, H, T, K) keys and values; return views of all (B, H, length, K).

        Raises
        ------
        ValueError
            If there is no room, or the shapes are those of another batch or model.
        """
        start, end = self.length, self.length + k.shape[-2]
        if self.max_len is not None and end > self.max_len:
            raise ValueError(
                f"KVCache: {start} positions and {k.shape[-2]} more exceed "
                f"max_len={self.max_len}; start the cache with more room"
            )
        if v.shape[:-1] != k.shape[:-1]:
            raise ValueError(
                f"KVCache: expected a value for each key, got shapes {k.shape} and {v.shape}"
            )
        self._keys = self._with_room(self._keys, k, end, "keys")
        self._values = self._with_room(self._values, v, end, "values")
        self._keys[..., start:end, :] = k
        self._values[..., start:end, :] = v
        self.length = end
        return self.view()

    def _with_room(
        self, held: NDArray[Any] | None, new: NDArray[Any], end: int, name: str
    ) -> NDArray[Any]:
        """The array in which ``new`` has a place that ends at ``end``."""
        if held is not None:
            expected = (*held.shape[:-2], new.shape[-2], held.shape[-1])
            if new.shape != expected:
                raise ValueError(
                    f"KVCache: expected {name} of shape {expected}, got {new.shape}; a cache "
                    "belongs to one batch and one layer"
                )
            if end <= held.shape[-2]:
                return held
        room = max(2 * end, 16) if self.max_len is None else self.max_len
        grown = np.empty((*new.shape[:-2], room, new.shape[-1]), new.dtype)
        if held is not None:
            grown[..., : self.length, :] = held[..., : self.length, :]
        return grown

    def view(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """All keys and values so far, (B, H, length, K) each, without a copy."""
        if self._keys is None or self._values is None:
            raise ValueError("KVCache: nothing has been stored yet")
        return self._keys[..., : self.length, :], self._values[..., : self.length, :]

    def shorten(self, length: int) -> None:
        """Hold only the first ``length`` positions; the others were guesses that were wrong.

        Nothing is copied or cleared: the length is set back, and what comes next is written over
        the keys and values of the guesses.

        Raises
        ------
        ValueError
            If there are not so many.
        """
        if not 0 <= length <= self.length:
            raise ValueError(
                f"KVCache: expected a length from 0 to {self.length}, got {length}; what a cache "
                "no longer holds must be read again"
            )
        self.length = length
        if self.padding is not None:
            self.padding = self.padding[:, :length]

    def add_padding(self, real: NDArray[np.bool_] | None) -> None:
        """Remember which of the latest positions are ``real`` (B, T); None: all of them are."""
        if real is None or real.all():
            return
        padding = np.zeros((len(real), self.length), bool)
        if self.padding is not None:
            padding[:, : self.padding.shape[1]] = self.padding
        padding[:, self.length - real.shape[1] :] = ~real
        self.padding = padding

    def check_padding(self, key_mask: NDArray[np.bool_] | None) -> None:
        """Refuse a ``key_mask`` (B, S) in which a position is real that was padding when it came.

        Such a position was hidden before it was projected, so that its key is not in the cache.

        Raises
        ------
        ValueError
            If there is one.
        """
        now_real = self._now_real(key_mask)
        if now_real is not None and now_real.any():
            row, position = np.argwhere(now_real)[0].tolist()
            raise ValueError(
                f"key_mask: position {position} of row {row} was padding when it was added to the "
                "cache, so that its key was not kept; give key_mask for all positions so far, and "
                "let padding stay padding"
            )

    def padding_stays(self, key_mask: NDArray[np.bool_] | None) -> bool:
        """Whether :meth:`check_padding` refuses nothing."""
        now_real = self._now_real(key_mask)
        return now_real is None or not now_real.any()

    def _now_real(self, key_mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Where padding would become real, (B, n); None if there was none."""
        if self.padding is None:
            return None
        if key_mask is None:
            return self.padding
        rows, width = self.padding.shape
        if len(key_mask) != rows:
            return None  # another batch, which is refused where its keys come
        now_real: NDArray[np.bool_] = self.padding & key_mask[:, :width]
        return now_real

    def check_source(
        self, source: tuple[NDArray[Any], NDArray[Any]], key_mask: NDArray[np.bool_] | None
    ) -> None:
        """Refuse to be read for keys other than those it was filled from; more may be padding.

        Raises
        ------
        ValueError
            If they are others.
        """
        if self.source is None:
            return
        for held, given in zip(self.source, source, strict=True):
            if _same_memory(held, given):  # mostly, and then nothing has to be compared
                continue
            real = ... if key_mask is None else key_mask
            same_shape = held.shape == given.shape
            if not same_shape or not np.array_equal(held[real], given[real], equal_nan=True):
                raise ValueError(
                    "KVCache: expected the key and value that this cache was filled from, got "
                    "others; a cache belongs to one memory: start another with KVCache()"
                )
        self.source = source  # of which the next call will have the memory, not of the copy

    def is_filled_from(self, key: NDArray[Any], value: NDArray[Any]) -> bool:
        """Whether these very arrays were the source; equal ones in another place are not."""
        if self.source is None:
            return False
        held_key, held_value = self.source
        return _same_memory(held_key, key) and _same_memory(held_value, value)

    def reorder(self, rows: NDArray[np.integer[Any]]) -> None:
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out.

        Only what is held is copied, not the room behind it.
        """
        if self._keys is not None and self._values is not None:
            self._keys = self._rows(self._keys, rows)
            self._values = self._rows(self._values, rows)
        if self.padding is not None:
            padding = self.padding[rows]
            self.padding = padding if padding.any() else None
        if self.source is not None:
            key, value = self.source
            moved = key[rows]
            self.source = (moved, moved if value is key else value[rows])

    def _rows(self, held: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        moved = np.empty((len(rows), *held.shape[1:]), held.dtype)
        moved[..., : self.length, :] = held[rows, ..., : self.length, :]
        return moved


def _same_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays are views of the same numbers."""
    return bool(a.__array_interface__ == b.__array_interface__)
