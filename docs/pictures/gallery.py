"""What the plotting functions of the packages draw, each in a few lines, for the gallery."""

from typing import Any

import numpy as np
from foundation_attn import MultiHeadAttention, capture_attention
from foundation_attn.plotting import LayerMap, plot_heads
from foundation_nn import MLP, Tensor, optim
from foundation_nn import functional as F
from foundation_nn.plotting import (
    plot_decision_boundary,
    plot_histograms,
    plot_history,
    plot_range_test,
    plot_weights,
)
from foundation_nn.training import Trainer, batches, find_lr
from foundation_seq import LSTM, lstm_gates
from foundation_seq.plotting import plot_gates, plot_states

VERSE = ["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"]


def _spirals() -> tuple[Any, Any]:
    """Points of two spirals that are wound around each other, and which of them each is of."""
    rng = np.random.default_rng(0)
    angle = np.tile(np.linspace(0.5, 7, 100), 2)
    side = np.repeat([0, 1], 100)
    turn = angle + np.pi * side
    x = np.stack([angle * np.cos(turn), angle * np.sin(turn)], axis=1) / 7
    return (x + rng.normal(0, 0.02, x.shape)).astype(np.float32), side


def _loss(model: Any, batch: Any) -> Any:
    inputs, classes = batch
    return F.cross_entropy(model(Tensor(inputs)), classes), len(classes)


def _trained() -> tuple[Any, Any, Any]:
    """A classifier of the two spirals, the history of its training, and the points."""
    x, side = _spirals()
    model = MLP([2, 32, 32, 2], rng=np.random.default_rng(1))
    loader = batches(x, side, batch_size=50, rng=np.random.default_rng(2))
    trainer = Trainer(model, _loss, optim.AdamW(model, lr=0.01))
    return model, trainer.fit(loader, validation=[(x, side)], max_epochs=100), (x, side)


def boundary() -> Any:
    """What a classifier answers for every point of the plane."""
    model, _, (x, side) = _trained()
    return plot_decision_boundary(lambda p: model(Tensor(p)), x, side, title="Two spirals")


def history() -> Any:
    """Loss and learning rate of a run."""
    _, recorded, _ = _trained()
    return plot_history(recorded, title="Two spirals", unit="nats")


def range_test() -> Any:
    """The loss at ever larger learning rates, and the rate to begin with."""
    x, side = _spirals()
    model = MLP([2, 32, 32, 2], rng=np.random.default_rng(1))
    return plot_range_test(find_lr(model, _loss, optim.AdamW(model), [(x, side)]))


def histograms() -> Any:
    """What comes out of every layer, and the gradients that come back to it."""
    model, _, batch = _trained()
    return plot_histograms(model, _loss, batch)


def weights() -> Any:
    """Every matrix of a model as a map."""
    model, _, _ = _trained()
    return plot_weights(model)


def gates() -> Any:
    """How far the gates of an LSTM are open while it reads a text."""
    rng = np.random.default_rng(0)
    lstm = LSTM(8, 12, rng=rng)
    embedded = Tensor(rng.standard_normal((1, len(VERSE), 8)).astype(np.float32))
    return plot_gates(lstm_gates(lstm, embedded), VERSE)


def states() -> Any:
    """The hidden state of an LSTM while it reads a text."""
    rng = np.random.default_rng(0)
    embedded = rng.standard_normal((1, len(VERSE), 8)).astype(np.float32)
    output, _ = LSTM(8, 12, rng=rng)(Tensor(embedded))
    return plot_states(output.data[0], VERSE)


def heads() -> Any:
    """All heads of all layers, small."""
    rng = np.random.default_rng(0)
    layer = MultiHeadAttention(24, 6, rng=rng)
    x = Tensor(rng.standard_normal((1, len(VERSE), 24)).astype(np.float32) * 2)
    with capture_attention(layer) as maps:
        layer(x, causal=True)
    one = LayerMap("layer 1", maps[0].weights[0], VERSE, VERSE, maps[0].kind)
    return plot_heads([one])
