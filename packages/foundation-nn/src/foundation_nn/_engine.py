"""Reverse-mode differentiation: the tensor, the tape and the one decorator.

An operation is written as a NumPy *kernel* that returns its value and its backward::

    @operation
    def multiply(x: Array, y: Array) -> Result:
        def backward(g):
            return g * y, g * x

        return x * y, backward

Calling ``multiply(a, b)`` on tensors runs the kernel on their arrays and, if any of them wants a
gradient, leaves a :class:`Node` behind. ``loss.backward()`` walks the nodes from the last to the
first. Everything that is not calculus happens here and nowhere else: un-broadcasting,
accumulation, skipping what nobody needs, freeing what has been used.

References
----------
.. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, ch. 3.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from typing import Annotated, Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

#: Marks the inputs of a kernel that carry gradients; every other parameter is an option.
#: The kernel sees NumPy arrays, the caller of the operation may pass tensors: hence ``Any``.
Array: TypeAlias = Annotated[Any, "carries a gradient"]
#: ``backward(g)``: from the gradient of the value to one gradient (or None) per ``Array`` input.
Backward: TypeAlias = Callable[..., Any]
#: What a kernel returns.
Result: TypeAlias = tuple[Any, Backward]

P = ParamSpec("P")
Out = TypeVar("Out", covariant=True)

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_creation_order = itertools.count()


@contextmanager
def no_grad() -> Iterator[None]:
    """Run operations without recording them; also a decorator.

    Examples
    --------
    >>> weight = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = weight * 3
    >>> y.requires_grad
    False
    """
    token = _recording.set(False)
    try:
        yield
    finally:
        _recording.reset(token)


class Node:
    """One recorded operation: how to go back, and where to.

    It refers to the nodes of its inputs, not to their tensors: an array stays in memory only
    while some ``backward`` closes over it.
    """

    __slots__ = ("edges", "function", "grad", "name", "order", "owned", "selective", "shape")

    def __init__(
        self, name: str, function: Backward, edges: tuple[Edge, ...], shape: Any, selective: bool
    ) -> None:
        self.name = name
        self.function: Backward | None = function
        self.edges = edges
        self.shape = shape
        self.selective = selective
        self.order = next(_creation_order)
        self.grad: Any = None
        self.owned = False


#: Where a gradient flows: to the node that made the input, to a leaf (with the version it had
#: when it was read), or nowhere.
Edge: TypeAlias = "Node | tuple[Tensor, int] | None"


class Tensor:
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Copied. Python floats become float32; arrays keep their dtype.
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

    # NumPy's own operators step back, so that ``array * tensor`` is a tensor.
    __array_ufunc__ = None

    def __init__(
        self, data: ArrayLike | Tensor, requires_grad: bool = False, dtype: DTypeLike | None = None
    ) -> None:
        array = data._data if isinstance(data, Tensor) else data
        if dtype is None and not isinstance(array, np.ndarray | np.generic):
            array = np.asarray(array)
            dtype = np.float32 if array.dtype.kind == "f" else array.dtype
        self._data: NDArray[Any] = np.array(array, dtype=dtype)
        if self._data.dtype.kind not in "fiub":
            raise TypeError(f"a Tensor holds numbers, got dtype {self._data.dtype}")
        if requires_grad and self._data.dtype.kind != "f":
            raise TypeError(
                f"only floating tensors can have gradients, got dtype {self._data.dtype}; "
                "write floats (1.0, not 1) or pass dtype=np.float32"
            )
        self._data.flags.writeable = False
        self.grad: NDArray[Any] | None = None
        self._leaf = requires_grad
        self._node: Node | None = None
        self._version = 0

    @classmethod
    def wrap(cls, array: NDArray[Any]) -> Tensor:
        """A constant that shares the memory of ``array``, for data too large to copy."""
        return _result(array.view(), None)

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

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def requires_grad(self) -> bool:
        return self._leaf or self._node is not None

    def item(self) -> float:
        """The value of a tensor with one element, as a Python number."""
        return self._data.item()  # type: ignore[no-any-return]

    def numpy(self) -> NDArray[Any]:
        """A copy of the value that one may write to."""
        return self._data.copy()

    def detach(self) -> Tensor:
        """The same value, cut off from the tape."""
        return Tensor.wrap(self._data)

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
            if self.size != 1:
                raise ValueError(
                    f"backward() starts from a scalar, got shape {self.shape}; reduce it with "
                    ".sum() or .mean(), or pass the gradient"
                )
            gradient = np.ones_like(self._data)
        seed = np.asarray(gradient, dtype=self.dtype)
        if seed.shape != self.shape:
            raise ValueError(f"expected a gradient of shape {self.shape}, got {seed.shape}")
        if self._node is not None:
            _walk(self._node, seed)
        elif self._leaf:
            self._accumulate(seed)
        else:
            raise RuntimeError(
                "nothing to differentiate: no input of this computation has requires_grad=True, "
                "or it ran under no_grad()"
            )

    def _accumulate(self, g: NDArray[Any]) -> None:
        if self.grad is None:
            self.grad = g.astype(self.dtype)  # a copy: g may belong to others, too
        else:
            self.grad += g

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", prefix="Tensor(")
        extra = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({body}, dtype={self.dtype}{extra})"

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._data)

    # Comparisons are plain boolean arrays; equality stays identity, so tensors can be dict keys.
    def __lt__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.less(self._data, _value(other)))

    def __le__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.less_equal(self._data, _value(other)))

    def __gt__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.greater(self._data, _value(other)))

    def __ge__(self, other: ArrayLike | Tensor) -> NDArray[np.bool_]:
        return np.asarray(np.greater_equal(self._data, _value(other)))

    def __add__(self, other: Any) -> Tensor:
        return _basic.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _basic.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _basic.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _basic.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _basic.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _basic.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _basic.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _basic.divide(other, self)

    def __pow__(self, exponent: float) -> Tensor:
        return _basic.power(self, exponent)

    def __neg__(self) -> Tensor:
        return _basic.negative(self)

    def __matmul__(self, other: Any) -> Tensor:
        return _basic.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _basic.matmul(other, self)

    def __getitem__(self, index: Any) -> Tensor:
        return _shaping.getitem(self, index)

    def reshape(self, *shape: Any) -> Tensor:
        return _shaping.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Tensor:
        return _shaping.transpose(self, (axes[0] if np.ndim(axes[0]) else axes) if axes else None)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return _shaping.swapaxes(self, axis1, axis2)

    @property
    def T(self) -> Tensor:
        return _shaping.transpose(self, None)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _reductions.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _reductions.mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _reductions.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _reductions.min(self, axis, keepdims)

    def exp(self) -> Tensor:
        return _basic.exp(self)

    def log(self) -> Tensor:
        return _basic.log(self)

    def sqrt(self) -> Tensor:
        return _basic.sqrt(self)


Axis: TypeAlias = "int | tuple[int, ...] | None"


def _walk(root: Node, seed: NDArray[Any]) -> None:
    """Visit every node after all of its consumers: the order of creation, backwards."""
    root.grad = seed
    queue = [(-root.order, root)]
    try:
        while queue:
            _visit(heappop(queue)[1], queue)
    except BaseException:
        for _, waiting in queue:  # a later walk must not find half a gradient here
            waiting.grad = None
        raise


def _visit(node: Node, queue: list[tuple[int, Node]]) -> None:
    """Call one backward and hand its gradients to the inputs."""
    function, edges, g = node.function, node.edges, node.grad
    if function is None:
        raise RuntimeError(
            f"{node.name}: this graph was walked by an earlier backward() and what it saved is "
            "freed; run the forward pass again, or add the losses and walk once"
        )
    node.function, node.edges, node.grad = None, (), None
    if node.selective:
        grads = function(g, tuple(edge is not None for edge in edges))
    else:
        grads = function(g)
    if len(edges) == 1 and not isinstance(grads, tuple):
        grads = (grads,)
    for edge, dx in zip(edges, grads, strict=True):
        if edge is None or dx is None:
            continue
        if type(edge) is Node:
            if edge.grad is None:
                heappush(queue, (-edge.order, edge))
            _add_to_node(edge, dx, node.name)
        else:
            leaf, version = edge  # type: ignore[misc]
            if leaf._version != version:
                raise RuntimeError(
                    f"{node.name}: a parameter of shape {leaf.shape} was changed between the "
                    "forward and the backward pass; call backward() before the optimiser's "
                    "step(), or run the forward pass again"
                )
            leaf._accumulate(_unbroadcast(dx, leaf.shape, node.name))


def _add_to_node(node: Node, dx: Any, name: str) -> None:
    if isinstance(dx, _Part):  # one of several outputs; the others may get no gradient
        if node.grad is None:
            node.grad = [None] * len(node.shape)
        node.grad[dx.index] = dx.grad
        return
    dx = _unbroadcast(dx, node.shape, name)
    if node.grad is None:
        node.grad, node.owned = dx, False
    elif node.owned:
        node.grad += dx
    else:  # the first gradient may be shared with another input: never written to
        node.grad, node.owned = node.grad + dx, True


class _Part:
    """The gradient of output number ``index`` of an operation with several outputs."""

    __slots__ = ("grad", "index")

    def __init__(self, index: int, grad: NDArray[Any]) -> None:
        self.index = index
        self.grad = grad


def _unbroadcast(g: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Sum over the axes along which an input of ``shape`` was repeated."""
    if g.shape == shape:
        return g
    new = g.ndim - len(shape)
    tail = g.shape[max(new, 0) :]
    if new < 0 or any(n not in (1, m) for n, m in zip(shape, tail, strict=True)):
        raise ValueError(f"{name}: expected a gradient of shape {shape}, backward gave {g.shape}")
    axes = tuple(range(new)) + tuple(
        new + i for i, (n, m) in enumerate(zip(shape, tail, strict=True)) if n != m
    )
    return np.asarray(g.sum(axis=axes, keepdims=True)).reshape(shape)


class Operation(Protocol[P, Out]):
    """A differentiable function on tensors; ``kernel`` is the NumPy function inside."""

    kernel: Callable[P, Result]
    __name__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Out: ...


@overload
def operation(kernel: Callable[P, Result], /) -> Operation[P, Tensor]: ...
@overload
def operation(
    *, selective: bool = ...
) -> Callable[[Callable[P, Result]], Operation[P, Tensor]]: ...
@overload
def operation(
    *, outputs: int, selective: bool = ...
) -> Callable[[Callable[P, Result]], Operation[P, tuple[Tensor, ...]]]: ...


def operation(
    kernel: Callable[P, Result] | None = None, /, *, outputs: int = 1, selective: bool = False
) -> Any:
    """Turn a NumPy kernel into a differentiable function on tensors.

    The kernel's leading parameters annotated ``Array`` are its differentiable inputs (``*xs:
    Array`` for any number of them), all others are options. It returns ``(y, backward)``;
    ``backward(g)`` gives one gradient, or None, per array input. ``backward`` never writes to
    ``g`` and may return gradients of the broadcast shape.

    Inputs that are not tensors are constants: they take the dtype of the tensors beside them.

    Parameters
    ----------
    outputs : int
        If more than one, the kernel returns ``(tuple of arrays, backward)``, the operation a
        tuple of tensors, and ``backward`` is given a list of gradients with zeros where an
        output was not used.
    selective : bool
        The kernel's backward takes a second argument, one bool per array input, and returns None
        for gradients that are not needed. Worth it where a gradient is expensive.

    Raises
    ------
    TypeError
        By the operation, when tensors of different floating dtypes meet.
    """
    if kernel is None:
        return functools.partial(operation, outputs=outputs, selective=selective)
    parameters = list(inspect.signature(kernel, eval_str=True).parameters.values())
    arrays = [p for p in parameters if p.annotation is Array]
    if not arrays or arrays != parameters[: len(arrays)]:
        raise TypeError(f"{kernel.__name__}: the parameters annotated Array must come first")
    variadic = arrays[0].kind is inspect.Parameter.VAR_POSITIONAL
    count = None if variadic else len(arrays)
    name = kernel.__name__

    @functools.wraps(kernel)
    def call(*args: Any, **kwargs: Any) -> Any:
        inputs = args[:count]
        options = args[len(inputs) :]
        if count is not None and len(inputs) < count:
            inputs += tuple(_keyword(name, p, kwargs) for p in arrays[len(inputs) :])

        recorded = False
        mixed = False
        dtype = None
        values: list[Any] = []
        edges: list[Edge] = []
        for x in inputs:
            edge: Edge = None
            if isinstance(x, Tensor):
                values.append(x._data)
                if x._node is not None:
                    edge = x._node
                    recorded = True
                elif x._leaf:
                    edge = (x, x._version)
                    recorded = True
                if dtype is not x._data.dtype:
                    mixed = mixed or dtype is not None
                    dtype = _common(name, dtype, x._data.dtype)
            else:
                values.append(x)
                mixed = mixed or x is not None
            edges.append(edge)
        recorded = recorded and _recording.get()
        if mixed:
            values = [_follow(value, dtype, recorded) for value in values]

        y, backward = kernel(*values, *options, **kwargs)
        if not recorded:
            return _result(y, None) if outputs == 1 else tuple(_result(part, None) for part in y)
        if outputs == 1:
            return _result(y, Node(name, backward, tuple(edges), y.shape, selective))
        return _several(name, y, backward, tuple(edges), selective)

    call.kernel = kernel  # type: ignore[attr-defined]
    return cast("Operation[P, Any]", call)


def _several(
    name: str, ys: Sequence[Any], backward: Backward, edges: tuple[Edge, ...], selective: bool
) -> tuple[Tensor, ...]:
    """Record an operation with several outputs: one node each, which lead to the real one."""
    shapes = [y.shape for y in ys]
    dtype = ys[0].dtype

    def gather(grads: list[Any], *needs: Any) -> Any:
        filled = [
            np.zeros(shape, dtype) if g is None else g
            for g, shape in zip(grads, shapes, strict=True)
        ]
        return backward(filled, *needs)

    node = Node(name, gather, edges, shapes, selective)
    return tuple(
        _result(y, Node(name, functools.partial(_Part, i), (node,), y.shape, False))
        for i, y in enumerate(ys)
    )


def _result(y: Any, node: Node | None) -> Tensor:
    if type(y) is not np.ndarray:  # NumPy reduces 0-d arrays to scalars
        y = np.asarray(y)
    y.flags.writeable = False
    tensor = Tensor.__new__(Tensor)
    tensor._data = y
    tensor.grad = None
    tensor._leaf = False
    tensor._node = node
    tensor._version = 0
    return tensor


def _common(name: str, first: Any, second: Any) -> Any:
    """The floating dtype of two inputs; integers and booleans follow."""
    if first is None or first.kind != "f":
        return second
    if second.kind != "f" or first == second:
        return first
    raise TypeError(
        f"{name}: inputs of dtype {first} and {second}; an operation never changes the dtype of "
        "what it is given: use model.astype(...) or Tensor(x, dtype=...)"
    )


def _follow(value: Any, dtype: np.dtype[Any] | None, keep: bool) -> Any:
    """A constant in the dtype of the tensors beside it.

    Also a Python or NumPy scalar: multiplied by a ``np.float64``, float32 would turn float64.
    An array that its owner may write to is copied if a backward will ``keep`` it.
    """
    if value is None:
        return None
    if dtype is None or dtype.kind != "f":
        return value if isinstance(value, np.ndarray) else Tensor(value)._data
    array = np.asarray(value, dtype=dtype)
    return array.copy() if keep and array is value and array.flags.writeable else array


def _keyword(name: str, parameter: inspect.Parameter, kwargs: dict[str, Any]) -> Any:
    value = kwargs.pop(parameter.name, parameter.default)
    if value is inspect.Parameter.empty:
        raise TypeError(f"{name}() is missing its argument '{parameter.name}'")
    return value


def _value(x: ArrayLike | Tensor) -> NDArray[Any]:
    return np.asarray(x)


# The operators above are operations like any other, written with the decorator of this file.
from foundation_nn.functional import _basic, _reductions, _shaping  # noqa: E402
