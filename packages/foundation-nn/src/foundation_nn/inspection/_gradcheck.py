"""Checking a backward against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._modes import current_generator, train_mode
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module


class GradientError(AssertionError):
    """A gradient that differs from the finite differences; the message is a table."""


class _Probe(NamedTuple):
    """One derivative, by the backward and by differences."""

    where: str
    analytic: float
    numeric: float

    def excess(self, rtol: float, atol: float) -> float:
        """How many times the allowed error it is off; infinitely for NaN."""
        ratio = abs(self.analytic - self.numeric) / (atol + rtol * abs(self.numeric))
        return math.inf if math.isnan(ratio) else ratio


def gradcheck(
    fn_or_module: Callable[..., Any],
    *inputs: Any,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    max_elements: int = 64,
    seed: int = 0,
) -> bool:
    """Compare gradients with central differences, (f(x + ε d) - f(x - ε d)) / 2ε.

    The outputs are weighted by random numbers and summed to a scalar. Each input and parameter is
    checked along a random direction and then element by element, ``max_elements`` of them chosen
    at random. Within ``train_mode`` every evaluation draws the same dropout. Parameters, gradients
    and running statistics are afterwards what they were.

    Parameters
    ----------
    fn_or_module : callable or Module
        Called with the inputs; returns a tensor or a tuple of tensors. A module is cast to
        float64 while it is checked.
    *inputs
        Floating tensors and arrays are checked; everything else is passed on.
    eps : float
        Step of the differences.
    rtol, atol : float
        Allowed: ``atol + rtol * |difference quotient|``.
    max_elements : int
        How many elements of each array are checked one by one.
    seed : int
        Of the directions.

    Returns
    -------
    bool
        True.

    Raises
    ------
    GradientError
        If a gradient is wrong: a table of all arrays, the worst element of each, and how far off.
    ValueError
        If there is nothing to check.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import functional as F, gradcheck
    >>> gradcheck(F.gelu, np.linspace(-3, 3, 7))
    True
    """
    rng = np.random.default_rng(seed)
    module = fn_or_module if isinstance(fn_or_module, Module) else None
    parameters = [] if module is None else list(module.parameters())
    before = [(p, p._data, p.grad, p._grad_view, p._buffer) for p in parameters]
    buffers = [] if module is None else [(b, b._data) for b in module.buffers()]
    if module is not None:
        module.astype(np.float64)
    try:
        args = [_leaf(x) for x in inputs]
        leaves = {
            f"input {i}": x for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad
        }
        if module is not None:
            leaves |= dict(module.named_parameters())
        if not leaves:
            raise ValueError("gradcheck: no floating input and no parameter to check")
        return _check(fn_or_module, args, leaves, rng, eps, rtol, atol, max_elements)
    finally:
        for p, data, grad, grad_view, buffer in before:
            p._data, p.grad, p._grad_view, p._buffer = data, grad, grad_view, buffer
        for b, data in buffers:
            b._data = data


def _leaf(x: Any) -> Any:
    value = x.data if isinstance(x, Tensor) else x
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return Tensor(value, requires_grad=True, dtype=np.float64)
    return x


def _check(
    fn: Callable[..., Any],
    args: list[Any],
    leaves: dict[str, Tensor],
    rng: np.random.Generator,
    eps: float,
    rtol: float,
    atol: float,
    max_elements: int,
) -> bool:
    # Within train_mode every evaluation must see the same dropout.
    outer = current_generator()
    dropout_state = None if outer is None else outer.bit_generator.state
    weights: list[NDArray[Any]] = []

    def scalar() -> Tensor:
        if outer is not None and dropout_state is not None:
            outer.bit_generator.state = dropout_state
            with train_mode(outer):
                outputs = fn(*args)
        else:
            outputs = fn(*args)
        parts = [y for y in _flatten(outputs) if y.dtype.kind == "f"]
        if not parts:
            raise ValueError(f"gradcheck: expected a tensor as output, got {outputs!r}")
        if not weights:
            weights.extend(rng.standard_normal(y.shape) for y in parts)
        total = (parts[0] * weights[0]).sum()
        for y, w in zip(parts[1:], weights[1:], strict=True):
            total = total + (y * w).sum()
        return total

    for leaf in leaves.values():
        leaf.grad = None
    total = scalar()
    if total.requires_grad:
        total.backward()
    gradients = {
        name: np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.copy()
        for name, leaf in leaves.items()
    }

    def slope(leaf: Tensor, direction: NDArray[Any]) -> float:
        original = leaf.numpy()
        leaf.data = original + eps * direction
        above = scalar().item()
        leaf.data = original - eps * direction
        below = scalar().item()
        leaf.data = original
        return (above - below) / (2 * eps)

    rows, wrong = [], False
    for name, leaf in leaves.items():
        probes = []
        for flat in np.sort(rng.permutation(leaf.size)[:max_elements]):
            index = np.unravel_index(flat, leaf.shape)
            unit = np.zeros(leaf.shape)
            unit[index] = 1
            where = f"[{', '.join(str(int(i)) for i in index)}]"
            probes.append(_Probe(where, float(gradients[name][index]), slope(leaf, unit)))
        direction = rng.standard_normal(leaf.shape)
        along = float((gradients[name] * direction).sum())
        whole = _Probe("along a direction", along, slope(leaf, direction))

        worst = max(probes, key=lambda probe: probe.excess(rtol, atol), default=whole)
        if worst.excess(rtol, atol) <= 1:  # no element to name, but one not tried may be wrong
            worst = max(worst, whole, key=lambda probe: probe.excess(rtol, atol))
        failed = worst.excess(rtol, atol) > 1
        wrong = wrong or failed
        rows.append(
            f"{'WRONG' if failed else 'ok':6}{name:24} {leaf.shape!s:16} worst {worst.where:18} "
            f"backward {worst.analytic:+.8e}  differences {worst.numeric:+.8e}"
        )
    if wrong:
        label = getattr(fn, "__name__", type(fn).__name__)
        raise GradientError(
            f"gradcheck of {label}: backward and finite differences disagree\n" + "\n".join(rows)
        )
    return True


def _flatten(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, tuple | list):
        return [y for part in outputs for y in _flatten(part)]
    return []
