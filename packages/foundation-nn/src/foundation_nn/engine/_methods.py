"""The operators and methods of a tensor: each is an operation under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._operators import operators

if TYPE_CHECKING:
    from foundation_nn.engine._tensor import Tensor

Axis: TypeAlias = "int | tuple[int, ...] | None"


class Methods:
    """What one can do with a tensor: ``x + y``, ``x[0]``, ``x.sum()``; the base of ``Tensor``."""

    __slots__ = ()

    if TYPE_CHECKING:
        _data: NDArray[Any]

        @property
        def shape(self) -> tuple[int, ...]: ...

        @property
        def ndim(self) -> int: ...

    def __add__(self, other: Any) -> Tensor:
        return operators.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return operators.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return operators.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return operators.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return operators.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return operators.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return operators.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return operators.divide(other, self)

    def __pow__(self, exponent: Any) -> Tensor:
        return operators.power(self, exponent)

    def __rpow__(self, base: Any) -> Tensor:
        return operators.power(base, self)

    def __neg__(self) -> Tensor:
        return operators.negative(self)

    def __pos__(self) -> Tensor:
        return operators.multiply(self, 1)

    def __abs__(self) -> Tensor:
        return operators.abs(self)

    def __matmul__(self, other: Any) -> Tensor:
        return operators.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return operators.matmul(other, self)

    def __getitem__(self, index: Any) -> Tensor:
        return operators.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "Tensor: nothing is changed in place, as a backward may need the old numbers; write "
            "foundation_nn.functional.where(mask, value, x), or x.data = array for a whole leaf"
        )

    def reshape(self, *shape: Any) -> Tensor:
        return operators.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        """Permute the axes as NumPy does: all of them, in their new order; reversed by default.

        Raises
        ------
        ValueError
            If the numbers are no permutation, or are written out and change nothing:
            ``x.transpose(0, 1)`` of a matrix exchanges two axes in PyTorch, and is the matrix
            itself in NumPy.
        """
        if not axes:
            return operators.transpose(self, None)
        if len(axes) == 1 and np.ndim(axes[0]):
            return operators.transpose(self, axes[0])
        if len(axes) == self.ndim > 1 and all(a % self.ndim == i for i, a in enumerate(axes)):
            raise ValueError(
                f"transpose{axes}: this is the order that the axes of shape {self.shape} have; "
                "to exchange two axes write x.swapaxes(i, j), or x.mT for the last two"
            )
        return operators.transpose(self, axes)

    @explains_keywords
    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return operators.swapaxes(self, axis1, axis2)

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order: of a matrix, the transpose."""
        return operators.transpose(self, None)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged: the transpose of every matrix in a stack."""
        if self.ndim < 2:
            raise ValueError(f"mT: expected at least two axes, got shape {self.shape}")
        return operators.swapaxes(self, -1, -2)

    @explains_keywords
    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operators.sum(self, axis, keepdims)

    @explains_keywords
    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operators.mean(self, axis, keepdims)

    @explains_keywords
    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operators.max(self, axis, keepdims)

    @explains_keywords
    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operators.min(self, axis, keepdims)

    def exp(self) -> Tensor:
        return operators.exp(self)

    def log(self) -> Tensor:
        return operators.log(self)

    def sqrt(self) -> Tensor:
        return operators.sqrt(self)

    @explains_keywords
    def cumsum(self, axis: int | None = None) -> Tensor:
        return operators.cumsum(self, axis)

    @explains_keywords
    def var(self, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Tensor:
        return operators.var(self, axis, keepdims, ddof)

    @explains_keywords
    def std(self, axis: Axis = None, keepdims: bool = False, ddof: float = 0) -> Tensor:
        return operators.std(self, axis, keepdims, ddof)

    @explains_keywords
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return operators.clip(self, min, max)

    def abs(self) -> Tensor:
        return operators.abs(self)

    @explains_keywords
    def norm(self, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operators.norm(self, ord, axis, keepdims)

    @explains_keywords
    def astype(self, dtype: DTypeLike) -> Tensor:
        return operators.astype(self, dtype)

    def flatten(self) -> Tensor:
        """All elements in a row."""
        return operators.reshape(self, -1)

    def ravel(self) -> Tensor:
        """All elements in a row, as :meth:`flatten`."""
        return operators.reshape(self, -1)

    @explains_keywords
    def squeeze(self, axis: Axis = None) -> Tensor:
        return operators.squeeze(self, axis)

    @explains_keywords
    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        return operators.repeat(self, repeats, axis)

    # Questions, whose answers are plain arrays and values, without a gradient.

    @explains_keywords
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Any:
        return np.argmax(self._data, axis, keepdims=keepdims)

    @explains_keywords
    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Any:
        return np.argmin(self._data, axis, keepdims=keepdims)

    @explains_keywords
    def argsort(self, axis: int | None = -1, stable: bool | None = None) -> NDArray[np.intp]:
        return np.argsort(self._data, axis, stable=stable)

    @explains_keywords
    def any(self, axis: Axis = None, keepdims: bool = False) -> Any:
        return np.any(self._data, axis, keepdims=keepdims)

    @explains_keywords
    def all(self, axis: Axis = None, keepdims: bool = False) -> Any:
        return np.all(self._data, axis, keepdims=keepdims)

    def tolist(self) -> Any:
        """The numbers in nested lists."""
        return self._data.tolist()

    @explains_keywords
    def topk(self, k: int, axis: int = -1) -> tuple[Tensor, NDArray[np.intp]]:
        """The ``k`` largest elements along an axis, the largest first, and where they stand.

        Of equal elements, the one that stands first comes first. The elements have gradients, the
        places are a plain array.

        Raises
        ------
        ValueError
            If the axis has fewer than ``k`` elements.

        Examples
        --------
        >>> from foundation_nn import Tensor
        >>> values, indices = Tensor([3.0, 9.0, 5.0]).topk(2)
        >>> values.data, indices
        (array([9., 5.], dtype=float32), array([1, 2]))
        """
        if not 0 <= k <= self.shape[axis]:
            raise ValueError(
                f"topk: expected k of at most {self.shape[axis]}, the length of axis {axis} of "
                f"shape {self.shape}, got {k}"
            )
        backwards = np.flip(self._data, axis)  # the last of a sort is the first of equal elements
        order = self.shape[axis] - 1 - np.flip(np.argsort(backwards, axis, stable=True), axis)
        indices = np.take(order, np.arange(k), axis)
        return operators.take_along_axis(self, indices, axis), indices
