"""What is written down about an operation, and the watcher that writes it."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._tape import Node, Part
from foundation_nn.engine._tensor import Tensor
from foundation_nn.engine._walk import unbroadcast
from foundation_nn.engine._watch import Watcher
from foundation_nn.inspection._flops import count_flops
from foundation_nn.modules._module import Module

Shapes = dict[str, tuple[int, ...]]

#: Arrays of up to so many elements are kept, if values are asked for.
TINY = 16


@dataclass(frozen=True)
class Record:
    """One operation of a forward or a backward pass.

    Attributes
    ----------
    phase : {"forward", "backward"}
    number : int
        Counts the operations of the forward pass from 1; a backward has its forward's number.
    operation, module, kind : str
        The operation, and the path and the class of the module that called it.
    inputs, outputs : dict from name to shape
        Of a forward: the kernel's arguments and ``y`` (``z``, if one of them is y). Of a
        backward: ``g`` and, with a ``d`` before their names, the gradients of the arguments that
        need one.
    formula : str
        From the docstring of the operation; if that has none for the derivative, what
        ``backward`` returns.
    source : str
        File and line.
    seconds : float
    bytes : int
        Of the outputs, without those that are views of inputs.
    flops : int
        Of the matrix products.
    values : dict from name to ndarray
        The arrays that were kept.
    """

    phase: str
    number: int
    operation: str
    module: str
    kind: str
    inputs: Shapes
    outputs: Shapes
    formula: str
    source: str
    seconds: float
    bytes: int
    flops: int
    values: dict[str, NDArray[Any]] = field(repr=False)


class _Known(NamedTuple):
    """What is remembered of a forward for its backward."""

    forward: Record
    wanted: list[tuple[str, tuple[int, ...], int] | None]  # name, shape and FLOPs of a gradient
    formula: str
    source: str


class Recorder(Watcher):
    """Writes a :class:`Record` of every operation.

    Parameters
    ----------
    values : bool
        Keep copies of arrays with up to 16 elements.
    """

    def __init__(self, values: bool = False) -> None:
        super().__init__()
        self.records: list[Record] = []
        self._keep = values
        self._count = 0
        self._known: dict[Node, _Known] = {}

    def forward(
        self,
        kernel: Callable[..., Any],
        inputs: list[Any],
        output: Any,
        backward: Callable[..., Any],
        node: Node | None,
        seconds: float,
    ) -> None:
        self._count += 1
        about = describe(kernel)
        names = about.names(len(inputs))
        xs = {name: x for name, x in zip(names, inputs, strict=True) if x is not None}
        ys = numbered("z" if "y" in names else "y", output)
        flops = count_flops(kernel, inputs)
        record = Record(
            phase="forward",
            number=self._count,
            operation=about.name,
            module=self.path,
            kind=self.kind,
            inputs=_shapes(xs),
            outputs=_shapes(ys),
            formula=about.formula,
            source=about.source,
            seconds=seconds,
            bytes=_new_bytes(ys.values(), xs.values()),
            flops=flops.forward,
            values=self._tiny(xs | ys),
        )
        self.records.append(record)
        self.look(record, xs, ys)
        if node is not None:
            wanted = [
                None if edge is None else (f"d{name}", np.shape(x), n)
                for edge, name, x, n in zip(node.edges, names, inputs, flops.gradients, strict=True)
            ]
            formula = about.derivative or what_is_returned(backward)
            self._known[node] = _Known(record, wanted, formula, source_of(backward, kernel))

    def backward(self, node: Node, g: Any, grads: tuple[Any, ...], seconds: float) -> None:
        if grads and isinstance(grads[0], Part):
            return  # on the way from one of several outputs to the operation itself
        known = self._known.pop(node, None)
        if known is None:
            return  # made before this watcher came
        dxs, flops = {}, 0
        for dx, wanted in zip(grads, known.wanted, strict=False):
            if dx is not None and wanted is not None:
                name, shape, n = wanted
                dxs[name] = unbroadcast(dx, shape, node.name)
                flops += n
        gs = numbered("g", g)
        record = Record(
            phase="backward",
            number=known.forward.number,
            operation=known.forward.operation,
            module=known.forward.module,
            kind=known.forward.kind,
            inputs=_shapes(gs),
            outputs=_shapes(dxs),
            formula=known.formula,
            source=known.source,
            seconds=seconds,
            bytes=_new_bytes(dxs.values(), gs.values()),
            flops=flops,
            values=self._tiny(gs | dxs),
        )
        self.records.append(record)
        self.look(record, gs, dxs)

    def look(self, record: Record, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """See the arrays of a record; for subclasses."""

    def _tiny(self, arrays: dict[str, Any]) -> dict[str, NDArray[Any]]:
        if not self._keep:
            return {}
        return {name: np.array(a) for name, a in arrays.items() if np.size(a) <= TINY}


@dataclass(frozen=True)
class Description:
    """What the source of a kernel says about it."""

    name: str
    formula: str
    derivative: str
    source: str
    parameters: tuple[str, ...]
    variadic: bool

    def names(self, count: int) -> list[str]:
        """The names of ``count`` inputs."""
        if self.variadic:
            return [f"{self.parameters[0].removesuffix('s')}{i}" for i in range(count)]
        return list(self.parameters[:count])


# "dx = …", "dW_v = …", "dx̂ = …" or "d/dx = …" up to the end of the sentence; "The gradient is …".
_DERIVATIVE = (
    r"\bd(?:/dx|[A-Za-z]\u0302?(?:_\w+)?) = .*?(?=\.(?:\s|$)|\n\n|$)"
    r"|\bThe gradient is .*?(?=\.(?:\s|$)|[:;] |\n\n|$)"
)


@lru_cache(maxsize=512)
def describe(kernel: Callable[..., Any]) -> Description:
    """Read the docstring of a kernel, or of the public function that calls it."""
    private = kernel.__name__
    name = private.lstrip("_")
    public = getattr(sys.modules.get(kernel.__module__), name, None)
    doc = inspect.getdoc(kernel) or (public is not None and inspect.getdoc(public)) or ""
    doc = re.sub(r"``|\s\[\d+\]_", "", re.split(r"\n\n\w[\w ]*\n-+", doc)[0])
    first = doc.split("\n", 1)[0]
    found = re.search(_DERIVATIVE, doc, re.DOTALL)
    formula = first[: found.start()] if found and found.start() < len(first) else first
    parameters = list(inspect.signature(kernel).parameters.values())
    return Description(
        name,
        formula.rstrip(" .,;:"),
        " ".join(found.group().split()) if found else "",
        source_of(kernel, kernel),
        tuple(p.name for p in parameters),
        parameters[0].kind is inspect.Parameter.VAR_POSITIONAL,
    )


def source_of(function: Callable[..., Any], kernel: Callable[..., Any]) -> str:
    """Where a function, one of a kernel's module, begins: ``package/file.py:line``."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    folders = kernel.__module__.split(".")[:-1]
    return "/".join([*folders, os.path.basename(code.co_filename)]) + f":{code.co_firstlineno}"


def what_is_returned(backward: Callable[..., Any]) -> str:
    """The expression in the last ``return`` of a backward; of a lambda nothing."""
    code = getattr(backward, "__code__", None)
    return "" if code is None or code.co_name == "<lambda>" else _last_return(code)


@lru_cache(maxsize=512)
def _last_return(code: Any) -> str:
    try:
        lines = re.findall(r"^\s*return (.+)$", inspect.getsource(code), re.MULTILINE)
    except OSError:  # typed into an interpreter
        return ""
    return lines[-1] if lines else ""


def numbered(name: str, value: Any) -> dict[str, Any]:
    """One array by its name; several as ``name0``, ``name1``, … without those that are None."""
    if isinstance(value, tuple | list):
        return {f"{name}{i}": v for i, v in enumerate(value) if v is not None}
    return {name: value}


def _shapes(arrays: dict[str, Any]) -> Shapes:
    return {name: tuple(np.shape(a)) for name, a in arrays.items()}


def _new_bytes(arrays: Iterable[Any], sources: Iterable[Any]) -> int:
    """The memory that ``arrays`` take, as far as it is not that of ``sources``."""
    old = [np.asarray(source) for source in sources]
    total = 0
    for array in map(np.asarray, arrays):
        if array.size and not any(np.may_share_memory(array, source) for source in old):
            low, high = np.lib.array_utils.byte_bounds(array)
            total += min(array.nbytes, high - low)  # a number that was broadcast is one number
    return total


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that is the output, or the first one of a tuple, such as (loss, count)."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list):
        return next((t for t in map(first_tensor, output) if t is not None), None)
    return None


def name_modules(watcher: Watcher, things: Sequence[Any]) -> None:
    """Take the names of modules from those that the caller gave."""
    for thing in things:
        if isinstance(thing, Module):
            watcher.name_modules(thing)


def forward(caller: str, fn: Callable[..., Any], inputs: Sequence[Any]) -> Tensor:
    """Call a model or function; the first tensor of what it returns."""
    output = first_tensor(fn(*inputs))
    if output is None:
        raise TypeError(
            f"{caller}: expected a function that returns a tensor, or a tuple with one, but "
            f"{getattr(fn, '__name__', type(fn).__name__)} returned none"
        )
    return output


@contextmanager
def backward(output: Tensor) -> Iterator[list[Tensor]]:
    """Walk back as from the sum of ``output``; within, leaves have these gradients alone.

    Afterwards they have those again which they had before.
    """
    leaves = leaves_of(output)
    before = [(leaf, leaf.grad, None if leaf.grad is None else leaf.grad.copy()) for leaf in leaves]
    try:
        for leaf in leaves:
            leaf.grad = None
        output.backward(np.ones(output.shape, output.dtype))
        yield leaves
    finally:
        for leaf, grad, copy in before:
            if grad is not None and copy is not None:
                grad[...] = copy  # the walk may have used its memory
            leaf.grad = grad


def leaves_of(output: Tensor) -> list[Tensor]:
    """The leaves that ``output`` was computed from, each once."""
    if output._node is None:
        return [output]
    leaves: dict[int, Tensor] = {}
    seen, waiting = {output._node}, [output._node]
    while waiting:
        for edge in waiting.pop().edges:
            if isinstance(edge, Node):
                if edge not in seen:
                    seen.add(edge)
                    waiting.append(edge)
            elif edge is not None:
                leaves[id(edge[0])] = edge[0]
    return list(leaves.values())
