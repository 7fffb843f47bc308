"""PyTorch's operators that move numbers about, written with our indexing and reshaping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from closeness import NotOurs
from foundation_nn import Tensor
from foundation_nn import functional as F
from samples import Adapter


def at(x: Tensor, dim: int, index: Any) -> Tensor:
    """``x`` indexed along one axis."""
    return x[(*(slice(None),) * (dim % x.ndim), index)]


def index_select(x: Tensor, dim: int, index: Any) -> Tensor:
    return at(x, dim, index) if x.ndim else x.reshape(1)[index].reshape(())


def between(x: Tensor, ends: list[int], dim: int) -> list[Tensor]:
    """Cut at these places, of which the first is 0 and the last the length."""
    return F.split(x, ends[1:-1], dim)


def split(x: Tensor, sizes: Any, dim: int = 0) -> list[Tensor]:
    """Parts of these sizes, or of one size and a rest."""
    if np.ndim(sizes):
        return between(x, [0, *np.cumsum(sizes).tolist()], dim)
    length = x.shape[dim]
    return between(x, [*range(0, length, sizes), length], dim) if length else [x]


def chunk(x: Tensor, chunks: int, dim: int = 0) -> list[Tensor]:
    return split(x, -(-x.shape[dim] // chunks), dim)


def tensor_split(x: Tensor, parts: Any, dim: int = 0) -> list[Tensor]:
    """Split at these places, or into so many parts of which the first are longer by one."""
    length = x.shape[dim]
    if np.ndim(parts):
        places = [slice(None, int(place)).indices(length)[1] for place in parts]
        return between(x, [0, *places, length], dim)
    n = int(parts)
    return split(x, [length // n + (i < length % n) for i in range(n)], dim)


def narrow(x: Tensor, dim: int, start: Any, length: int) -> Tensor:
    first = int(start) % max(1, x.shape[dim])
    return at(x, dim, slice(first, first + length))


def roll(x: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    if dims == ():
        return roll(x.reshape(-1), shifts, 0).reshape(x.shape)
    if x.size == 0 or x.ndim == 0:
        return x
    for shift, dim in zip(np.atleast_1d(shifts), np.atleast_1d(dims), strict=True):
        place = -int(shift) % x.shape[dim]
        x = F.concat([at(x, dim, slice(place, None)), at(x, dim, slice(None, place))], int(dim))
    return x


def flip(x: Tensor, dims: Any) -> Tensor:
    return F.flip(x, tuple(dims)) if x.ndim else x


def squeeze(x: Tensor, dim: Any = None) -> Tensor:
    """PyTorch leaves named axes of another length as they are; ours refuses them."""
    if dim is None:
        return F.squeeze(x)
    dims = [int(d) % max(1, x.ndim) for d in np.atleast_1d(dim)]
    return F.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    return F.expand_dims(x, dim)


def movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    if not x.ndim:
        return x
    sources = [s % x.ndim for s in np.atleast_1d(source).tolist()]
    targets = [d % x.ndim for d in np.atleast_1d(destination).tolist()]
    placed = dict(zip(targets, sources, strict=True))
    others = iter([axis for axis in range(x.ndim) if axis not in sources])
    return x.transpose([placed[axis] if axis in placed else next(others) for axis in range(x.ndim)])


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    if not x.ndim:
        return x.reshape(1)
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])


def unflatten(x: Tensor, dim: int, sizes: Any) -> Tensor:
    dim %= x.ndim
    known = math.prod(n for n in sizes if n != -1)
    lengths = [x.shape[dim] // known if n == -1 else n for n in sizes]
    return x.reshape(*x.shape[:dim], *lengths, *x.shape[dim + 1 :])


def expand(x: Tensor, *shape: Any) -> Tensor:
    """``x`` broadcast; -1 keeps a length."""
    lengths = shape[0] if np.ndim(shape[0]) else shape
    own = (1,) * (len(lengths) - x.ndim) + x.shape
    full = [n if length == -1 else length for length, n in zip(lengths, own, strict=True)]
    return F.broadcast_to(x, full)


def repeat(x: Tensor, *counts: Any) -> Tensor:
    times = counts[0] if len(counts) == 1 and np.ndim(counts[0]) else counts
    x = x.reshape((1,) * (len(times) - x.ndim) + x.shape)
    for axis, n in enumerate(times):
        x = F.concat([x] * n, axis) if n else at(x, axis, slice(0, 0))
    return x


def tile(x: Tensor, counts: Any) -> Tensor:
    return repeat(x, (1,) * (x.ndim - len(counts)) + tuple(counts))


def gather(x: Tensor, dim: int, index: Any) -> Tensor:
    if not x.ndim:
        return F.take_along_axis(x, index.reshape(-1), None).reshape(index.shape)
    if x.ndim != index.ndim:
        raise NotOurs("gather: by an empty index with other axes")
    axis = dim % x.ndim
    corner = tuple(slice(None if a == axis else n) for a, n in enumerate(index.shape))
    return F.take_along_axis(x[corner], index, axis)


def take_along_dim(x: Tensor, index: Any, dim: int | None = None) -> Tensor:
    return F.take_along_axis(x, index if dim is not None else index.reshape(-1), dim)


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    below, above = max(0, -offset), max(0, offset)
    length = max(0, min(x.shape[dim1] - below, x.shape[dim2] - above))
    places = np.arange(length)
    return movedim(x, (dim1, dim2), (-2, -1))[..., places + below, places + above]


def repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None, **more: Any) -> Tensor:
    if more:
        raise NotOurs("repeat_interleave: with its size told beforehand")
    return F.repeat(x, repeats, dim) if x.ndim else F.repeat(x, repeats)


def masked_select(x: Tensor, mask: Any) -> Tensor:
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return expand(x, shape)[np.broadcast_to(mask, shape)]


def cat(tensors: list[Tensor], dim: int = 0) -> Tensor:
    # PyTorch leaves out empty vectors beside tensors with more axes.
    ndim = max(x.ndim for x in tensors)
    return F.concat([x for x in tensors if x.ndim == ndim], dim)


def at_least(n: int, x: Tensor) -> Tensor:
    """More axes, as ``np.atleast_2d`` and its siblings add them."""
    if x.ndim >= n:
        return x
    shapes = {1: (1,), 2: (1, x.size), 3: (1, x.size, 1)}
    return x.reshape(shapes[n] if x.ndim < 2 else (*x.shape, 1))


def each_at_least(n: int) -> Adapter:
    def reshape(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return at_least(n, tensors[0])
        return [at_least(n, x) for x in (tensors if len(tensors) > 1 else tensors[0])]

    return reshape


def joined(axis: int, least: int) -> Adapter:
    """``hstack`` and its siblings: joined along an axis, with at least so many axes."""

    def join(tensors: list[Tensor]) -> Tensor:
        several = [at_least(least, x) for x in tensors]
        return F.concat(several, min(axis, several[0].ndim - 1))

    return join


def column_stack(tensors: list[Tensor]) -> Tensor:
    return F.concat([x.reshape(-1, 1) if x.ndim < 2 else x for x in tensors], 1)


SHAPES: dict[str, Adapter] = {
    "reshape": lambda x, *shape: x.reshape(*shape),
    "view": lambda x, *shape: x.reshape(*shape),
    "reshape_as": lambda x, other: x.reshape(other.shape),
    "view_as": lambda x, other: x.reshape(other.shape),
    "ravel": lambda x: x.reshape(-1),
    "flatten": flatten,
    "unflatten": unflatten,
    "squeeze": squeeze,
    "squeeze_multiple": squeeze,
    "unsqueeze": unsqueeze,
    "permute": lambda x, dims: x.transpose(dims),
    "transpose": lambda x, dim0, dim1: x.swapaxes(dim0, dim1),
    "t": lambda x: x.T,
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "movedim": movedim,
    "select": at,
    "narrow": narrow,
    "slice": lambda x, dim=0, start=None, end=None, step=1: at(x, dim, slice(start, end, step)),
    "chunk": chunk,
    "split": split,
    "split_list_args": split,
    "split_with_sizes": split,
    "tensor_split": tensor_split,
    "unbind": lambda x, dim=0: [at(x, dim, i) for i in range(x.shape[dim])],
    "diagonal": diagonal,
    "__getitem__": lambda x, index: x[index],
    "index_select": index_select,
    "gather": gather,
    "take": lambda x, index: x.reshape(-1)[index],
    "take_along_dim": take_along_dim,
    "masked_select": masked_select,
    "masked_fill": lambda x, mask, value: F.where(mask, value, x),
    "where": lambda x, condition, y: F.where(condition, x, y),
    "flip": flip,
    "fliplr": lambda x: F.flip(x, 1),
    "flipud": lambda x: F.flip(x, 0),
    "roll": roll,
    "tril": lambda x, diagonal=0: F.tril(x, diagonal),
    "triu": lambda x, diagonal=0: F.triu(x, diagonal),
    "cat": cat,
    "stack": F.stack,
    "hstack": joined(1, 1),
    "vstack": joined(0, 2),
    "dstack": joined(2, 3),
    "column_stack": column_stack,
    "broadcast_to": expand,
    "expand": expand,
    "expand_as": lambda x, other: expand(x, other.shape),
    "atleast_1d": each_at_least(1),
    "atleast_2d": each_at_least(2),
    "atleast_3d": each_at_least(3),
    "repeat": repeat,
    "tile": tile,
    "repeat_interleave": repeat_interleave,
}
