"""Keys and values of earlier positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class KVCache:
    """Room for the keys and values of up to ``max_len`` positions, allocated once.

    Beside self-attention it grows by the positions of each call. Beside cross-attention it is
    filled by the first call and read by the others, so that the memory is projected once.

    Parameters
    ----------
    max_len : int

    Attributes
    ----------
    length : int
        Positions held.
    """

    def __init__(self, max_len: int) -> None:
        if max_len < 1:
            raise ValueError(f"KVCache: expected max_len >= 1, got {max_len}")
        self.max_len = max_len
        self.length = 0
        self._keys: NDArray[Any] | None = None
        self._values: NDArray[Any] | None = None

    def append(self, k: NDArray[Any], v: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Add (B, H, T, K) keys and values; return views of all (B, H, length, K).

        Raises
        ------
        ValueError
            If there is no room, or the shapes are those of another batch or model.
        """
        end = self.length + k.shape[-2]
        if end > self.max_len:
            raise ValueError(
                f"KVCache: {self.length} positions and {k.shape[-2]} more exceed "
                f"max_len={self.max_len}; start the cache with more room"
            )
        if self._keys is None or self._values is None:
            self._keys = np.empty((*k.shape[:-2], self.max_len, k.shape[-1]), k.dtype)
            self._values = np.empty((*v.shape[:-2], self.max_len, v.shape[-1]), v.dtype)
        held = (*self._keys.shape[:-2], k.shape[-2], self._keys.shape[-1])
        if k.shape != held:
            raise ValueError(
                f"KVCache: expected keys of shape {held}, got {k.shape}; a cache belongs to one "
                "batch and one layer"
            )
        if v.shape[:-1] != k.shape[:-1] or v.shape[-1] != self._values.shape[-1]:
            raise ValueError(
                f"KVCache: expected a value for each key, got shapes {k.shape} and {v.shape}"
            )
        self._keys[..., self.length : end, :] = k
        self._values[..., self.length : end, :] = v
        self.length = end
        return self.view()

    def view(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """All keys and values so far, (B, H, length, K) each, without a copy."""
        if self._keys is None or self._values is None:
            raise ValueError("KVCache: nothing has been stored yet")
        return self._keys[..., : self.length, :], self._values[..., : self.length, :]

    def reorder(self, rows: NDArray[np.integer[Any]]) -> None:
        """Make row i what row ``rows[i]`` was; rows may be repeated or left out."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[rows], self._values[rows]
