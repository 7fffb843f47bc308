"""Where the time of a training step goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from foundation_nn.inspection._record import Record, Recorder
from foundation_nn.inspection._record import backward as walk_back
from foundation_nn.inspection._record import forward as call
from foundation_nn.inspection._table import table

#: Width of the square product that stands for what the machine can do.
PEAK_WIDTH = 768


@dataclass(frozen=True)
class OperationTime:
    """What the calls of one operation take in one run.

    Attributes
    ----------
    operation : str
    calls : int
        In the forward pass.
    forward, backward : float
        Seconds.
    flops : int
        Of the matrix products, forward and backward.
    """

    operation: str
    calls: int
    forward: float
    backward: float
    flops: int

    @property
    def seconds(self) -> float:
        return self.forward + self.backward

    @property
    def flops_per_second(self) -> float:
        return self.flops / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """The time by operation, longest first; prints as a table.

    Attributes
    ----------
    rows : tuple of OperationTime
    seconds : float
        Of one run without the watch, forward and backward.
    peak : float
        FLOP/s of a square matrix product, measured in the same minute.
    """

    rows: tuple[OperationTime, ...]
    seconds: float
    peak: float

    def __iter__(self) -> Iterator[OperationTime]:
        return iter(self.rows)

    def __getitem__(self, operation: str) -> OperationTime:
        return {row.operation: row for row in self.rows}[operation]

    def __str__(self) -> str:
        inside = sum(row.seconds for row in self)
        whole = max(self.seconds, inside)
        rows = [
            (
                row.operation,
                str(row.calls),
                _ms(row.forward),
                _ms(row.backward),
                f"{row.seconds / whole:.1%}",
                f"{row.flops_per_second / 1e9:.1f}" if row.flops else "",
                f"{row.flops_per_second / self.peak:.0%}" if row.flops else "",
            )
            for row in self
        ]
        forward, backward = (sum(getattr(row, part) for row in self) for part in PARTS)
        calls = str(sum(row.calls for row in self))
        rows.append(
            ("all operations", calls, _ms(forward), _ms(backward), f"{inside / whole:.1%}", "", "")
        )
        header = ("operation", "calls", "forward ms", "backward ms", "share", "GFLOP/s", "of peak")
        return "\n".join(
            [
                *table(header, rows, "<" + ">" * 6),
                f"one run: {_ms(self.seconds)} ms; the peak, a product of two {PEAK_WIDTH} × "
                f"{PEAK_WIDTH} matrices: {self.peak / 1e9:.1f} GFLOP/s",
            ]
        )


PARTS = ("forward", "backward")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3f}"


def profile(
    model_or_fn: Callable[..., Any], *inputs: Any, backward: bool = True, repeat: int = 5
) -> Profile:
    """Measure how long each operation takes, forward and backward.

    What the operations leave of a run is Python: the engine, the modules, and your own lines.
    Matrix products are compared with what the machine reaches on a large square one, with as many
    threads and in the same dtype. Gradients are left as they were.

    Parameters
    ----------
    model_or_fn : Module or callable
        ``profile(model, x)``, or ``profile(loss, model, batch)`` with the loss that a Trainer is
        given. Returns a tensor, or a tuple of which the first tensor counts.
    *inputs
        What it is called with.
    backward : bool
        Also walk back, from the sum of what is returned.
    repeat : int
        Runs to average over, after one to warm up.

    Returns
    -------
    Profile
        To ``print``; its rows can be iterated over and looked up by the name of the operation.

    Raises
    ------
    TypeError
        If no tensor is returned.
    ValueError
        If ``repeat`` is less than one.
    RuntimeError
        If there is nothing to differentiate.
    """
    if repeat < 1:
        raise ValueError(f"profile: expected repeat >= 1, got {repeat}")

    def run() -> Any:
        output = call("profile", model_or_fn, inputs)
        if backward:
            with walk_back(output):
                pass
        return output.dtype

    dtype = run()
    records: list[Record] = []
    seconds = 0.0
    for _ in range(repeat):  # taking turns, so that both see the same machine
        started = perf_counter()
        run()
        seconds += perf_counter() - started
        with Recorder() as recorder:
            run()
        records += recorder.records
    return Profile(_by_operation(records, repeat), seconds / repeat, _peak(dtype))


def _by_operation(records: list[Record], repeat: int) -> tuple[OperationTime, ...]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.operation, []).append(record)
    rows = []
    for operation, group in groups.items():
        forward = [r.seconds for r in group if r.phase == "forward"]
        backward = [r.seconds for r in group if r.phase == "backward"]
        flops = sum(r.flops for r in group)
        rows.append(
            OperationTime(
                operation,
                len(forward) // repeat,
                sum(forward) / repeat,
                sum(backward) / repeat,
                flops // repeat,
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.seconds))


def _peak(dtype: DTypeLike) -> float:
    """FLOP/s of the fastest of a few square matrix products."""
    a = np.ones((PEAK_WIDTH, PEAK_WIDTH), dtype)
    out = a @ a
    times = []
    for _ in range(4):
        started = perf_counter()
        np.matmul(a, a, out=out)
        times.append(perf_counter() - started)
    return 2 * PEAK_WIDTH**3 / min(times)
