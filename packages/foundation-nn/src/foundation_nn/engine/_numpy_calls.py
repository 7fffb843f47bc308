"""What happens when NumPy is given a tensor: ``np.exp(x)``, ``np.concatenate([x, y])``.

NumPy would turn the tensors into arrays, and the result would silently have no gradient. A function
that has a counterpart among our operations is therefore answered by that one. Any other function is
refused, with the name of what to use instead, if its result would have to have a gradient. Tensors
that nobody differentiates are as good as arrays: for them, NumPy's own function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from inspect import Signature, signature
from typing import Any

import numpy as np

from foundation_nn.engine._operators import operators
from foundation_nn.engine._tape import recording

#: Functions of NumPy, and the operation of the same meaning, called with the same arguments.
_COUNTERPARTS: dict[Callable[..., Any], str] = {
    np.add: "add",
    np.subtract: "subtract",
    np.multiply: "multiply",
    np.divide: "divide",
    np.negative: "negative",
    np.absolute: "abs",
    np.sign: "sign",
    np.maximum: "maximum",
    np.minimum: "minimum",
    np.clip: "clip",
    np.power: "power",
    np.matmul: "matmul",
    np.exp: "exp",
    np.log: "log",
    np.log1p: "log1p",
    np.sin: "sin",
    np.cos: "cos",
    np.sqrt: "sqrt",
    np.tanh: "tanh",
    np.sum: "sum",
    np.mean: "mean",
    np.max: "max",
    np.min: "min",
    np.cumsum: "cumsum",
    np.var: "var",
    np.std: "std",
    np.linalg.norm: "norm",
    np.concatenate: "concat",
    np.stack: "stack",
    np.where: "where",
    np.einsum: "einsum",
    np.outer: "outer",
    np.split: "split",
    np.take_along_axis: "take_along_axis",
    np.tril: "tril",
    np.triu: "triu",
    np.squeeze: "squeeze",
    np.expand_dims: "expand_dims",
    np.broadcast_to: "broadcast_to",
    np.flip: "flip",
    np.repeat: "repeat",
    np.pad: "pad",
    np.reshape: "reshape",
    np.transpose: "transpose",
    np.swapaxes: "swapaxes",
}
#: Of these the third argument by position is another one than ours, such as a dtype.
_TWO_BY_POSITION: frozenset[Callable[..., Any]] = frozenset(
    [np.sum, np.mean, np.max, np.min, np.var, np.std, np.cumsum]
)
#: What to write instead of other functions that people reach for.
_INSTEAD: dict[Callable[..., Any], str] = {
    np.hstack: "foundation_nn.functional.concat([x, y], axis=1)",
    np.vstack: "foundation_nn.functional.concat([x, y], axis=0)",
    np.dot: "x @ y",
    np.inner: "x @ y.mT",
    np.tensordot: "x @ y",
    np.vdot: "(x * y).sum()",
    np.square: "x * x",
    np.prod: "foundation_nn.functional.exp(x.log().sum())",
}
#: Functions whose results want no gradient.
_QUESTIONS: frozenset[Callable[..., Any]] = frozenset(
    [
        np.shape,
        np.ndim,
        np.size,
        np.equal,
        np.not_equal,
        np.less,
        np.less_equal,
        np.greater,
        np.greater_equal,
        np.isfinite,
        np.isnan,
        np.isinf,
        np.argmax,
        np.argmin,
        np.argsort,
        np.any,
        np.all,
        np.allclose,
        np.array_equal,
    ]
)


def call_numpy(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Answer ``function(*args, **kwargs)``, in which at least one tensor takes part.

    Raises
    ------
    TypeError
        If the result would silently be cut off from the tape.
    """
    counterpart = _COUNTERPARTS.get(function)
    if counterpart is not None:
        operation = getattr(operators, counterpart)
        alike = len(args) <= 2 or function not in _TWO_BY_POSITION
        if alike and _takes(operation, args, kwargs):
            return operation(*args, **kwargs)
    recorded = recording.get() and any(x.requires_grad for x in _tensors((args, kwargs)))
    if not recorded or function in _QUESTIONS:
        return function(*_as_arrays(args), **_as_arrays(kwargs))
    instead = _INSTEAD.get(function)
    if counterpart is not None:
        names = ", ".join(_signature(operation).parameters)
        fix = f"write foundation_nn.functional.{counterpart}({names}), which does"
    elif instead:
        fix = f"write {instead}, which does"
    else:
        fix = "there is no operation for it"
    raise TypeError(
        f"np.{function.__name__} does not record what it does, so its result would have no "
        f"gradient; {fix}. If only the numbers are wanted, give it x.data"
    )


def _takes(operation: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Whether an operation takes these arguments; ``out``, ``where`` and others it does not."""
    try:
        _signature(operation).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


@cache
def _signature(operation: Callable[..., Any]) -> Signature:
    return signature(operation)


def call_ufunc(function: np.ufunc, method: str, args: Any, kwargs: Any) -> Any:
    """The same for NumPy's element-wise functions, which have methods such as ``np.add.reduce``.

    Raises
    ------
    TypeError
        Also for a result that shall be written into an array, as by ``array += tensor``.
    """
    if kwargs.get("out") is not None:
        raise TypeError(
            f"np.{function.__name__}: the value of a tensor cannot be written into an array, as "
            "it would lose its gradient; write array = array + tensor, or use tensor.data"
        )
    if method != "__call__":
        return call_numpy(getattr(function, method), args, kwargs)
    return call_numpy(function, args, kwargs)


def _tensors(value: Any) -> Iterator[Any]:
    """All tensors within nested lists, tuples and dictionaries."""
    if hasattr(value, "requires_grad"):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _as_arrays(value: Any) -> Any:
    """The same, with the values of the tensors in their places."""
    if hasattr(value, "requires_grad"):
        return value.data
    if isinstance(value, list | tuple):
        return type(value)([_as_arrays(item) for item in value])
    if isinstance(value, dict):
        return {key: _as_arrays(item) for key, item in value.items()}
    return value
