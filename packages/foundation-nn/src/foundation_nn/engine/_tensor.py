"""The tensor: an array, its gradient, and how it goes back along the tape.

Its operators and methods stand in :mod:`foundation_nn.engine._methods`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from foundation_nn._arguments import described
from foundation_nn.engine._habits import Count, explains_keywords
from foundation_nn.engine._html import heading, table
from foundation_nn.engine._methods import Axis, Methods
from foundation_nn.engine._numpy_calls import call_numpy, call_ufunc
from foundation_nn.engine._tape import Node, recording
from foundation_nn.engine._walk import walk

__all__ = ["Axis", "Tensor", "check_floating", "result"]


def check_floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Refuse floating dtypes that are not computed in; ``dtype`` itself if it is fine.

    Half precision is a format for files: sums end at 65504, and squares below 6e-8 vanish.
    """
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        raise TypeError(
            f"expected numbers in float32 or float64, got {dtype}; convert them first: "
            "array.astype(np.float32)"
        )
    return dtype


def _check_can_have_gradient(dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f":
        raise TypeError(
            f"only floating tensors can have gradients, got dtype {dtype}; write floats (1.0, not "
            "1) or pass dtype=np.float32"
        )


def _check_is_bool(requires_grad: Any) -> None:
    if not isinstance(requires_grad, bool | np.bool_):
        fix = ""
        if isinstance(requires_grad, type | np.dtype):
            fix = "; a dtype is passed by name: Tensor(x, dtype=...)"
        raise TypeError(f"requires_grad is True or False, got {described(requires_grad)}{fix}")


class Tensor(Methods):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Copied. Python floats become float32; arrays of float32, float64, integers or booleans
        keep their dtype, and half precision is refused.
    requires_grad : bool
        Whether ``backward`` shall leave a gradient in ``grad``. Needs a floating dtype.
    dtype : dtype, optional
        Overrides the dtype of ``data``.

    Attributes
    ----------
    data : ndarray
        The value, read-only, so that nothing can change under a pending ``backward``. A leaf is
        given a new value by assignment: ``x.data = value``.
    grad : ndarray or None
        The accumulated gradient of a leaf, of the shape and dtype of ``data``.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_data", "_leaf", "_node", "_version", "grad")

    @explains_keywords
    def __init__(
        self, data: ArrayLike | Tensor, requires_grad: bool = False, dtype: DTypeLike | None = None
    ) -> None:
        array = data._data if isinstance(data, Tensor) else data
        if dtype is None and not isinstance(array, np.ndarray | np.generic):
            array = np.asarray(array)
            dtype = np.float32 if array.dtype.kind == "f" else array.dtype
        self._data: NDArray[Any] = np.array(array, dtype=dtype)
        if self._data.dtype.kind not in "fiub":
            what = described(data)
            if isinstance(data, np.ndarray | list | tuple):
                what = f"dtype {self._data.dtype}"
            raise TypeError(f"a Tensor holds numbers, got {what}")
        check_floating(self._data.dtype)
        _check_is_bool(requires_grad)
        if requires_grad:
            _check_can_have_gradient(self._data.dtype)
        self._data.flags.writeable = False
        self.grad: NDArray[Any] | None = None
        self._leaf = bool(requires_grad)
        self._node: Node | None = None
        self._version = 0

    @classmethod
    def wrap(cls, array: NDArray[Any]) -> Tensor:
        """A constant that shares the memory of ``array``, for data too large to copy."""
        check_floating(array.dtype)
        return result(array.view(), None)

    @property
    def data(self) -> NDArray[Any]:
        return self._data

    @data.setter
    def data(self, value: ArrayLike) -> None:
        self._assign(value)

    def _assign(self, value: ArrayLike) -> None:
        if self._node is not None:
            raise ValueError("only a leaf can be given a new value, not the result of an operation")
        array = np.asarray(value, dtype=self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"expected a value of shape {self.shape}, got {array.shape}")
        self._write(array)
        self._version += 1

    def _write(self, array: NDArray[Any]) -> None:
        self._data = array.copy()
        self._data.flags.writeable = False

    def _adopt(self, array: NDArray[Any]) -> None:
        """Take an array of this shape and dtype over as the value, without a copy if it can be."""
        self._data = np.asarray(array, dtype=self.dtype, order="C")
        self._data.flags.writeable = False
        self._version += 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        """How many elements there are; the length of an axis is ``x.shape[axis]``."""
        return Count(self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows to this tensor; of a leaf it can be set."""
        return self._leaf or self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        _check_is_bool(value)
        if self._node is not None:
            raise ValueError(
                "only a leaf can be told whether it has a gradient, not the result of an "
                "operation; x.detach() is the same value without one"
            )
        if value:
            _check_can_have_gradient(self.dtype)
        self._leaf = bool(value)
        if not value:
            self.grad = None

    def item(self) -> float:
        """The value of a tensor with one element, as a Python number.

        Raises
        ------
        ValueError
            If there are more elements, or none.
        """
        if self._data.size != 1:
            raise ValueError(
                f"only a tensor with one element is a number, got shape {self.shape}; reduce it "
                "with .mean() or .sum(), or write x.tolist() for all numbers"
            )
        return self._data.item()  # type: ignore[no-any-return]

    def numpy(self) -> NDArray[Any]:
        """A copy of the value that one may write to."""
        return self._data.copy()

    def detach(self) -> Tensor:
        """The same value, cut off from the tape."""
        return Tensor.wrap(self._data)

    @explains_keywords
    def backward(self, gradient: ArrayLike | None = None) -> None:
        """Add the gradient of this tensor to ``grad`` of every leaf it was computed from.

        Each recorded operation can be walked once; what it saved is freed on the way.

        Parameters
        ----------
        gradient : array_like, optional
            The gradient with respect to this tensor, of its shape. A scalar needs none.

        Raises
        ------
        RuntimeError
            If nothing was recorded, the graph has been used already, or a parameter was changed
            between the forward and the backward pass.
        ValueError
            If the tensor is not a scalar and no ``gradient`` is given, or its shape is wrong.
        """
        if gradient is None:
            if self._data.size != 1:
                raise ValueError(
                    f"backward() starts from a scalar, got shape {self.shape}; reduce it with "
                    ".sum() or .mean(), or pass the gradient"
                )
            gradient = np.empty_like(self._data)
            gradient.fill(1)  # a third of the time of np.ones
        seed = np.asarray(gradient, dtype=self._data.dtype)
        if seed.shape != self._data.shape:
            raise ValueError(f"expected a gradient of shape {self.shape}, got {seed.shape}")
        if self._node is not None:
            walk(self._node, seed)
        elif self._leaf:
            self._accumulate(seed)
        else:
            raise RuntimeError(
                "nothing to differentiate: no input of this computation has requires_grad=True "
                "(is every layer frozen?), or it ran under no_grad()"
            )

    def _accumulate(self, g: NDArray[Any]) -> None:
        if self.grad is None:
            self.grad = np.array(g, dtype=self._data.dtype)  # a copy: g may belong to others, too
        elif self.grad.shape != g.shape:
            raise ValueError(
                f"a gradient of shape {self.grad.shape} was assigned to a tensor of shape "
                f"{self.shape}, so that nothing can be added to it; give it the shape of the tensor"
            )
        else:
            self.grad += g

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For copies and pickles, which the result of a recorded operation does not have.

        The copy would lead back to copies of the leaves, and their gradients would be lost.
        """
        if self._node is not None:
            raise TypeError(
                f"a tensor of shape {self.shape} is the result of a recorded operation and cannot "
                "be copied or pickled, because gradients would not find the way back; write "
                "x.detach() for its value without gradient, or compute it within no_grad()"
            )
        return super().__reduce_ex__(protocol)

    def __setstate__(self, state: Any) -> None:
        """For copies and pickles, whose array NumPy makes one that may be written to."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self._data.flags.writeable = False

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """What ``np.asarray(x)`` gives; refused where it would cut the tape without a word."""
        if self.requires_grad and recording.get():
            raise TypeError(
                "this tensor is part of a recorded computation, and a NumPy array of it would "
                "have no gradient; write x.data for its value, x.numpy() for a copy that you may "
                "change, x.detach() for a tensor without gradient, or "
                "foundation_nn.functional.stack([x, y]) for one tensor of several"
            )
        return np.array(self.data, dtype=dtype, copy=copy)  # a parameter's is read-only

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """What ``np.concatenate([x, y])`` does: see :mod:`foundation_nn.engine._numpy_calls`."""
        return call_numpy(function, args, kwargs)

    def __array_ufunc__(self, function: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        """What ``np.exp(x)`` and ``array * x`` do."""
        return call_ufunc(function, method, args, kwargs)

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", prefix="Tensor(")
        extra = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({body}, dtype={self.dtype}{extra})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        facts = f"{self.shape} {self.dtype}" + (", requires_grad" if self.requires_grad else "")
        return heading(type(self).__name__, facts) + table(self._data)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a tensor of shape () is one number and has no length")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:  # without this, Python would find nothing in it, and say nothing
            raise TypeError("a tensor of shape () is one number; it cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise ValueError(
                f"a tensor of shape {self.shape} is neither true nor false; write x.any() or "
                "x.all()"
            )
        return bool(self._data)

    def __index__(self) -> int:
        """For ``range(n)`` and ``words[n]`` with a whole number."""
        if self._data.size != 1 or self.dtype.kind not in "iub":
            raise TypeError(
                f"only one whole number can be an index or a count, got a tensor of {self.dtype} "
                f"and shape {self.shape}"
            )
        return int(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __round__(self, digits: int | None = None) -> float:
        """``round(loss, 2)``: a Python number, as of any other number."""
        return round(float(self), digits)

    def __format__(self, form: str) -> str:
        """``f"{loss:.4f}"`` for a tensor with one element; a tensor as text has no form."""
        if not form:
            return str(self)
        if self.size != 1:
            raise TypeError(
                f"a format such as {form!r} is for one number, got a tensor of shape {self.shape}; "
                "format its elements, or reduce it with .mean() or .sum()"
            )
        return format(self.item(), form)

    # Comparisons give plain boolean arrays. A tensor is hashed by what it is, not by its numbers,
    # so that it can be a key of a dictionary; whether two names are one tensor says ``is``.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return np.asarray(self._data == _value(other))

    def __ne__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return np.asarray(self._data != _value(other))

    def __lt__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.less(self._data, _value(other)))

    def __le__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.less_equal(self._data, _value(other)))

    def __gt__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.greater(self._data, _value(other)))

    def __ge__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.greater_equal(self._data, _value(other)))


def result(y: Any, node: Node | None) -> Tensor:
    if type(y) is not np.ndarray:  # NumPy reduces 0-d arrays to scalars
        y = np.asarray(y)
    y.setflags(False)  # four times as fast as by ``y.flags``
    tensor = Tensor.__new__(Tensor)
    tensor._data = y
    tensor.grad = None
    tensor._leaf = False
    tensor._node = node
    tensor._version = 0
    return tensor


def _value(x: Any) -> Any:
    """What to compare with: comparing cuts no tape, it has no gradient."""
    return x._data if isinstance(x, Tensor) else x
