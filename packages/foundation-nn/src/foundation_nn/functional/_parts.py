"""Parts of a tensor: cut, picked along an axis, framed, or half of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described
from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor
from foundation_nn.functional._axes import back_to_sources
from foundation_nn.functional._shaping import index_array


@operation(outputs=2, integers=True)  # two or any other number
def _split(x: Array, ends: list[int], axis: int) -> Result:
    def backward(grads: list[Array]) -> Array:
        return np.concatenate(grads, axis)

    return tuple(np.split(x, ends, axis)), backward


@explains_keywords
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut a tensor along an axis, into a number of equal parts or at a list of places.

    PyTorch's number is the length of a part, ours, as NumPy's, is how many there are.

    Raises
    ------
    ValueError
        If the axis cannot be cut into equal parts, or the places are not in order.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> first, second = F.split(np.arange(6.0), 2)
    >>> second.data
    array([3., 4., 5.])
    >>> [part.data.tolist() for part in F.split(np.arange(6.0), [1, 4])]
    [[0.0], [1.0, 2.0, 3.0], [4.0, 5.0]]
    """
    length = np.shape(x)[axis]
    if np.ndim(indices_or_sections):
        places = [slice(None, int(i)).indices(length)[1] for i in np.asarray(indices_or_sections)]
        if places != sorted(places):
            raise ValueError(
                f"split: expected places in order, got {np.asarray(indices_or_sections).tolist()}"
            )
    else:
        sections = int(np.asarray(indices_or_sections))
        if sections < 1 or length % sections:
            raise ValueError(
                f"split: cannot cut axis {axis} of shape {np.shape(x)} into {sections} equal parts;"
                " a list says where to cut: split(x, [2, 5])"
            )
        places = [length // sections * i for i in range(1, sections)]
    return list(_split(x, places, axis))


@operation(integers=True)
def take_along_axis(x: Array, indices: NDArray[np.integer[Any]], axis: int | None = -1) -> Result:
    """For each place, the element along ``axis`` that ``indices`` names there.

    The other axes of ``x`` and ``indices`` broadcast. Without an axis, the elements are taken in a
    row. An element that is taken several times receives the sum of the gradients.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> from foundation_nn import functional as F
    >>> x = Tensor([[5.0, 7.0], [2.0, 3.0]], requires_grad=True)
    >>> y = F.take_along_axis(x, [[1, 1], [0, 1]])
    >>> y.data
    array([[7., 7.],
           [2., 3.]], dtype=float32)
    >>> y.sum().backward()
    >>> x.grad
    array([[0., 2.],
           [1., 1.]], dtype=float32)
    """
    indices = index_array(indices)
    y = np.take_along_axis(x.reshape(-1) if axis is None else x, indices, axis)
    places: Any = indices  # in a row
    if axis is not None:
        places = list(np.indices(x.shape, sparse=True))
        places[axis] = indices
        places = tuple(places)

    def backward(g: Array) -> Array:
        dx = np.zeros(x.size if axis is None else x.shape, g.dtype)
        np.add.at(dx, places, g)
        return dx.reshape(x.shape)

    return y, backward


#: What is put around a tensor: a constant, or copies of what is in it.
_PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


@operation(integers=True)
def pad(x: Array, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Result:
    """``x`` within a frame of ``constant_values``, or of copies of its own elements.

    Parameters
    ----------
    x : tensor
    pad_width : int, (before, after) or one pair for each axis
        How many elements to add in front of an axis, and behind it.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What to add: a constant, the element at the edge, the elements mirrored at it without or
        with the edge itself, or those from the other end. An element that is copied has the sum
        of the gradients of its copies.
    constant_values : float

    Raises
    ------
    ValueError
        If the widths are negative or do not fit, the mode is unknown, or there is nothing to copy.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.pad([1.0, 2.0], (1, 3)).data
    array([0., 1., 2., 0., 0., 0.], dtype=float32)
    >>> F.pad([1.0, 2.0, 3.0], 2, "reflect").data
    array([3., 2., 1., 2., 3., 2., 1.], dtype=float32)
    """
    if mode not in _PAD_MODES:
        raise ValueError(
            f"pad: expected mode to be one of {', '.join(_PAD_MODES)}, got {described(mode)}"
        )
    try:
        widths = np.broadcast_to(np.asarray(pad_width, dtype=np.intp), (x.ndim, 2)).tolist()
    except ValueError:
        raise ValueError(
            f"pad: expected a width, (before, after), or {x.ndim} such pairs for shape {x.shape}, "
            f"got {pad_width}"
        ) from None
    if mode != "constant":
        return _pad_with_copies(x, widths, mode)
    # 0.0 leaves whole numbers whole; a fraction around them makes them float32.
    if x.dtype.kind != "f" and np.any(np.not_equal(constant_values, np.trunc(constant_values))):
        x = x.astype(np.float32)
    inside = tuple(
        slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)
    )

    def backward(g: Array) -> Array:
        return g[inside]

    return np.pad(x, widths, constant_values=constant_values), backward


def _pad_with_copies(x: Array, widths: list[list[int]], mode: Any) -> Result:
    """Along each axis, where does each element come from? NumPy tells it, of the places 0, 1, …"""
    sources = [
        np.pad(np.arange(length), width, mode)
        for length, width in zip(x.shape, widths, strict=True)
    ]
    y = x
    for axis, source in enumerate(sources):
        y = np.take(y, source, axis)

    def backward(g: Array) -> Array:
        for axis, source in enumerate(sources):
            g = back_to_sources(g, source, axis, x.shape[axis])
        return g

    return y, backward


def _triangle(x: Array, k: int, which: Callable[..., Any]) -> Result:
    def backward(g: Array) -> Array:
        return which(g, k)

    return which(x, k), backward


@operation(integers=True)
def tril(x: Array, k: int = 0) -> Result:
    """The matrices ``x`` with zeros above diagonal ``k``; 0 is the main one, 1 the one above it.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.tril([[1.0, 2.0], [3.0, 4.0]]).data
    array([[1., 0.],
           [3., 4.]], dtype=float32)
    """
    return _triangle(x, k, np.tril)


@operation(integers=True)
def triu(x: Array, k: int = 0) -> Result:
    """The matrices ``x`` with zeros below diagonal ``k``; 0 is the main one, 1 the one above it.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.triu([[1.0, 2.0], [3.0, 4.0]]).data
    array([[1., 2.],
           [0., 4.]], dtype=float32)
    """
    return _triangle(x, k, np.triu)
