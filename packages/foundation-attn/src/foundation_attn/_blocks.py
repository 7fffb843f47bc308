"""How the work of attention is cut: how many heads and query rows are taken at a time.

Batches and heads are independent, so that threads can share them. A part of the heads is worked
through in blocks of query rows, so that the scores of a block stay in the cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from foundation_nn import Array, over_parts, scratch
from foundation_nn.functional import random_keep
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from foundation_attn.masks import Mask, part_of, row_blocks

#: Some of the heads: one slice for each of the leading axes, mostly the batch and the heads.
Part: TypeAlias = tuple[slice, ...]

#: Query rows of a block: with fewer, products are slower; with more, more of a causal block is
#: computed in vain.
BLOCK_ROWS = 128
#: Heads are taken together until their blocks of scores are about this large.
BLOCK_BYTES = 1 << 20
#: The weights of a head that are no larger than this are kept for the backward.
KEPT_BYTES = 1 << 19
#: Less than this, such as the one query of a cached step, is done before a thread has woken up.
THREAD_BYTES = 1 << 18


class Block(NamedTuple):
    """Some query rows of some heads, and the keys that at least one of these rows may see.

    Attributes
    ----------
    number : int
        Each block of a call has another one.
    part : tuple of slices
        Which heads.
    rows, keys : slice
    lead : tuple of int
        The shape of all heads.
    offset : int
        S - T, the position of query 0 among the keys: the queries are the last ones.
    """

    number: int
    part: Part
    rows: slice
    keys: slice
    lead: tuple[int, ...]
    offset: int

    @classmethod
    def whole(cls, lead: tuple[int, ...], T: int, S: int) -> Block:
        """All scores (*lead, T, S) as one block."""
        return cls(
            number=0,
            part=(slice(None),) * len(lead),
            rows=slice(0, T),
            keys=slice(0, S),
            lead=lead,
            offset=S - T,
        )

    @property
    def first_query_position(self) -> int:
        """Where the first query of the block stands among all keys."""
        first_row: int = self.rows.start
        return first_row + self.offset

    def query_positions(self) -> NDArray[np.intp]:
        """Where the queries of the block stand among all keys, (rows,)."""
        return np.arange(self.rows.start + self.offset, self.rows.stop + self.offset)

    def key_positions(self) -> NDArray[np.intp]:
        """Where the keys of the block stand among all keys, (keys,)."""
        return np.arange(self.keys.start, self.keys.stop)

    def of_heads(self, x: NDArray[Any]) -> NDArray[Any]:
        """The part of the block of an array that broadcasts to the shape of all heads."""
        return np.broadcast_to(x, self.lead)[self.part]

    def by_distance(self, bias: NDArray[Any]) -> NDArray[Any]:
        """What a bias by distance adds to the scores of the block: a view, (..., rows, keys).

        ``bias`` (..., 2L - 1) has in its middle what holds for a key at the place of the query,
        and right of it what holds for later keys. Each row of the block is a piece of it, one place
        further to the left than the piece of the row before.
        """
        keys = self.keys.stop - self.keys.start
        rows = self.rows.stop - self.rows.start
        first = self._place_in(bias, rows - 1)
        pieces = bias[..., first : first + rows + keys - 1]
        return sliding_window_view(pieces, keys, axis=-1)[..., ::-1, :]

    def add_by_distance(self, total: NDArray[Any], g: NDArray[Any]) -> None:
        """Add ``g`` (..., rows, keys) to ``total`` (..., 2L - 1): the gradient of `by_distance`."""
        keys = self.keys.stop - self.keys.start
        for row in range(self.rows.stop - self.rows.start):
            first = self._place_in(total, row)
            total[..., first : first + keys] += g[..., row, :]

    def _place_in(self, bias: NDArray[Any], row: int) -> int:
        """Where a bias by distance has what belongs to a row of the block and its first key."""
        middle = bias.shape[-1] // 2
        place: int = middle + self.keys.start - self.first_query_position - row
        return place

    def of_mask(self, mask: Mask) -> Mask:
        """The block's part of a mask for all heads, rows and keys; axes may be of length 1."""
        heads = np.broadcast_to(mask, (*self.lead, *mask.shape[-2:]))[self.part]
        return part_of(heads, self.rows, self.keys)


class Cut:
    """How a call with scores of shape ``(*lead, T, S)`` is cut into blocks.

    Parameters
    ----------
    lead : sequence of int
    T, S : int
    dtype : dtype
        Of the scores.
    causal : bool
    window : int or None

    Attributes
    ----------
    parts : list of tuples of slices
        Heads that are taken together; threads share the parts.
    rows_and_keys : list of pairs of slices
        Query rows, and the keys that they may see, the same for all parts.
    keeps_weights : bool
        Whether the weights are few enough to be kept for the backward.
    """

    def __init__(
        self, lead: Sequence[int], T: int, S: int, dtype: Any, causal: bool, window: int | None
    ) -> None:
        self.lead = tuple(lead)
        self.offset = S - T
        self.dtype = np.dtype(dtype)
        self.rows_and_keys = list(row_blocks(T, S, causal, window, BLOCK_ROWS))
        heads = math.prod(lead)
        head_bytes = T * S * self.dtype.itemsize
        # Two parts at least, for two threads, unless one is done before a second has woken up.
        together = heads if heads * head_bytes < THREAD_BYTES else -(-heads // 2)
        block_bytes = max(1, head_bytes // len(self.rows_and_keys))
        fitting = max(1, BLOCK_BYTES // block_bytes)
        self.parts = parts_of(lead, min(together, fitting))
        self.keeps_weights = head_bytes <= KEPT_BYTES

    def each(
        self,
        task: Callable[..., None],
        row_arrays: Sequence[Array],
        key_arrays: Sequence[Array],
        sums: Sequence[Array] = (),
    ) -> None:
        """Call ``task(block, row_arrays, key_arrays, sums)`` with the views that belong to a block.

        Blocks of the same part, which have the same heads, are done by one thread, one after the
        other.

        Parameters
        ----------
        task : callable
            Takes a block, and lists of its parts of the arrays that are given here; the last list
            only if there are sums.
        row_arrays : sequence of (..., T, n) arrays
            To be read or written: each row belongs to one block.
        key_arrays : sequence of (..., S, n) arrays
            To be read. Every block of a part does, so that they are laid side by side once.
        sums : sequence of (..., S, n) arrays
            To be added to; what they held before is set to zero.
        """

        def work(n: int) -> None:
            part = self.parts[n]
            of_rows = [x[part] for x in row_arrays]
            of_keys = [x[part] for x in key_arrays]
            of_sums = [x[part] for x in sums]
            if len(self.rows_and_keys) > 1:
                of_keys = [np.ascontiguousarray(x) for x in of_keys]
            for x in of_sums:
                x[...] = 0
            for i, (rows, columns) in enumerate(self.rows_and_keys):
                number = n * len(self.rows_and_keys) + i
                block = Block(number, part, rows, columns, self.lead, self.offset)
                arrays = [[x[..., rows, :] for x in of_rows]]
                arrays.append([x[..., columns, :] for x in of_keys])
                if sums:
                    arrays.append([x[..., columns, :] for x in of_sums])
                task(block, *arrays)

        if len(self.parts) == 1:  # such as a cached step, which is over before threads are asked
            work(0)
        else:
            over_parts(work, len(self.parts))

    def room_for_scores(self, block: Block, q: Array) -> Array:
        """An array (..., rows, keys): the block's own if the weights are kept, or a shared one."""
        if self.keeps_weights:
            return np.empty(self._shape(block, q), self.dtype)
        return self.room(block, q)

    def room(self, block: Block, q: Array, slot: int = 0) -> Array:
        """An array (..., rows, keys) for intermediate results, which the next block writes over.

        Slot 0 is the one of :meth:`room_for_scores`; what is needed beside it has another.
        """
        return scratch(self._shape(block, q), self.dtype, slot)

    def _shape(self, block: Block, q: Array) -> tuple[int, ...]:
        return (*q.shape[:-1], block.keys.stop - block.keys.start)


def parts_of(lead: Sequence[int], size: int) -> list[Part]:
    """The leading axes in parts of about ``size`` heads, the last axes whole where they can be."""
    if 0 < math.prod(lead) <= size:
        return [(slice(None),) * len(lead)]
    cuts: list[list[slice]] = []
    room = max(1, size)
    for n in reversed(lead):
        pieces = -(-n // room)
        width = max(1, -(-n // max(1, pieces)))
        cuts.append([slice(i, min(i + width, n)) for i in range(0, n, width)])
        room = max(1, room // max(1, n))
    return list(itertools.product(*reversed(cuts)))


class Dropout:
    """Which weights are dropped: drawn block by block, and the same each time it is asked.

    The random numbers of a row are at a fixed place of one long sequence, to which the generator
    can jump. So nothing is held, and nothing depends on how the work is cut.

    Parameters
    ----------
    rng : numpy.random.Generator
        Gives the seed of the sequence.
    p : float
        The probability of dropping a weight.
    shape : (..., T, S)
        Of all weights.
    """

    def __init__(self, rng: np.random.Generator, p: float, shape: tuple[int, ...]) -> None:
        self.p = p
        self._seed = int(rng.integers(2**63))
        *self._lead, self._rows, self._keys = shape
        self._words = -(-self._keys // 4)  # each holds the numbers of four weights

    def keep(self, block: Block) -> NDArray[np.bool_]:
        """False where a weight of the block is dropped, (..., rows, keys)."""
        heads = np.arange(math.prod(self._lead)).reshape(self._lead)[block.part]
        rows = block.rows.stop - block.rows.start
        keep = np.empty((heads.size, rows, 4 * self._words), bool)
        # All rows of neighbouring heads follow each other, and are drawn at once.
        runs = [keep] if rows == self._rows else list(keep)
        bits = np.random.PCG64(self._seed)
        position = 0
        for head, run in zip(heads.ravel().tolist(), runs, strict=False):
            start = (head * self._rows + block.rows.start) * self._words
            bits.advance(start - position)
            run[...] = random_keep(np.random.Generator(bits), run.shape, self.p)
            position = start + run.size // 4
        return keep[..., block.keys].reshape(*heads.shape, rows, -1)
