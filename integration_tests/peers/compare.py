"""A call, run by PyTorch once and by us in every layout: values, then gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from closeness import settle
from foundation_nn import Module, Tensor
from layouts import LAYOUTS, Array, Layout
from report import Report

#: Called with the floating inputs and the other arrays (ids, masks, conditions) of a sample.
Peer: TypeAlias = Callable[[list[Any], list[Any]], Any]
#: The weights of the sum of an output that is differentiated; None for a constant output.
Weights: TypeAlias = list[Array | None]


@dataclass
class Sample:
    """A call, as PyTorch makes it and as we make it.

    Parameters
    ----------
    operation, what : str
        The row of the table, and the call in short.
    theirs, ours : callable
        Take the floating inputs and the constants, and return the outputs.
    inputs, constants : list of array
    modules : (theirs, ours), optional
        Whose parameters have gradients to compare as well, by their names.
    """

    operation: str
    what: str
    theirs: Peer
    ours: Peer
    inputs: list[Array]
    constants: list[Array]
    modules: tuple[torch.nn.Module, Module] | None = None


def compare(sample: Sample, report: Report, rng: np.random.Generator) -> None:
    """Add one outcome for each layout to the report."""
    try:
        weights = draw_weights(sample, rng)
        expected = run_theirs(sample, weights)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        report.skip(sample.operation, f"PyTorch itself refuses: {type(error).__name__}")
        return

    def theirs(dtype: Any) -> dict[str, Array]:
        return expected if dtype is None else run_theirs(sample, weights, wide=True)

    for layout in LAYOUTS:
        settle(
            report,
            sample.operation,
            f"{sample.what} [{layout.name}]",
            lambda layout=layout: run_ours(sample, layout, weights),  # type: ignore[misc]
            theirs,
            None,
        )


def draw_weights(sample: Sample, rng: np.random.Generator) -> Weights:
    """Random weights of every output that depends on an input."""
    leaves = [torch.tensor(x).requires_grad_() for x in sample.inputs]
    outputs = call_theirs(sample, leaves, wide=False)
    if NotImplemented in outputs:
        raise TypeError("an operator that steps back")
    return [
        np.asarray(rng.standard_normal(tuple(y.shape)), y.detach().numpy().dtype)
        if y.requires_grad
        else None
        for y in outputs
    ]


def call_theirs(sample: Sample, leaves: list[Any], wide: bool) -> list[Any]:
    constants = [torch.tensor(array) for array in sample.constants]
    if wide:
        constants = [x.double() if x.is_floating_point() else x for x in constants]
    return as_list(sample.theirs(leaves, constants))


def run_theirs(sample: Sample, weights: Weights, wide: bool = False) -> dict[str, Array]:
    """PyTorch's outputs and gradients, by name; ``wide`` in float64."""
    dtypes = [np.float64 if wide else x.dtype for x in sample.inputs]
    leaves = [
        torch.tensor(x.astype(dtype)).requires_grad_()
        for x, dtype in zip(sample.inputs, dtypes, strict=True)
    ]
    module = sample.modules[0] if sample.modules else torch.nn.Module()
    if wide:
        module.double()
    outputs = call_theirs(sample, list(leaves), wide)
    results = {f"output {i}": y.detach().numpy().copy() for i, y in enumerate(outputs)}
    sources = {f"gradient of input {i}": leaf for i, leaf in enumerate(leaves)}
    sources |= {f"gradient of {name}": p for name, p in module.named_parameters()}
    pairs = [(y, torch.tensor(w).to(y.dtype)) for y, w in weighted(outputs, weights)]
    if pairs:
        gradients = torch.autograd.grad(
            [y for y, _ in pairs],
            list(sources.values()),
            [w for _, w in pairs],
            allow_unused=True,
            materialize_grads=True,
        )
        results |= {name: g.numpy() for name, g in zip(sources, gradients, strict=True)}
    if wide:
        module.float()
    return results


def run_ours(sample: Sample, layout: Layout, weights: Weights) -> dict[str, Array]:
    """Our outputs and gradients; inputs, constants and upstream gradients lie in this layout."""
    leaves = [Tensor(layout.store(array), requires_grad=True) for array in sample.inputs]
    constants = [layout.arrange(array) for array in sample.constants]
    parameters = {}
    if sample.modules is not None:
        theirs, ours = sample.modules
        own = dict(ours.named_parameters())
        parameters = {name: own[name] for name, _ in theirs.named_parameters()}
        for parameter in own.values():
            parameter.grad = None
    outputs = as_list(sample.ours([layout.view(leaf) for leaf in leaves], constants))
    values = [y.data if isinstance(y, Tensor) else np.asarray(y) for y in outputs]
    results = {f"output {i}": y for i, y in enumerate(values)}
    if len(outputs) != len(weights) or not weighted(outputs, weights):
        return results
    walk_back([(y, layout.arrange(w)) for y, w in weighted(outputs, weights)])
    for i, leaf in enumerate(leaves):
        gradient = gradient_of(leaf)
        if layout.name == "strided" and np.any(gradient[..., 1]):
            raise ArithmeticError("a gradient that is not zero between the numbers")
        results[f"gradient of input {i}"] = layout.view(gradient)
    results |= {f"gradient of {name}": gradient_of(p) for name, p in parameters.items()}
    return results


def walk_back(pairs: list[tuple[Tensor, Array]]) -> None:
    """Differentiate the weighted sum of all outputs; of one, with the weights as they lie."""
    first, weight = pairs[0]
    if len(pairs) == 1:
        first.backward(weight)
        return
    total = (first * weight).sum()
    for y, w in pairs[1:]:
        total = total + (y * w).sum()
    total.backward()


def weighted(outputs: list[Any], weights: Weights) -> list[tuple[Any, Array]]:
    """The outputs that are differentiated, with their weights."""
    return [(y, w) for y, w in zip(outputs, weights, strict=True) if w is not None]


def gradient_of(leaf: Tensor) -> Array:
    return np.zeros_like(leaf.data) if leaf.grad is None else leaf.grad


def as_list(outputs: Any) -> list[Any]:
    """All outputs of a call in a row: states are pairs within pairs."""
    if isinstance(outputs, list | tuple):
        return [y for part in outputs for y in as_list(part)]
    return [] if outputs is None else [outputs]
