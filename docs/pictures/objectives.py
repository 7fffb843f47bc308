"""The pictures of the chapter on other things to learn than the next token."""

from typing import Any

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_nn.plotting import COLORS, new_figure
from foundation_transformer.recipes import dpo_loss


def pairs() -> Any:
    """The share that each of six questions gives to six answers, at three temperatures."""
    rng = np.random.default_rng(3)
    questions = rng.standard_normal((6, 16)) + 1.5  # all of them have something in common
    answers = questions + 0.7 * rng.standard_normal((6, 16))
    questions /= np.linalg.norm(questions, axis=1, keepdims=True)
    answers /= np.linalg.norm(answers, axis=1, keepdims=True)
    cosines = questions @ answers.T
    figure, axes = new_figure(9.4, 3.4, columns=3)
    for ax, temperature in zip(axes[0], (1.0, 0.2, 0.05), strict=True):
        shares = F.softmax(cosines / temperature).data
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ax.set(title=f"τ = {temperature:g}", xlabel="answer", ylabel="question")
        ax.set_xticks(range(6), range(1, 7))
        ax.set_yticks(range(6), range(1, 7))
    figure.colorbar(image, ax=axes[0].tolist(), label="share")
    return figure


def preference() -> Any:
    """The loss of a pair of answers and its slope, by how far they are told apart."""
    margins = np.linspace(-4, 4, 201)
    nothing = np.zeros(1)
    losses = []
    slopes = []
    for margin in margins:
        chosen = Tensor(np.array([margin]), requires_grad=True)
        loss = dpo_loss(chosen, Tensor(nothing), nothing, nothing, beta=1.0)
        loss.backward()
        losses.append(loss.item())
        slopes.append(np.asarray(chosen.grad).item())
    figure, axes = new_figure(8.6, 3.2, columns=2)
    for ax, values, title in ((axes[0, 0], losses, "Loss"), (axes[0, 1], slopes, "Slope")):
        ax.plot(margins, values, color=COLORS[0])
        ax.axvline(0, color="0.7", linewidth=1)
        ax.set(title=title, xlabel="z: how far the chosen answer has gained, times β")
        ax.grid(alpha=0.25)
    axes[0, 0].set(ylabel="−log σ(z), nats", ylim=(0, None))
    axes[0, 1].set(ylabel="−σ(−z)", ylim=(-1.05, 0.05))
    return figure
