"""What goes through the layers of a network, and what they have learnt."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._operation import Array, Result, operation
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._module import Module
from foundation_nn.plotting._figure import COLORS, finished, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_histograms(
    model: Module,
    loss: Callable[[Any, Any], tuple[Tensor, int]],
    batch: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "Activations and gradients",
) -> Figure:
    """The outputs of every layer, and the gradients of the loss with respect to them.

    Gradients are drawn by magnitude on one logarithmic axis: where they vanish, the rows drift to
    the left from the last layer up to the first; where they explode, to the right.

    Parameters
    ----------
    model : Module
        Its layers are the modules without modules inside. Their parameters and gradients are
        left as they are.
    loss : callable
        ``loss(model, batch)``, as for the Trainer.
    batch : object
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If no layer gave a tensor that leads to the loss.
    """
    before = [(p, None if p.grad is None else p.grad.copy()) for p in model.parameters()]
    try:
        with _listening(model) as heard:
            loss(model, batch)[0].backward()
    finally:
        for parameter, grad in before:
            parameter.grad = grad
    layers = [(name, outputs, grads) for name, (outputs, grads) in heard.items() if grads]
    if not layers:
        raise ValueError("plot_histograms: no layer of this model gave a tensor")

    figure, axes = new_figure(9.5, 1.1 + 0.95 * len(layers), rows=len(layers), columns=2)
    figure.suptitle(title)
    values = [np.concatenate([a.ravel() for a in outputs]) for _, outputs, _ in layers]
    slopes = [np.concatenate([g.ravel() for g in grads]) for _, _, grads in layers]
    magnitudes = [np.log10(np.abs(g[np.isfinite(g) & (g != 0)]).astype(float)) for g in slopes]
    _histogram_column(axes[:, 0], [v[np.isfinite(v)] for v in values], COLORS[0])
    _histogram_column(axes[:, 1], magnitudes, COLORS[1])
    for (name, _, _), row, v, g in zip(layers, axes, values, slopes, strict=True):
        finite = v[np.isfinite(v)].astype(float)
        row[0].set_title(f"{name}", loc="left", fontsize=9)
        row[0].set_title(_note(v, f"σ = {finite.std():.2g}" if finite.size else ""), **_SMALL)
        typical = np.median(np.abs(g[np.isfinite(g)])) if np.isfinite(g).any() else np.nan
        row[1].set_title(_note(g, f"median |g| = {typical:.1e}"), **_SMALL)
    axes[-1, 0].set_xlabel("activation")
    axes[-1, 1].set_xlabel("log₁₀ |gradient of the loss with respect to it|")
    return finished(figure, path)


_SMALL: dict[str, Any] = {"loc": "right", "fontsize": 8, "color": "0.35"}


def _note(values: NDArray[Any], text: str) -> str:
    """What a histogram does not show: how many values are exactly zero, or no numbers."""
    parts = [text] if text else []
    for share, what in (
        (np.mean(values == 0), "zeros"),
        (np.mean(~np.isfinite(values)), "inf/nan"),
    ):
        if share:
            parts.append(f"{share:.0%} {what}" if share >= 0.01 else f"<1% {what}")
    return ", ".join(parts)


def _histogram_column(axes: NDArray[Any], rows: list[NDArray[Any]], color: str) -> None:
    """Histograms below one another on the same axis."""
    everything = np.concatenate(rows)
    low, high = (everything.min(), everything.max()) if everything.size else (0.0, 0.0)
    pad = 0.02 * (high - low) if high > low else 1.0
    bins = np.linspace(low - pad, high + pad, 81)
    for ax, row in zip(axes, rows, strict=True):
        ax.hist(row.astype(float), bins=bins, color=color)
        ax.set(xlim=(bins[0], bins[-1]), yticks=[])
        ax.spines["left"].set_visible(False)
        ax.tick_params(labelbottom=ax is axes[-1])


@contextmanager
def _listening(
    model: Module,
) -> Iterator[dict[str, tuple[list[NDArray[Any]], list[NDArray[Any]]]]]:
    """Collect what every layer puts out, and the gradients that come back to it."""
    heard: dict[str, tuple[list[NDArray[Any]], list[NDArray[Any]]]] = {}
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if not any(isinstance(child, Module) for _, child in module._children())
    ]

    def listen(name: str, module: Module) -> None:
        inner = module.forward
        outputs, grads = heard[name] = [], []

        @operation
        def ear(x: Array) -> Result:
            def backward(g: Array) -> Array:
                grads.append(g)
                return g

            return x, backward

        def forward(*args: Any, **kwargs: Any) -> Any:
            y = inner(*args, **kwargs)
            if not isinstance(y, Tensor):
                return y
            outputs.append(y.data)
            return ear(y)

        module.forward = forward  # type: ignore[method-assign]

    try:
        for name, module in layers:
            if "forward" not in vars(module):
                listen(f"{name} {type(module).__name__}".strip(), module)
        yield heard
    finally:
        for _, module in layers:
            vars(module).pop("forward", None)


def plot_weights(
    model: Module, path: str | os.PathLike[str] | None = None, *, title: str = "Weights"
) -> Figure:
    """Every matrix of a model as a map: orange below zero, white at zero, violet above.

    Parameters
    ----------
    model : Module
    path : path, optional
        Where to write the picture.
    title : str

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If the model has no matrix.
    """
    matrices = [(name, p.data) for name, p in model.named_parameters() if p.ndim == 2 and p.size]
    if not matrices:
        raise ValueError("plot_weights: this model has no matrix of weights")
    columns = min(3, len(matrices))
    rows = math.ceil(len(matrices) / columns)
    figure, axes = new_figure(4.2 * columns, 0.4 + 3.4 * rows, rows, columns)
    figure.suptitle(title)
    for ax in axes.flat[len(matrices) :]:
        ax.set_axis_off()
    for ax, (name, matrix) in zip(axes.flat, matrices, strict=False):
        limit = float(np.abs(matrix).max()) or 1.0
        image = ax.imshow(
            matrix, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
        )
        ax.set(xlabel=f"input (of {matrix.shape[1]})", ylabel=f"output (of {matrix.shape[0]})")
        ax.set_title(name, fontsize=10)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.get_major_locator().set_params(integer=True)
        figure.colorbar(image, ax=ax)
    return finished(figure, path)
