"""PyTorch's operator samples, taken apart into arrays that both sides are given.

``op_db`` holds, for each operator, calls with inputs of many shapes, with extreme values and with
every option. A tensor may stand anywhere in a call: as an argument, in a list, in an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any, TypeAlias

import torch
from closeness import NotOurs
from compare import Sample
from layouts import Array
from torch.testing._internal.common_methods_invocations import op_db

#: What an operator of PyTorch is in our words: a function of the same arguments.
Adapter: TypeAlias = Callable[..., Any]

#: Of these only the first result is compared: ours give no indices and no statistics.
FIRST_OF_SEVERAL = {"max_reduction_with_dim", "min_reduction_with_dim", "native_layer_norm"}


class Slot:
    """The place of a tensor in a call."""

    def __init__(self, array: Array, floating: bool, index: int) -> None:
        self.array = array
        self.floating = floating
        self.index = index

    def __repr__(self) -> str:
        numbers = self.array.tolist() if self.array.size < 4 else ""
        return f"<{self.array.dtype}{list(self.array.shape)}{numbers}>"


def operator_samples(adapters: dict[str, Adapter], dtype: torch.dtype) -> Iterator[Sample]:
    """Every sample of every operator that has an adapter."""
    operators = {operator.formatted_name: operator for operator in op_db}
    for name, adapter in adapters.items():
        operator = operators[name]
        theirs = first_result(operator.op) if name in FIRST_OF_SEVERAL else operator.op
        # Without ``requires_grad`` there are more samples; which inputs need one, we decide.
        for sample in operator.reference_inputs("cpu", dtype, requires_grad=False):
            call = (sample.input, *sample.args), sample.kwargs
            dtypes = {x.dtype for x in tensors_in(call)}
            # Two numbers are no concern of ours, and NumPy has no bfloat16.
            if dtypes and torch.bfloat16 not in dtypes:
                yield take_apart(name, theirs, adapter, call)


def take_apart(operation: str, theirs: Adapter, ours: Adapter, call: Any) -> Sample:
    """A sample of a call ``(args, kwargs)`` with slots in place of its tensors."""
    inputs: list[Array] = []
    constants: list[Array] = []
    slots: dict[int, Slot] = {}

    def slot(x: torch.Tensor) -> Slot:
        if id(x) not in slots:
            home = inputs if x.is_floating_point() else constants
            array = x.detach().resolve_neg().resolve_conj().numpy().copy()
            slots[id(x)] = Slot(array, x.is_floating_point(), len(home))
            home.append(array)
        return slots[id(x)]

    args, kwargs = call
    if "cross_entropy" in operation.lower().replace("crossentropy", "cross_entropy"):
        # The weights of classes have no gradient in PyTorch, and probabilities have none here.
        fixed = [kwargs[name] for name in kwargs.keys() & {"weight", "pos_weight"}]
        if "binary" not in operation:
            fixed += [x for x in args[1:] if isinstance(x, torch.Tensor) and x.is_floating_point()]
        for x in fixed:
            slots[id(x)] = Slot(x.detach().numpy(), False, len(constants))
            constants.append(x.detach().numpy())
    form = replaced((args, kwargs), torch.Tensor, slot)

    def filled(tensors: list[Any], others: list[Any]) -> Any:
        return replaced(form, Slot, lambda s: (tensors if s.floating else others)[s.index])

    def run_theirs(tensors: list[Any], others: list[Any]) -> Any:
        args, kwargs = filled(tensors, others)
        return theirs(*args, **kwargs)

    def run_ours(tensors: list[Any], others: list[Any]) -> Any:
        args, kwargs = filled(tensors, others)
        if any(array.dtype.kind == "c" for array in constants) or holds_complex(args):
            raise NotOurs("complex numbers")
        try:
            signature(ours).bind(*args, **kwargs)
        except TypeError as missing:
            raise NotOurs(f"{operation}: {missing}") from None
        return ours(*args, **kwargs)

    args, kwargs = form
    what = ", ".join([*map(str, args), *(f"{name}={value}" for name, value in kwargs.items())])
    return Sample(operation, what, run_theirs, run_ours, inputs, constants)


def replaced(value: Any, kind: type, by: Callable[[Any], Any]) -> Any:
    """The same structure with something else in place of every object of a kind."""
    if isinstance(value, kind):
        return by(value)
    if type(value) in (list, tuple):
        return type(value)(replaced(part, kind, by) for part in value)
    if isinstance(value, dict):
        return {name: replaced(part, kind, by) for name, part in value.items()}
    if isinstance(value, slice):
        return slice(*(replaced(p, kind, by) for p in (value.start, value.stop, value.step)))
    return value


def tensors_in(call: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    replaced(call, torch.Tensor, found.append)
    return found


def holds_complex(args: Any) -> bool:
    found: list[complex] = []
    replaced(args, complex, found.append)
    return bool(found)


def first_result(function: Adapter) -> Adapter:
    return lambda *args, **kwargs: function(*args, **kwargs)[0]
