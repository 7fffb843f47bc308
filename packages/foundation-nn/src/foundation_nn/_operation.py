"""The one decorator: from a NumPy kernel to a differentiable function on tensors.

A kernel returns its value and its backward::

    @operation
    def multiply(x: Array, y: Array) -> Result:
        def backward(g):
            return g * y, g * x

        return x * y, backward

Calling ``multiply(a, b)`` on tensors runs the kernel on their arrays and, if any of them wants a
gradient, leaves a node on the tape. ``loss.backward()`` walks the nodes from the last to the first.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Annotated, Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast, overload

import numpy as np

from foundation_nn._tape import Backward, Edge, Node, Part, recording
from foundation_nn._tensor import Tensor, result
from foundation_nn._watch import watching

#: Marks the inputs of a kernel that carry gradients; every other parameter is an option.
#: The kernel sees NumPy arrays, the caller of the operation may pass tensors: hence ``Any``.
Array: TypeAlias = Annotated[Any, "carries a gradient"]
#: What a kernel returns.
Result: TypeAlias = tuple[Any, Backward]

_FLOAT32 = np.dtype(np.float32)

P = ParamSpec("P")
Out = TypeVar("Out", covariant=True)


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
        options = args[count:] if count else ()
        if count and len(inputs) < count:
            inputs += tuple([_keyword(name, p, kwargs) for p in arrays[len(inputs) :]])

        wanted = False
        mixed = False
        dtype = None
        values: list[Any] = []
        for x in inputs:
            if isinstance(x, Tensor):
                array = x._data
                values.append(array)
                wanted = wanted or x._leaf or x._node is not None
                if array.dtype is not dtype:
                    mixed = mixed or dtype is not None
                    dtype = _common(name, dtype, array.dtype)
            else:
                values.append(x)
                mixed = mixed or x is not None
        recorded = wanted and recording.get()
        if mixed:
            if (
                dtype is not None
                and dtype.kind != "f"
                and any(isinstance(x, float) for x in inputs)
            ):
                dtype = _FLOAT32  # integers beside a Python float become what it becomes alone
            values = [_follow(value, dtype, recorded) for value in values]

        watcher = watching.get()
        started = 0.0 if watcher is None else perf_counter()
        y, backward = kernel(*values, *options, **kwargs)
        seconds = 0.0 if watcher is None else perf_counter() - started

        node = None
        if recorded:
            shape = y.shape if outputs == 1 else [part.shape for part in y]
            function = backward if outputs == 1 else _gather(backward, shape, y[0].dtype)
            node = Node(name, function, tuple([_edge(x) for x in inputs]), shape, selective)
        if watcher is not None:
            watcher.forward(kernel, values, y, backward, node, seconds)
        return result(y, node) if outputs == 1 else _several(name, y, node)

    call.kernel = kernel  # type: ignore[attr-defined]
    return cast("Operation[P, Any]", call)


def _edge(x: Any) -> Edge:
    """Where the gradient of an input flows."""
    if not isinstance(x, Tensor):
        return None
    if x._node is not None:
        return x._node
    return (x, x._version) if x._leaf else None


def _gather(backward: Backward, shapes: list[Any], dtype: Any) -> Backward:
    """The backward of several outputs, given zeros where an output was not used."""

    def gather(grads: list[Any], *needs: Any) -> Any:
        filled = [
            np.zeros(shape, dtype) if g is None else g
            for g, shape in zip(grads, shapes, strict=True)
        ]
        return backward(filled, *needs)

    return gather


def _several(name: str, ys: Sequence[Any], node: Node | None) -> tuple[Tensor, ...]:
    """Several outputs of an operation: one node each, which lead to the real one."""
    if node is None:
        return tuple([result(y, None) for y in ys])
    return tuple(
        [
            result(y, Node(name, functools.partial(Part, i), (node,), y.shape, False))
            for i, y in enumerate(ys)
        ]
    )


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
        weak = isinstance(value, np.ndarray | int)  # NumPy: an int does not widen int8
        return value if weak else Tensor(value)._data
    array = np.asarray(value, dtype=dtype)
    return array.copy() if keep and array is value and array.flags.writeable else array


def _keyword(name: str, parameter: inspect.Parameter, kwargs: dict[str, Any]) -> Any:
    value = kwargs.pop(parameter.name, parameter.default)
    if value is inspect.Parameter.empty:
        raise TypeError(f"{name}() is missing its argument '{parameter.name}'")
    return value
