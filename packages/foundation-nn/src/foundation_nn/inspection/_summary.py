"""A table of a model's layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from foundation_nn.engine._tape import no_grad
from foundation_nn.inspection._record import Recorder, first_tensor
from foundation_nn.inspection._table import engineering
from foundation_nn.modules._module import Module


class _Row(NamedTuple):
    """A line of the table."""

    name: str
    kind: str
    numbers: int  # in parameters
    frozen: int  # of these
    shape: str
    flops: int
    bytes: int


class _Shapes(Recorder):
    """Also keeps the shape of what each module returned last."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[str, str] = {}

    def module_done(self, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            self.shapes[self.path] = str(tensor.shape)


def summary(model: Module, *inputs: Any, depth: int = 2) -> str:
    """The parameters of a model, layer by layer, as text; with inputs also what they cost.

    Parameters
    ----------
    model : Module
    *inputs
        If given, the model is called with them, without recording, and the table also shows, for
        each layer, the shape of its (first) output, the FLOPs of its matrix products in the
        forward pass (2 m n k for each) and the bytes of all arrays that its operations made.
    depth : int
        How far to open nested modules. Shared parameters count where they occur first.

    Returns
    -------
    str
        A table to print. What the model holds under two names, on purpose (tied weights) or by
        mistake (``[Linear(3, 3)] * 4``), is named beneath.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import MLP, summary
    >>> print(summary(MLP([2, 8, 1])))
    layer      kind          parameters
    0          Linear                24
    2          Linear                 9
    total      MLP                   33
    >>> print(summary(MLP([2, 8, 1]), np.ones((4, 2), np.float32)))
    layer      kind          parameters     output       FLOPs       bytes
    0          Linear                24     (4, 8)         128         128
    1          ReLU                   0     (4, 8)           0         128
    2          Linear                 9     (4, 1)          64          16
    total      MLP                   33     (4, 1)         192         272

    What is frozen has a column of its own:

    >>> model = MLP([2, 8, 1])
    >>> _ = model[0].freeze()
    >>> print(summary(model))
    layer      kind          parameters        frozen
    0          Linear                24            24
    2          Linear                 9             0
    total      MLP                   33            24
    trainable: 9 of 33 parameters
    """
    watcher = _Shapes()
    watcher.name_modules(model)
    if inputs:
        with watcher, no_grad():
            model(*inputs)
    costs: dict[str, tuple[int, int]] = {}
    for record in watcher.records:
        flops, nbytes = costs.get(record.module, (0, 0))
        costs[record.module] = (flops + record.flops, nbytes + record.bytes)

    seen: set[int] = set()
    rows: list[_Row] = []

    def own(module: Module) -> tuple[int, int]:
        """How many numbers no row has shown yet, and how many of them are frozen."""
        new = [p for p in module.parameters() if id(p) not in seen]
        seen.update(map(id, new))
        return sum(p.size for p in new), sum(p.size for p in new if not p.requires_grad)

    def take(path: str) -> tuple[int, int]:
        """The costs of a module and all within that no row has shown yet."""
        inside = [p for p in costs if p == path or not path or p.startswith(path + ".")]
        taken = [costs.pop(p) for p in inside]
        return sum(flops for flops, _ in taken), sum(nbytes for _, nbytes in taken)

    def visit(module: Module, path: str, level: int) -> None:
        children = [(n, m) for n, m in module._children() if isinstance(m, Module)]
        if level < depth and children:
            for name, child in children:
                visit(child, f"{path}.{name}" if path else name, level + 1)
        count, frozen = own(module)
        flops, nbytes = take(path)
        if count or flops or nbytes:
            name, kind = path or "(itself)", type(module).__name__
            shape = watcher.shapes.get(path, "")
            rows.append(_Row(name, kind, count, frozen, shape, flops, nbytes))

    visit(model, "", 0)
    count = model.num_parameters()
    rows.append(
        _Row(
            "total",
            type(model).__name__,
            count,
            count - model.num_parameters(trainable=True),
            watcher.shapes.get("", ""),
            sum(record.flops for record in watcher.records),
            sum(record.bytes for record in watcher.records),
        )
    )
    names = max(10, *(len(row.name) for row in rows))
    kinds = max(10, *(len(row.kind) for row in rows))
    shapes = max(10, *(len(row.shape) for row in rows))
    lines = [f"{'layer':{names}} {'kind':{kinds}} {'parameters':>13}"]
    lines += [f"{row.name:{names}} {row.kind:{kinds}} {row.numbers:13,}" for row in rows]
    if rows[-1].frozen:
        lines[0] += f" {'frozen':>13}"
        for i, row in enumerate(rows, 1):
            lines[i] += f" {row.frozen:13,}"
    if inputs:
        lines[0] += f" {'output':>{shapes}} {'FLOPs':>11} {'bytes':>11}"
        for i, row in enumerate(rows, 1):
            cost = f" {engineering(row.flops):>11} {engineering(row.bytes):>11}"
            lines[i] += f" {row.shape:>{shapes}}{cost}"
    if rows[-1].frozen:
        lines.append(f"trainable: {count - rows[-1].frozen:,} of {count:,} parameters")
    lines += [f"shared: {name} is {first}" for name, first in _shared(model)]
    return "\n".join(lines)


def _shared(model: Module) -> Iterator[tuple[str, str]]:
    """Every further name of a module, parameter or buffer, with its first one.

    Of a shared module its name alone, not those of all that is within.
    """
    first: dict[int, str] = {}
    inside: tuple[str, ...] = ()  # what the names of the content of shared modules begin with
    for name, thing in chain(model.named_modules(), model._all_names()):
        if id(thing) not in first:
            first[id(thing)] = name
        elif not name.startswith(inside):
            yield name, first[id(thing)]
            if isinstance(thing, Module):
                inside += (name + ".",)
