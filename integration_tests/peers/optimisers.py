"""Optimisers, clipping and averages: the same gradients, step for step.

The gradients do not depend on the parameters, so that no rounding error grows from step to step.
PyTorch's are told to decay matrices only, as ours do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from closeness import NotOurs, settle
from foundation_nn import Parameter, optim
from layouts import LAYOUTS, Array, Layout
from report import Report
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.testing._internal.common_optimizers import optim_db

STEPS = 12
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "one matrix": [(3, 5)],
    "matrices": [(3, 5), (7, 2), (1, 4)],
    "all kinds": [(3, 5), (5,), (2, 3, 4), (), (1,), (7, 2)],
    "several blocks": [(311, 1009), (1009, 2), (3, 5)],
}
#: How large the gradients are, and what part of them is zero.
GRADIENTS = {
    "normal": (1.0, 0.0),
    "tiny": (1e-12, 0.0),
    "huge": (1e12, 0.0),
    "sparse": (1.0, 0.7),
    "zero": (0.0, 0.0),
}


class Twin(NamedTuple):
    """Our counterpart of an optimiser: its options as we name them, and defaults that differ."""

    kind: Any
    options: dict[str, str]
    defaults: dict[str, Any]


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


OPTIMISERS = {
    "SGD": Twin(optim.SGD, same("lr", "momentum", "weight_decay"), {"lr": 1e-3}),
    "Adam": Twin(optim.Adam, same("lr", "betas", "eps"), {}),
    "AdamW": Twin(optim.AdamW, same("lr", "betas", "eps", "weight_decay"), {}),
    "RMSprop": Twin(optim.RMSprop, same("lr", "alpha", "eps", "weight_decay"), {}),
    "Adagrad": Twin(optim.Adagrad, same("lr", "eps", "weight_decay"), {}),
    "Adafactor": Twin(optim.Adafactor, same("lr", "beta2_decay", "eps", "d", "weight_decay"), {}),
    "Muon": Twin(
        optim.Muon,
        same("lr", "weight_decay", "momentum", "nesterov", "ns_steps"),
        {"scale": "original"},
    ),
}


class Problem:
    """Parameters and the gradients of each step."""

    def __init__(self, shapes: str, size: str, dtype: Any) -> None:
        rng = np.random.default_rng(0)
        scale, zeros = GRADIENTS[size]
        self.values = [np.asarray(rng.standard_normal(s), dtype) for s in SHAPES[shapes]]
        self.steps = [
            [
                np.asarray(scale * rng.standard_normal(s) * (rng.random(s) >= zeros), dtype)
                for s in SHAPES[shapes]
            ]
            for _ in range(STEPS)
        ]

    def parameters(self, layout: Layout) -> list[Parameter]:
        return [Parameter(layout.arrange(value)) for value in self.values]

    def torch_parameters(self, dtype: Any) -> list[torch.nn.Parameter]:
        return [torch.nn.Parameter(torch.tensor(v.astype(dtype))) for v in self.values]


def named(values: Iterable[Any]) -> dict[str, Array]:
    return {f"parameter {i}": np.array(value) for i, value in enumerate(values)}


def steps_of_ours(twin: Twin, given: dict[str, Any], problem: Problem, layout: Layout) -> Any:
    unknown = given.keys() - twin.options.keys()
    if unknown:
        raise NotOurs(f"{twin.kind.__name__}: {', '.join(sorted(unknown))}")
    options = {twin.options[name]: value for name, value in given.items()}
    parameters = problem.parameters(layout)
    optimiser = twin.kind(parameters, **twin.defaults | options)
    for gradients in problem.steps:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = layout.arrange(g)
        optimiser.step()
    return named(p.data for p in parameters)


def steps_of_theirs(kind: Any, given: dict[str, Any], problem: Problem, dtype: Any) -> Any:
    parameters = problem.torch_parameters(dtype)
    optimiser = kind(({"params": [p]} for p in parameters), **given)
    for group in optimiser.param_groups:
        if group["params"][0].ndim < 2:
            group["weight_decay"] = 0.0
    for gradients in problem.steps:
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = torch.tensor(g.astype(dtype))
        # Muon's would compute in bfloat16.
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            optimiser.step()
    return named(p.detach().numpy() for p in parameters)


def problems(dtype: str, matrices_only: bool = False) -> Iterator[tuple[str, Problem]]:
    """Each with its name; of the large one there is only one, because it takes its time."""
    for shapes, size in product(SHAPES, GRADIENTS):
        too_many = shapes == "several blocks" and size != "normal"
        if not too_many and not (matrices_only and shapes == "all kinds"):
            yield f"{shapes}, {size}", Problem(shapes, size, dtype)


def compare_layouts(
    report: Report,
    row: str,
    call: str,
    ours: Callable[[Layout], dict[str, Array]],
    theirs: Callable[[Any], dict[str, Array]],
    dtype: str,
) -> None:
    """Ours in every layout beside theirs, which is computed once."""
    computed = cache(theirs)
    for layout in LAYOUTS:
        settle(report, row, f"{call} [{layout.name}]", partial(ours, layout), computed, dtype)


def compare_optimisers(report: Report, dtype: str) -> None:
    for info in optim_db:
        name = info.optim_cls.__name__
        row = f"optim.{name}"
        if name not in OPTIMISERS or not report.wants(row):
            continue
        for sample in info.optim_inputs_func("cpu"):
            # A learning rate that is a tensor would be rounded to float32.
            given = {
                key: value.item() if isinstance(value, torch.Tensor) else value
                for key, value in sample.kwargs.items()
            }
            # PyTorch's Muon takes matrices only.
            for kind, problem in problems(dtype, matrices_only=name == "Muon"):
                ours = partial(steps_of_ours, OPTIMISERS[name], given, problem)
                theirs = partial(steps_of_theirs, info.optim_cls, given, problem)
                compare_layouts(report, row, f"{given}, {kind}", ours, theirs, dtype)


def clipped_by_us(problem: Problem, limit: float, through: str, layout: Layout) -> Any:
    parameters = problem.parameters(layout)
    for p, g in zip(parameters, problem.steps[0], strict=True):
        p.grad = layout.arrange(g)
    targets: dict[str, Any] = {"parameters": parameters, "an optimiser": optim.SGD(parameters, 0.1)}
    norm = optim.clip_grad_norm(targets[through], limit)
    return {"norm": np.asarray(norm, parameters[0].dtype)} | named(p.grad for p in parameters)


def clipped_by_them(problem: Problem, limit: float, dtype: Any) -> Any:
    gradients = [torch.tensor(g.astype(dtype)) for g in problem.steps[0]]
    norm = get_total_norm(gradients)
    # clip_grad_norm_ goes on with the norm + 1e-6.
    scale = limit / float(norm) if norm > limit else 1.0
    return {"norm": norm.numpy()} | named((scale * g).numpy() for g in gradients)


def compare_clipping(report: Report, dtype: str) -> None:
    if not report.wants("clip_grad_norm"):
        return
    for kind, problem in problems(dtype):
        for limit, through in product((0.1, 1.0, 5.0, 1e3), ("parameters", "an optimiser")):
            ours = partial(clipped_by_us, problem, limit, through)
            theirs = partial(clipped_by_them, problem, limit)
            call = f"{limit}, {through}, {kind}"
            compare_layouts(report, "clip_grad_norm", call, ours, theirs, dtype)


def averaged_by_us(problem: Problem, decay: float, layout: Layout) -> Any:
    parameters = problem.parameters(layout)
    average = optim.EMA(optim.SGD(parameters, 0.1), decay)
    for values in problem.steps:
        for p, value in zip(parameters, values, strict=True):
            p.data = layout.arrange(value)
        average.update()
    with average.applied():
        return named(p.data for p in parameters)


def averaged_by_them(problem: Problem, decay: float, dtype: Any) -> Any:
    model = torch.nn.ParameterList(problem.torch_parameters(dtype))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for values in problem.steps:
        for p, value in zip(model, values, strict=True):
            p.data = torch.tensor(value.astype(dtype))
        average.update_parameters(model)
    return named(p.detach().numpy() for p in average.parameters())


def compare_averages(report: Report, dtype: str) -> None:
    if not report.wants("EMA"):
        return
    for kind, problem in problems(dtype):
        for decay in (0.0, 0.5, 0.999):
            ours = partial(averaged_by_us, problem, decay)
            theirs = partial(averaged_by_them, problem, decay)
            compare_layouts(report, "EMA", f"{decay}, {kind}", ours, theirs, dtype)
