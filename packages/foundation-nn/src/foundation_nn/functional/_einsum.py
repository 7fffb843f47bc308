"""Einstein's summation: products of any number of tensors, written with a letter for each axis."""

from __future__ import annotations

from functools import partial
from string import ascii_letters
from typing import Any

import numpy as np

from foundation_nn._arguments import described
from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Sum products over the letters that do not occur in the result, as ``numpy.einsum`` does.

    The gradient of an operand is an einsum, too: of the gradient of the result with all other
    operands, for the letters of this one. For ``ij,jk->ik``, the matrix product, that of the first
    is ``ik,jk->ij``.

    Parameters
    ----------
    subscripts : str
        The letters of the axes of each operand, separated by commas, and after ``->`` those of the
        result. ``...`` stands for all axes that have no letter, which broadcast. Without ``->`` the
        result has the letters that occur once, in the order of the alphabet.
    *operands : tensor

    Raises
    ------
    TypeError
        If the subscripts are no text.
    ValueError
        If they do not fit the shapes.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F
    >>> x, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> F.einsum("bi,oi->bo", x, w).data  # x @ w.T
    array([[1., 3.],
           [3., 7.]])
    >>> F.einsum("ii", x).item()  # the sum of the diagonal
    5.0
    """
    if not isinstance(subscripts, str):
        raise TypeError(
            f"einsum: expected the subscripts as text first, got {described(subscripts)}; "
            'write einsum("ij,jk->ik", x, y)'
        )
    shapes = [np.shape(x) for x in operands]
    terms, result = _letters(subscripts, shapes)
    return _einsum(*operands, terms=terms, result=result)


@operation(integers=True)
def _einsum(*xs: Array, terms: list[str], result: str) -> Result:
    lengths: dict[str, int] = {}
    for term, x in zip(terms, xs, strict=True):
        for letter, n in zip(term, np.shape(x), strict=True):
            lengths[letter] = n if lengths.get(letter, 1) == 1 else lengths[letter]

    def dx(i: int, g: Array) -> Array:
        others = [(term, x) for j, (term, x) in enumerate(zip(terms, xs, strict=True)) if j != i]
        around = [(result, g), *others]
        known = {letter for term, _ in around for letter in term}
        own = list(dict.fromkeys(terms[i]))  # each letter once
        size = dict(zip(terms[i], xs[i].shape, strict=True))
        # An axis of length one that was broadcast receives the sum.
        wanted = [a for a in own if a in known and size[a] == lengths[a]]
        form = ",".join(term for term, _ in around) + "->" + "".join(wanted)
        gradient = np.einsum(form, *(x for _, x in around), optimize=True)
        found = dict(zip(wanted, gradient.shape, strict=True))
        gradient = gradient.reshape([found.get(a, 1) for a in own])
        if len(own) == len(terms[i]):
            return np.broadcast_to(gradient, xs[i].shape)
        full = np.zeros(xs[i].shape, g.dtype)
        np.einsum(f"{terms[i]}->{''.join(own)}", full)[...] = gradient  # a view of the diagonal
        return full

    def backward(g: Array) -> tuple[Any, ...]:
        return tuple(partial(dx, i, g) for i in range(len(xs)))

    return np.einsum(",".join(terms) + "->" + result, *xs, optimize=True), backward


def _letters(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with letters for the axes of ``...``, too."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} is for {len(terms)} operands, got {len(shapes)}")
    unused = [letter for letter in ascii_letters if letter not in subscripts]
    dots = ""  # the letters of ``...``
    complete = []
    for term, shape in zip(terms, shapes, strict=True):
        rest = len(shape) - len(term.replace("...", ""))
        if rest < 0 or (rest and "..." not in term):
            raise ValueError(
                f"einsum: {term!r} in {subscripts!r} does not name the axes of shape {shape}"
            )
        letters = "".join(unused[:rest][::-1])  # the last axis has the first letter: they line up
        dots = max(dots, letters, key=len)
        complete.append(term.replace("...", letters))
    if not arrow:
        named = "".join(terms).replace("...", "")
        result = "..." + "".join(sorted(a for a in set(named) if named.count(a) == 1))
    return complete, result.replace("...", dots)


@operation(integers=True)
def outer(x: Array, y: Array) -> Result:
    """The products of all pairs, z_ij = x_i y_j, of tensors that are taken as vectors.

    Examples
    --------
    >>> from foundation_nn import functional as F
    >>> F.outer([1.0, 2.0], [3.0, 5.0]).data
    array([[ 3.,  5.],
           [ 6., 10.]], dtype=float32)
    """

    def backward(g: Array) -> tuple[Any, Any]:
        return lambda: (g @ y.ravel()).reshape(x.shape), lambda: (x.ravel() @ g).reshape(y.shape)

    return np.outer(x, y), backward
