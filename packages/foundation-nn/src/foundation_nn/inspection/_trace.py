"""A forward and a backward pass, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from foundation_nn.inspection._record import Record, Recorder, Shapes, name_modules
from foundation_nn.inspection._record import backward as walk_back
from foundation_nn.inspection._record import forward as call
from foundation_nn.inspection._table import engineering, table


@dataclass(frozen=True)
class Trace(Sequence[Record]):
    """The records of a pass, in the order in which they ran; prints as a table."""

    records: tuple[Record, ...]

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        return self.records[index]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __str__(self) -> str:
        rows = [_row(record) for record in self]
        header, *lines = table(HEADER, rows, ">" + "<" * 5 + ">>")
        text = [header]
        phase = ""
        for record, line in zip(self, lines, strict=True):
            if record.phase != phase:
                phase = record.phase
                text.append(phase)
            text.append(line)
            names = max((len(name) for name in record.values), default=0)
            text += [
                f"{'':8}{name:{names}} = {_one_line(value)}"
                for name, value in record.values.items()
            ]
        return "\n".join(text)


HEADER = ("#", "layer", "operation", "shapes", "formula", "source", "µs", "bytes")


def _row(record: Record) -> tuple[str, ...]:
    return (
        str(record.number),
        record.module,
        record.operation,
        f"{_list(record.inputs)} → {_list(record.outputs)}",
        record.formula if len(record.formula) <= 60 else record.formula[:59] + "…",
        record.source.split("/", 1)[-1],
        f"{record.seconds * 1e6:.1f}",
        engineering(record.bytes),
    )


def _list(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _one_line(value: NDArray[Any]) -> str:
    text = np.array2string(
        value, precision=4, suppress_small=True, separator=", ", max_line_width=1000
    )
    return " ".join(text.split())


def trace(
    model_or_fn: Callable[..., Any], *inputs: Any, backward: bool = True, values: bool = False
) -> Trace:
    """Run a model or function and list every operation, forward and backward.

    Gradients that parameters had before are left as they were.

    Parameters
    ----------
    model_or_fn : Module or callable
        Returns a tensor, or a tuple of which the first tensor counts, such as a loss and the
        number of targets. A model among the inputs of a function gives its names to the layers.
    *inputs
        What it is called with.
    backward : bool
        Also walk back, from the sum of what is returned.
    values : bool
        Keep the values of arrays with up to 16 elements, to follow a small network by hand.

    Returns
    -------
    Trace
        A sequence of records, with shapes, formula, source line, time and bytes; ``print`` it.

    Raises
    ------
    TypeError
        If no tensor is returned.
    RuntimeError
        If there is nothing to differentiate.

    Examples
    --------
    >>> from foundation_nn import Tensor, functional as F, trace
    >>> for record in trace(F.tanh, Tensor([0.5], requires_grad=True)):
    ...     print(record.phase, record.operation, record.formula)
    forward tanh tanh x
    backward tanh d/dx = 1 - tanh² x
    """
    recorder = Recorder(values)
    name_modules(recorder, (model_or_fn, *inputs))
    with recorder:
        output = call("trace", model_or_fn, inputs)
        if backward:
            with walk_back(output):
                pass
    return Trace(tuple(recorder.records))
