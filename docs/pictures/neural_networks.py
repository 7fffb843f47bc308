"""The pictures of the first chapter and of the engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
from foundation_nn import MLP, Parameter, Tanh, Tensor, init, optim
from foundation_nn import functional as F
from foundation_nn.plotting import COLORS, new_figure
from foundation_nn.training import Trainer

from pictures._boxes import ATTENTION, FEED_FORWARD, PLAIN, arrow, box, canvas


def tape() -> Any:
    """The loss (w x + b)² as boxes: values on the way forward, slopes on the way back."""
    x, w, b = 2.0, Tensor(3.0, requires_grad=True), Tensor(1.0, requires_grad=True)
    product = w * x
    total = product + b
    loss = total**2
    loss.backward()
    values = {"p": product.item(), "u": total.item(), "L": loss.item()}
    slopes = {"L": 1.0, "u": 2 * values["u"]}
    for name, leaf in {"w": w, "b": b}.items():
        slopes[name] = np.asarray(leaf.grad).item()

    figure, axes = new_figure(8.4, 3.2)
    ax = axes[0, 0]
    canvas(ax, 15.4, 5.4)
    heights = {"middle": 3.6, "low": 1.2}
    places = {"w": (1.1, 3.6), "multiply": (5.2, 3.6), "add": (9.2, 3.6), "power": (13.2, 3.6)}
    box(ax, places["w"], "w = 3", FEED_FORWARD, width=1.8)
    box(ax, (5.2, heights["low"]), "x = 2", PLAIN, width=1.8)
    box(ax, (9.2, heights["low"]), "b = 1", FEED_FORWARD, width=1.8)
    for name in ("multiply", "add", "power"):
        box(ax, places[name], name, ATTENTION, width=2.2)
    for start, end in (
        ((2.0, 3.6), (4.1, 3.6)),
        ((6.3, 3.6), (8.1, 3.6)),
        ((10.3, 3.6), (12.1, 3.6)),
    ):
        arrow(ax, start, end)
    arrow(ax, (5.2, heights["low"] + 0.32), (5.2, heights["middle"] - 0.33))
    arrow(ax, (9.2, heights["low"] + 0.32), (9.2, heights["middle"] - 0.33))
    for place, text in (
        ((7.2, 3.95), f"p = {values['p']:g}"),
        ((11.2, 3.95), f"u = {values['u']:g}"),
        ((13.2, 4.35), f"L = {values['L']:g}"),
    ):
        ax.text(*place, text, ha="center", va="bottom", color=COLORS[0])
    for place, text in (
        ((13.2, 2.9), f"g = {slopes['L']:g}"),
        ((11.2, 3.2), f"← {slopes['u']:g}"),
        ((7.2, 3.2), f"← {slopes['u']:g}"),
        ((3.05, 3.2), f"← {slopes['w']:g}"),
        ((9.9, 2.4), f"↓ {slopes['b']:g}"),
    ):
        ax.text(*place, text, ha="center", va="top", color=COLORS[1])
    ax.text(0.2, 5.1, "forward", color=COLORS[0], va="top")
    ax.text(0.2, 0.2, "backward: the slope of L", color=COLORS[1], va="bottom")
    return figure


def activations() -> Any:
    """The usual curves between two layers, and their slopes."""
    figure, axes = new_figure(8.6, 3.4, columns=2)
    x = np.linspace(-4, 4, 401)
    curves: dict[str, Callable[[Tensor], Tensor]] = {
        "sigmoid": F.sigmoid,
        "tanh": F.tanh,
        "ReLU": F.relu,
        "GELU": F.gelu,
        "SiLU": F.silu,
    }
    for (name, curve), color in zip(curves.items(), COLORS, strict=False):
        leaf = Tensor(x, requires_grad=True)
        y = curve(leaf)
        y.sum().backward()
        axes[0, 0].plot(x, y.data, color=color, label=name)
        axes[0, 1].plot(x, leaf.grad, color=color)
    axes[0, 0].set(title="Value", xlabel="x", ylim=(-1.2, 3))
    axes[0, 1].set(title="Slope", xlabel="x", ylim=(-0.2, 1.25))
    for ax in axes[0]:
        ax.grid(alpha=0.25)
    axes[0, 0].legend(frameon=False)
    return figure


def valley() -> Any:
    """Twenty-five steps of three optimisers in a narrow valley."""
    figure, axes = new_figure(8.6, 3.2)
    ax = axes[0, 0]
    start = np.array([-4.0, 1.0])
    stretch = np.array([1.0, 25.0])
    across, along = np.meshgrid(np.linspace(-4.6, 1.6, 200), np.linspace(-1.4, 1.4, 120))
    heights = 0.5 * (stretch[0] * across**2 + stretch[1] * along**2)
    ax.contourf(across, along, np.sqrt(heights), levels=14, cmap="Greys", alpha=0.55)
    ways: dict[str, Callable[[Parameter], Any]] = {
        "SGD, η = 0.075": lambda p: optim.SGD(p, lr=0.075),
        "SGD with momentum 0.7, η = 0.04": lambda p: optim.SGD(p, lr=0.04, momentum=0.7),
        "Adam, η = 0.3": lambda p: optim.Adam(p, lr=0.3),
    }
    for (name, make), color in zip(ways.items(), COLORS, strict=False):
        w = Parameter(start)
        optimizer = make(w)
        path = [start]
        for _ in range(25):
            optimizer.zero_grad()
            (0.5 * stretch * w * w).sum().backward()
            optimizer.step()
            path.append(w.numpy())
        ax.plot(*np.transpose(path), "o-", markersize=3, linewidth=1, color=color, label=name)
    ax.plot(0, 0, "k+", markersize=12)
    ax.set(xlabel="w₁", ylabel="w₂")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False)
    return figure


def first_weights() -> Any:
    """How large signals and gradients are in ten layers, by the size of the first weights."""
    figure, axes = new_figure(8.6, 3.2, columns=2)
    for (factor, name), color in zip(
        ((0.2, "a fifth"), (1.0, "Xavier"), (5.0, "five times")), COLORS, strict=False
    ):
        sizes, slopes = _through_ten_layers(factor)
        axes[0, 0].semilogy(range(1, 11), sizes, "o-", markersize=3, color=color, label=name)
        axes[0, 1].semilogy(range(1, 11), slopes, "o-", markersize=3, color=color)
    axes[0, 0].set(title="Signal", xlabel="after layer", ylabel="root mean square")
    axes[0, 1].set(title="Gradient of the weights", xlabel="of layer", ylabel="root mean square")
    for ax in axes[0]:
        ax.grid(alpha=0.25)
    axes[0, 0].legend(frameon=False, loc="lower left")
    return figure


def _through_ten_layers(factor: float) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(0)
    weights = [Parameter(factor * init.xavier_uniform(rng, (64, 64))) for _ in range(10)]
    x = Tensor(rng.standard_normal((32, 64), np.float32))
    sizes = []
    for weight in weights:
        x = F.tanh(F.linear(x, weight))
        sizes.append(float(np.sqrt((x.data**2).mean())))
    (x * x).mean().backward()
    gradients = [np.asarray(weight.grad) for weight in weights]
    return sizes, [float(np.sqrt((gradient**2).mean())) for gradient in gradients]


def xor() -> Any:
    """What one layer and two layers answer everywhere, and the four questions."""
    figure, axes = new_figure(7.2, 3.3, columns=2)
    questions = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    answers = np.array([[0], [1], [1], [0]], np.float32)

    def loss(model: Any, batch: Any) -> Any:
        x, y = batch
        return F.binary_cross_entropy_with_logits(model(Tensor(x)), y), len(y)

    plane = np.stack(np.meshgrid(*[np.linspace(-0.5, 1.5, 101, dtype=np.float32)] * 2), axis=-1)
    for ax, widths, name in (
        (axes[0, 0], [2, 1], "one layer"),
        (axes[0, 1], [2, 8, 1], "two layers"),
    ):
        model = MLP(widths, Tanh, rng=np.random.default_rng(0))
        Trainer(model, loss, optim.Adam(model, lr=0.05)).fit([(questions, answers)], max_steps=500)
        yes = F.sigmoid(model(Tensor(plane))).data[..., 0]
        drawn = ax.contourf(
            plane[..., 0],
            plane[..., 1],
            yes,
            levels=np.linspace(0, 1, 11),
            cmap="RdBu_r",
            alpha=0.7,
        )
        for answer, marker in ((0, "o"), (1, "^")):
            chosen = questions[answers[:, 0] == answer]
            ax.plot(
                *chosen.T, marker, color="black", markersize=9, label=("same", "differ")[answer]
            )
        ax.set(title=name, xlabel="first input", aspect="equal", xticks=[0, 1], yticks=[0, 1])
    axes[0, 0].set_ylabel("second input")
    figure.colorbar(drawn, ax=list(axes[0]), label='probability of "they differ"')
    axes[0, 1].legend(loc="upper right", fontsize=8)
    return figure
