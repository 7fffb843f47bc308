"""Where the first NaN or infinity came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from foundation_nn.inspection._record import Record, Recorder, name_modules
from foundation_nn.inspection._record import backward as walk_back
from foundation_nn.inspection._record import forward as call


@dataclass(frozen=True)
class NonFinite:
    """The first operation with a result that is not finite; ``str`` says it in one sentence.

    Attributes
    ----------
    record : Record
        The operation, its phase, layer and source line.
    output : str
        The name of the result: ``y`` in the forward pass, ``dx``, ``dweight``, … in the backward.
    count, size : int
        How many of its elements are not finite, and how many there are.
    index : tuple of int
        Of the first of them.
    value : float
        NaN or an infinity.
    inputs : tuple of str
        Inputs of the operation that were not finite already: data or parameters.
    """

    record: Record
    output: str
    count: int
    size: int
    index: tuple[int, ...]
    value: float
    inputs: tuple[str, ...]

    def __str__(self) -> str:
        r = self.record
        layer = f" in layer {r.module} ({r.kind})" if r.module else f" in {r.kind}" * bool(r.kind)
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        cause = (
            f"it was given {' and '.join(self.inputs)} that was not finite"
            if self.inputs
            else "all of its inputs were finite"
        )
        return (
            f"{r.phase} of {r.operation}{layer}: {self.output}{place} is {self.value} (not finite: "
            f"{self.count} of {self.size} elements); {cause} ({r.source})"
        )


class _Finder(Recorder):
    found: NonFinite | None = None

    def look(self, record: Record, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        for name, array in outputs.items() if self.found is None else ():
            bad = _bad(array)
            if bad.any():
                index = np.unravel_index(int(bad.argmax()), bad.shape) if bad.ndim else ()
                self.found = NonFinite(
                    record,
                    name,
                    int(bad.sum()),
                    bad.size,
                    tuple(int(i) for i in index),
                    float(np.asarray(array)[index]),
                    tuple(other for other, x in inputs.items() if _bad(x).any()),
                )
                return


def _bad(array: Any) -> Any:
    return np.asarray(~np.isfinite(array))


def first_non_finite(fn: Callable[..., Any], *inputs: Any) -> NonFinite | None:
    """Run a model or function again and name the operation that made the first NaN or infinity.

    The forward pass is searched first; if its result is finite, the backward pass is. What stays
    inside, such as an infinity that a mask removes, is not reported while the result and the
    gradients of all leaves are finite. Gradients are left as they were. To see the same dropout
    again, call it within ``train_mode`` of a generator in the same state.

    Parameters
    ----------
    fn : Module or callable
        Returns a tensor, or a tuple of which the first tensor counts: a loss, for instance.
    *inputs
        What it is called with. A model among them gives its names to the layers.

    Returns
    -------
    NonFinite or None
        None if nothing is wrong.

    Examples
    --------
    >>> from foundation_nn import Tensor, first_non_finite, functional as F
    >>> found = first_non_finite(lambda x: F.log(x - 1).sum(), Tensor([2.0, 1.0]))
    >>> found.record.phase, found.record.operation, found.output, found.index, found.value
    ('forward', 'log', 'y', (1,), -inf)
    """
    finder = _Finder()
    name_modules(finder, (fn, *inputs))
    with finder, np.errstate(all="ignore"):
        output = call("first_non_finite", fn, inputs)
        if _bad(output.data).any():
            return finder.found
        finder.found = None  # it did not reach the result
        if not output.requires_grad:
            return None
        with walk_back(output) as leaves:
            finite = not any(_bad(leaf.grad).any() for leaf in leaves if leaf.grad is not None)
    return None if finite else finder.found
