"""Pictures of networks and their training; needs the extra ``plot``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundation_nn._module import Module
from foundation_nn._operation import Array, Result, operation
from foundation_nn._tape import no_grad
from foundation_nn._tensor import Tensor
from foundation_nn.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours that are told apart by the colour-blind, too (Okabe and Ito, 2008).
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, NDArray[Any]]:
    """A figure of ``width`` by ``height`` inches and its (rows, columns) array of axes.

    Drawn without a display; to be closed by :func:`save_figure`.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the extra to install.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            "pictures need matplotlib: install the extra, e.g. foundation-nn[plot]"
        ) from None
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure; the ending of the path decides on the format."""
    figure.savefig(path, dpi=150)


def plot_history(
    history: History,
    path: str | os.PathLike[str],
    title: str = "Training",
    unit: str = "nats per token",
) -> None:
    """Loss and learning rate over the steps.

    Parameters
    ----------
    history : History
    path : path
        Where to write the picture, e.g. ``loss.png``.
    title : str
    unit : str
        What the loss counts; "" if nothing.

    Raises
    ------
    ValueError
        If the history has no steps.
    """
    if not history.steps:
        raise ValueError("plot_history: the history has no steps")
    figure, axes = new_figure(8, 5.5, rows=2)
    upper, lower = axes[:, 0]
    steps = np.array([s.step for s in history.steps])
    losses = np.array([s.loss for s in history.steps])
    upper.plot(steps, losses, color=COLORS[0], alpha=0.25, linewidth=0.8, label="each batch")
    upper.plot(steps, _smooth(losses), color=COLORS[0], linewidth=1.8, label="training, smoothed")
    if history.evaluations:
        upper.plot(
            [e.step for e in history.evaluations],
            [e.loss for e in history.evaluations],
            color=COLORS[1],
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            label="held out",
        )
    upper.set(title=title, ylabel=f"loss ({unit})" if unit else "loss")
    upper.legend(frameon=False)
    upper.grid(alpha=0.25)
    lower.plot(steps, [s.lr for s in history.steps], color=COLORS[2], linewidth=1.6)
    lower.set(xlabel="step", ylabel="learning rate")
    lower.set_ylim(bottom=0)
    lower.grid(alpha=0.25)
    _share_x(upper, lower)
    save_figure(figure, path)


def _smooth(values: NDArray[Any]) -> NDArray[Any]:
    """An exponential mean over about a fiftieth of the run, without a bias at the start."""
    keep = 1 - 1 / max(1.0, len(values) / 50)
    mean, weight, out = 0.0, 0.0, []
    for value in values:
        mean = keep * mean + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        out.append(mean / weight)
    return np.array(out)


def _share_x(upper: Axes, lower: Axes) -> None:
    lower.sharex(upper)
    upper.tick_params(labelbottom=False)


#: Shapes of points: a class is told by its shape as well as by its colour.
MARKERS = ("o", "^", "s", "D", "v", "P")


def plot_decision_boundary(
    model_fn: Callable[[NDArray[Any]], Any],
    x: ArrayLike,
    y: ArrayLike,
    path: str | os.PathLike[str],
    title: str = "Decision boundary",
) -> None:
    """What a classifier answers everywhere in the plane, and the points it learned from.

    The background mixes the colours of the classes by their probabilities; black lines run where
    two classes are equally likely.

    Parameters
    ----------
    model_fn : callable
        From points (N, 2) to logits: (N, C), or (N,) or (N, 1) if a positive one means class 1.
        A module will do.
    x : (N, 2) array_like
    y : (N,) array_like of int
        Classes from 0.
    path : path
        Where to write the picture.
    title : str

    Raises
    ------
    ValueError
        If the points are not in the plane, do not match their classes, or there are more than
        six classes.
    """
    x, y = np.asarray(x), np.asarray(y).astype(int)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"plot_decision_boundary: expected points of shape (N, 2), got {x.shape}")
    if y.shape != (len(x),) or y.min() < 0:
        raise ValueError(
            f"plot_decision_boundary: expected one class >= 0 for each of the {len(x)} points, "
            f"got shape {y.shape}"
        )
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.12 * np.maximum(high - low, 1e-3)
    (left, lower), (right, upper) = low - margin, high + margin
    across, up = np.linspace(left, right, 301), np.linspace(lower, upper, 301)
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)  # (N, 2)
    logits = _class_logits(model_fn, grid.astype(x.dtype if x.dtype.kind == "f" else np.float32))
    classes = logits.shape[1]
    if max(classes, y.max() + 1) > len(COLORS):
        raise ValueError(f"plot_decision_boundary: can draw up to {len(COLORS)} classes")
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)

    figure, axes = new_figure(7, 6)
    ax = axes[0, 0]
    palette = np.array([_rgb(color) for color in COLORS[:classes]])
    shade = 1 - 0.45 * (1 - probabilities @ palette)  # towards white, so that the points stand out
    ax.imshow(
        shade.reshape(301, 301, 3),
        extent=(left, right, lower, upper),
        origin="lower",
        aspect="auto",
        interpolation="bilinear",
    )
    for label in range(classes):
        lead = logits[:, label] - np.delete(logits, label, axis=1).max(axis=1)
        if lead.min() < 0 < lead.max():
            ax.contour(
                across, up, lead.reshape(301, 301), levels=[0], colors="black", linewidths=1.2
            )
    for label in range(max(classes, y.max() + 1)):
        ax.scatter(
            *x[y == label].T,
            s=26 if len(x) > 20 else 120,
            color=COLORS[label],
            marker=MARKERS[label],
            edgecolors="black",
            linewidths=0.6,
            label=f"class {label}",
        )
    ax.set(title=title, xlabel="x₁", ylabel="x₂", xlim=(left, right), ylim=(lower, upper))
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    save_figure(figure, path)


def _class_logits(model_fn: Callable[[NDArray[Any]], Any], points: NDArray[Any]) -> NDArray[Any]:
    """(N, C) logits; a single one becomes two with the same probabilities."""
    with no_grad():
        logits = np.asarray(model_fn(points), dtype=np.float64)
    if logits.ndim == 1:
        logits = logits[:, None]
    if logits.ndim != 2 or len(logits) != len(points):
        raise ValueError(
            f"plot_decision_boundary: expected model_fn to give logits of shape "
            f"({len(points)}, C), got {logits.shape}"
        )
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)  # (N, 2)
    return logits


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def plot_histograms(
    model: Module,
    loss: Callable[[Any, Any], tuple[Tensor, int]],
    batch: Any,
    path: str | os.PathLike[str],
    title: str = "Activations and gradients",
) -> None:
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
    path : path
        Where to write the picture.
    title : str

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
    save_figure(figure, path)


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


def plot_weights(model: Module, path: str | os.PathLike[str], title: str = "Weights") -> None:
    """Every matrix of a model as a map: orange below zero, white at zero, violet above.

    Parameters
    ----------
    model : Module
    path : path
        Where to write the picture.
    title : str

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
    save_figure(figure, path)


def plot_images(
    images: ArrayLike,
    captions: Sequence[str],
    path: str | os.PathLike[str],
    title: str = "",
) -> None:
    """A grid of small grey images, up to eight in a row, each under its caption.

    Parameters
    ----------
    images : (N, height, width) array_like
        Dark where the numbers are large.
    captions : sequence of str
    path : path
        Where to write the picture.
    title : str

    Raises
    ------
    ValueError
        If there is no image, or not one caption for each.
    """
    images = np.asarray(images)
    if images.ndim != 3 or not len(images) or len(captions) != len(images):
        raise ValueError(
            f"plot_images: expected images (N, height, width) and N captions, got "
            f"{images.shape} and {len(captions)}"
        )
    columns = min(8, len(images))
    rows = math.ceil(len(images) / columns)
    figure, axes = new_figure(max(4.5, 1.2 * columns), 0.6 + 1.45 * rows, rows, columns)
    figure.suptitle(title)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, caption in zip(axes.flat, images, captions, strict=False):
        ax.imshow(image, cmap="gray_r", interpolation="nearest")
        ax.set_title(caption, fontsize=9)
    save_figure(figure, path)
