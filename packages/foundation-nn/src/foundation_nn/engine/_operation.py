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
from typing import Annotated, Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast, get_args, overload

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described
from foundation_nn.engine._habits import explain_call
from foundation_nn.engine._tape import Backward, Edge, Node, Part, recording
from foundation_nn.engine._tensor import Tensor, check_floating, result
from foundation_nn.engine._threads import SERIAL_SIZE, one_blas_thread
from foundation_nn.engine._watch import watching

#: Marks the inputs of a kernel that carry gradients; every other parameter is an option.
#: The kernel sees NumPy arrays, the caller of the operation may pass tensors: hence ``Any``.
Array: TypeAlias = Annotated[Any, "carries a gradient"]
#: The same for an input that all rows share, such as a bias; see ``functional._rows``.
Vector: TypeAlias = Annotated[Any, "carries a gradient, the same for all rows"]
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
    *, integers: bool = ..., casts: bool = ..., blas: bool = ...
) -> Callable[[Callable[P, Result]], Operation[P, Tensor]]: ...
@overload
def operation(
    *, outputs: int, integers: bool = ..., blas: bool = ...
) -> Callable[[Callable[P, Result]], Operation[P, tuple[Tensor, ...]]]: ...


def operation(
    kernel: Callable[P, Result] | None = None,
    /,
    *,
    outputs: int = 1,
    integers: bool = False,
    casts: bool = False,
    blas: bool = True,
) -> Any:
    """Turn a NumPy kernel into a differentiable function on tensors.

    The kernel's leading parameters annotated ``Array`` are its differentiable inputs (``*xs:
    Array`` for any number of them), all others are options. It returns ``(y, backward)``;
    ``backward(g)`` gives one gradient, or None, per array input. ``backward`` never writes to
    ``g`` and may return gradients of the broadcast shape. An input that may be left out is
    annotated ``Array | None``; elsewhere None is refused. A gradient that is expensive is returned
    as a function without arguments that computes it: it is called only if somebody needs this
    gradient, and for a weight perhaps in another thread, while the walk goes on.

    The dtype is the engine's business, not the kernel's. All inputs of a kernel have one floating
    dtype: that of the tensors among them. Constants beside them (numbers, lists, arrays) are
    converted to it, and tensors of integers become float32. Whatever NumPy scalar the kernel
    multiplies by, the result has that dtype, too.

    Parameters
    ----------
    outputs : int
        If more than one, the kernel returns ``(tuple of arrays, backward)``, the operation a
        tuple of tensors, and ``backward`` is given a list of gradients with zeros where an
        output was not used. An output of whole numbers stays whole and has no gradient: there are
        zeros for it, too.
    integers : bool
        The result for whole numbers is whole, as it is for a sum: where all inputs are integers,
        the kernel is given them as they are.
    casts : bool
        The result has the dtype that the kernel gave it, not that of the inputs. For operations
        with one output only.
    blas : bool
        Whether kernel or backward may call BLAS, as matrix products do, dot products, and sums of
        rows that are written as such. While a kernel runs on large arrays, BLAS is held to one
        thread, which takes 1 to 3 µs; ``blas=False`` spares it.

    Raises
    ------
    TypeError
        By the operation, when tensors of different floating dtypes meet, or the kernel does not
        return ``(y, backward)``.
    """
    if kernel is None:
        return functools.partial(
            operation, outputs=outputs, integers=integers, casts=casts, blas=blas
        )
    parameters = list(inspect.signature(kernel, eval_str=True).parameters.values())
    arrays = [p for p in parameters if is_annotated(p, Array, Vector)]
    _check_arrays(kernel.__name__, parameters, arrays)
    variadic = arrays[0].kind is inspect.Parameter.VAR_POSITIONAL
    count = None if variadic else len(arrays)
    optional = [p.default is None or type(None) in get_args(p.annotation) for p in arrays]
    name = kernel.__name__
    selective = getattr(kernel, "selective", False)  # backward(g, wanted), see ``by_rows``

    @functools.wraps(kernel)
    def call(*args: Any, **kwargs: Any) -> Any:
        inputs = args
        options: tuple[Any, ...] = ()
        if count is not None and len(args) != count:
            inputs = args[:count]
            options = args[count:]
            if len(args) < count:
                inputs += tuple([_keyword(kernel, p, kwargs) for p in arrays[len(args) :]])

        # One look at the inputs: which arrays, of which dtype, and whether to record. It is a
        # quarter of the time of an operation on few numbers, so it calls no functions.
        alike = True
        large = False  # enough for BLAS to use several threads
        recorded = False
        dtype: np.dtype[Any] | None = None
        values: list[Any] = []
        edges: list[Edge] = []  # where the gradient of each input goes
        for x in inputs:
            if isinstance(x, Tensor):
                array = x._data
                values.append(array)
                if x._node is not None:
                    edges.append(x._node)
                    recorded = True
                elif x._leaf:
                    edges.append((x, x._version))
                    recorded = True
                else:
                    edges.append(None)
                if array.dtype is not dtype:
                    if dtype is None:
                        dtype = array.dtype
                    else:
                        alike = False
                        dtype = _common(name, dtype, array.dtype)
                if blas and array.size >= SERIAL_SIZE:
                    large = True
            else:
                values.append(x)
                edges.append(None)
                if x is not None:
                    alike = False
                elif not optional[0 if variadic else len(edges) - 1]:
                    given = f"input {len(edges) - 1}" if variadic else arrays[len(edges) - 1].name
                    raise TypeError(
                        f"{name.lstrip('_')}: expected {given} to be a tensor or a number, got None"
                    )
        recorded = recorded and recording.get()
        if alike and dtype is not None:
            alike = dtype is _FLOAT32 or integers or dtype.kind == "f"
        if not alike or dtype is None:
            dtype = _working_dtype(dtype, inputs, integers)
            pairs = zip(inputs, values, strict=True)
            values = [_in_dtype(x, value, dtype, recorded) for x, value in pairs]
            if blas and any(isinstance(v, np.ndarray) and v.size >= SERIAL_SIZE for v in values):
                large = True
        arguments = values
        if options:
            arguments = values + [_plain(option) for option in options]
        if kwargs:
            kwargs = {key: _plain(option) for key, option in kwargs.items()}

        watcher = watching.get()
        started = 0.0 if watcher is None else perf_counter()
        returned: Any
        try:
            if large:
                with one_blas_thread():
                    returned = kernel(*arguments, **kwargs)
            else:
                returned = kernel(*arguments, **kwargs)
        except TypeError as error:
            explain_call(error, kernel, name, arguments, kwargs)
            raise
        seconds = 0.0 if watcher is None else perf_counter() - started
        y: Any
        try:
            y, backward = returned
        except (TypeError, ValueError):
            backward = None
        if not callable(backward):
            raise TypeError(
                f"{name}: a kernel returns a tuple (y, backward), where backward is a function; "
                f"got {_what_is(returned)}"
            )
        if casts:
            dtype = y.dtype
            recorded = recorded and dtype.kind == "f"
        if outputs > 1:
            y = [_result_in(dtype, part) for part in y]
        elif type(y) is not np.ndarray or y.dtype is not dtype:
            y = _result_in(dtype, y)
            recorded = recorded and y.dtype.kind == "f"  # a whole number has no gradient

        node = None
        if recorded:
            shape = y.shape if outputs == 1 else [part.shape for part in y]
            function = backward if outputs == 1 else _gather(backward, shape, dtype)
            if selective:
                wanted = tuple([edge is not None for edge in edges])
                function = functools.partial(function, wanted=wanted)
            node = Node(name, function, tuple(edges), shape, dtype, blas)
        if watcher is not None:
            watcher.forward(kernel, values, y, backward, node, seconds)
        return result(y, node) if outputs == 1 else _several(name, y, node)

    call.kernel = kernel  # type: ignore[attr-defined]
    _describe_to_callers(call, kernel, [p.name for p in arrays], outputs)
    return cast("Operation[P, Any]", call)


def _describe_to_callers(
    call: Callable[..., Any], kernel: Callable[..., Any], arrays: list[str], outputs: int
) -> None:
    """Give an operation the signature that its callers see: tensors in, and tensors out.

    The kernel's own says Array and Result. ``help`` and the pages of the site show this one, in
    words, and tools that ask for the types of annotations find the types themselves.

    Parameters
    ----------
    arrays : list of str
        Which parameters have gradients.
    """
    parameters = []
    types: dict[str, Any] = {}
    for parameter in inspect.signature(kernel).parameters.values():
        name = parameter.name
        shown = written = kernel.__annotations__.get(name, inspect.Parameter.empty)
        if name in arrays:
            optional = parameter.default is None
            shown = "Tensor | None" if optional else "Tensor"
            written = Tensor | None if optional else Tensor
        if written is not inspect.Parameter.empty:
            types[name] = written
        parameters.append(parameter.replace(annotation=shown))
    returned = "Tensor"
    types["return"] = Tensor
    if outputs > 1:
        returned = f"tuple[{', '.join(['Tensor'] * outputs)}]"
        types["return"] = tuple[(Tensor,) * outputs]  # type: ignore[misc]
    call.__annotations__ = types
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        parameters, return_annotation=returned
    )


def _check_arrays(
    name: str, parameters: list[inspect.Parameter], arrays: list[inspect.Parameter]
) -> None:
    """Refuse a kernel that does not say which of its parameters have gradients."""
    if not arrays:
        first = parameters[0].name if parameters else "x"
        raise TypeError(
            f"{name}: no parameter is annotated Array, so none would have a gradient; write "
            f"def {name}({first}: Array, ...), with Array from foundation_nn"
        )
    if arrays != parameters[: len(arrays)]:
        option = next(p.name for p in parameters if p not in arrays)
        raise TypeError(
            f"{name}: the parameters annotated Array must come first; move {option} behind "
            f"{arrays[-1].name}, or annotate it, too, if it has a gradient"
        )


def is_annotated(parameter: inspect.Parameter, *marks: Any) -> bool:
    """Whether a parameter is annotated with one of the marks, or with ``mark | None``."""
    annotation = parameter.annotation
    return annotation in marks or any(mark in get_args(annotation) for mark in marks)


def _gather(backward: Backward, shapes: list[Any], dtype: Any) -> Backward:
    """The backward of several outputs, given zeros where an output was not used."""

    def gather(grads: list[Any]) -> Any:
        filled = [
            np.zeros(shape, dtype) if g is None else g
            for g, shape in zip(grads, shapes, strict=True)
        ]
        return backward(filled)

    return gather


def _several(name: str, ys: Sequence[Any], node: Node | None) -> tuple[Tensor, ...]:
    """Several outputs of an operation: one node each, which lead to the real one.

    Whole numbers among them, such as places, have no gradient, and therefore no node.
    """
    outputs = []
    for i, y in enumerate(ys):
        part = None
        if node is not None and y.dtype.kind == "f":
            part = Node(name, functools.partial(Part, i), (node,), y.shape, y.dtype)
        outputs.append(result(y, part))
    return tuple(outputs)


def _common(name: str, first: Any, second: Any) -> Any:
    """The dtype of two tensors that meet: floating numbers before integers and booleans."""
    if first is None or first.kind != "f":
        return second
    if second.kind != "f" or first == second:
        return first
    raise TypeError(
        f"{name}: inputs of dtype {first} and {second}; an operation never changes the dtype of "
        "what it is given: use model.astype(...) or Tensor(x, dtype=...)"
    )


def _working_dtype(tensors: Any, inputs: Sequence[Any], integers: bool) -> Any:
    """The floating dtype to compute in, or None to leave integers to NumPy's own rules.

    A floating tensor decides; where there is none, a floating array does, and then the default.

    Parameters
    ----------
    tensors : dtype or None
        The common dtype of the tensors among the inputs.
    """
    if tensors is not None and tensors.kind == "f":
        return tensors
    constants = [_constant(x) for x in inputs if x is not None and not isinstance(x, Tensor)]
    floating = [x.dtype for x in constants if x.dtype.kind == "f"]
    if floating:
        return check_floating(np.result_type(*floating))
    return None if integers else _FLOAT32


def _constant(x: Any) -> NDArray[Any]:
    """The array that a number, a list or an array is; a floating number is a float32 one.

    NumPy counts a ``np.float64`` as an array, and would widen everything it meets.
    """
    if isinstance(x, np.floating):
        x = float(x)
    return x if isinstance(x, np.ndarray) else Tensor(x)._data


def _in_dtype(x: Any, value: Any, dtype: np.dtype[Any] | None, keep: bool) -> Any:
    """An input ``x`` in the dtype that the kernel computes in.

    What is no tensor may be changed by its owner. It is copied if a backward will ``keep`` it.

    Parameters
    ----------
    x : tensor, array_like or None
    value : ndarray, array_like or None
        The array of a tensor; otherwise ``x`` itself.
    """
    if value is None:
        return None
    if dtype is None:  # integers alone; NumPy's rule is that an int does not widen an int8 array
        return value if isinstance(value, np.ndarray | int) else _constant(value)
    if not isinstance(value, int | float) and np.asarray(value).dtype.kind not in "fiub":
        raise TypeError(f"an operation takes tensors and numbers, got {described(value)}")
    if keep and not isinstance(x, Tensor) and not _is_fixed(x):
        return np.array(value, dtype=dtype)
    return np.asarray(value, dtype=dtype)


def _is_fixed(x: Any) -> bool:
    """Whether nobody may write to an array, neither through it nor through what it is a view of."""
    while isinstance(x, np.ndarray) and not x.flags.writeable:
        if x.base is None:
            return True
        x = x.base
    return False


def _plain(option: Any) -> Any:
    """A NumPy scalar as a Python number, which does not widen the arrays it is multiplied by."""
    return option.item() if isinstance(option, np.floating) else option


def _result_in(dtype: np.dtype[Any] | None, y: Any) -> Any:
    """The value of a kernel in the dtype it was computed in, whatever scalar was in between."""
    if type(y) is not np.ndarray:  # NumPy reduces 0-d arrays to scalars
        y = np.asarray(y)
    if y.dtype is dtype or dtype is None or dtype.kind != "f" or y.dtype.kind != "f":
        return y
    return y.astype(dtype, copy=False)


def _what_is(returned: Any) -> str:
    """What a kernel returned instead of a value and a backward."""
    if type(returned) is tuple:
        return f"a tuple of {', '.join(type(part).__name__ for part in returned) or 'nothing'}"
    return f"a {type(returned).__name__} alone"


def _keyword(
    kernel: Callable[..., Any], parameter: inspect.Parameter, kwargs: dict[str, Any]
) -> Any:
    value = kwargs.pop(parameter.name, parameter.default)
    if value is inspect.Parameter.empty:
        name = kernel.__name__
        error = TypeError(f"{name}() is missing its argument '{parameter.name}'")
        explain_call(error, kernel, name, (), kwargs)
        raise error
    return value
