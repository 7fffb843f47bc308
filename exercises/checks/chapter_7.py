"""Chapter 7: training."""

from __future__ import annotations

from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_nn import Linear, Parameter, operation, schedules
from foundation_nn import functional as F
from foundation_nn.optim import SGD, Adam


def cross_entropy(work: Work, step: Steps) -> None:
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    targets = np.array([0, 1])
    loss, backward = work.cross_entropy(np.log(p), targets)
    right = (np.log(4.0) + np.log(2.0)) / 2
    step.same(
        "two rows, whose targets have the probabilities 1/4 and 1/2",
        loss,
        right,
        "(log 4 + log 2) / 2.",
        {
            "The sign is missing: log p is negative, and the loss is -log p.": -right,
            "This is the sum over the rows; take their mean.": 2 * right,
            "All classes were counted. Only the target of each row does: "
            "log_p[rows, targets].": -np.log(p).mean(),
            "This is the mean probability. Take the logarithm.": -0.375,
        },
    )
    onehot = np.eye(2)[targets]
    step.same(
        "its gradient: (p - onehot) / 2",
        backward(1.0),
        (p - onehot) / 2,
        "p is np.exp(log_p); subtract 1 at the targets, then divide by N.",
        {
            "The mean over the rows is missing: divide by N.": p - onehot,
            "The sign is the other way round: what the model believed, minus what is true.": (
                (onehot - p) / 2
            ),
            "This is p / N. At the target 1 has to be subtracted from p.": p / 2,
        },
    )
    step.same(
        "a g of 3 from above",
        backward(3.0),
        3 * (p - onehot) / 2,
        "The slopes are multiplied with g.",
        {"g was ignored.": (p - onehot) / 2},
    )
    step.same(
        "logits of 1000 and 0, the second of which is the target",
        work.cross_entropy(np.array([[1000.0, 0.0]]), np.array([1]))[0],
        1000.0,
        "log p = z - log(sum of exp(z)), with the largest logit subtracted before.",
        {
            "exp(1000) overflows: subtract the largest logit of the row first.": np.inf,
            "exp(1000) overflows, and inf / inf is no number: subtract the largest logit "
            "first.": np.nan,
        },
    )
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((5, 4)), rng.integers(4, size=5)
    step.gradients(
        "five rows of four agree with finite differences",
        lambda x: operation(work.cross_entropy.function)(x, targets),
        logits,
        look_at="Does the backward belong to the loss? Rows and classes are easily confused.",
    )
    step.same(
        "the same value as foundation_nn.functional.cross_entropy",
        work.cross_entropy(logits, targets)[0],
        F.cross_entropy(logits, targets),
        "Maximum and sum belong to each row: axis=-1, keepdims=True.",
    )


def adam(work: Work, step: Steps) -> None:
    w, zero = np.array([1.0, 1.0]), np.zeros(2)
    g = np.array([0.1, -1000.0])
    returned = work.adam_step(w, g, zero, zero, 1, lr=0.1)
    step.holds(
        "it returns three arrays",
        isinstance(returned, tuple) and len(returned) == 3,
        "return w, m, v.",
    )
    new_w, m, v = returned
    step.same(
        "the average m after the first step",
        m,
        0.1 * g,
        "m = β₁ m + (1 - β₁) g, without the correction.",
        {
            "β₁ belongs to m, and 1 - β₁ to g.": 0.9 * g,
            "This is m̂. The average itself, m, goes into the next step.": g,
        },
    )
    step.same(
        "the average v after the first step, times 1000",
        1e3 * np.asarray(v),
        g**2,
        "v = β₂ v + (1 - β₂) g², without the correction.",
        {
            "β₂ belongs to v, and 1 - β₂ to g².": 999 * g**2,
            "v is the average of the squares of g.": g,
            "This is v̂. The average itself, v, goes into the next step.": 1e3 * g**2,
        },
    )
    step.same(
        "the first step is as long as the learning rate, for a small and for a large gradient",
        new_w,
        [0.9, 1.1],
        "m̂ = g and v̂ = g² in the first step, so that m̂ / √v̂ is the sign of g.",
        {
            "The averages begin with 0 and are too small. Divide them by 1 - βᵗ.": (
                1 - 0.1 * 0.1 * g / (np.sqrt(0.001 * g**2) + 1e-8)
            ),
            "The step goes uphill: w minus lr m̂ / √v̂.": [1.1, 0.9],
            "This was divided by v̂; divide by its root.": 1 - 0.1 * g / (g**2 + 1e-8),
            "m was not corrected: m̂ = m / (1 - β₁ᵗ).": [0.99, 1.01],
            "v was not corrected: v̂ = v / (1 - β₂ᵗ).": (
                1 - 0.1 * g / (np.sqrt(0.001 * g**2) + 1e-8)
            ),
        },
        tolerance=2e-5,
    )
    tiny = np.array([1e-8])
    step.same(
        "a gradient as small as ε moves the weight half as far",
        work.adam_step(np.zeros(1), tiny, np.zeros(1), np.zeros(1), 1, lr=1.0)[0],
        [-0.5],
        "√v̂ + ε = 2 · 10⁻⁸.",
        {
            "ε stands outside the root: √v̂ + ε.": -tiny / np.sqrt(tiny**2 + 1e-8),
            "ε is missing.": [-1.0],
        },
        tolerance=1e-5,
    )
    rng = np.random.default_rng(0)
    parameter = Parameter(rng.standard_normal((3, 2)))
    ours = parameter.numpy()
    m = v = np.zeros((3, 2))
    optimizer = Adam(parameter, lr=0.01)
    for t in (1, 2, 3, 4, 5):
        gradient = rng.standard_normal((3, 2))
        parameter.grad = gradient
        optimizer.step()
        ours, m, v = work.adam_step(ours, gradient, m, v, t, lr=0.01)
    step.same(
        "five steps, as foundation_nn.optim.Adam takes them",
        ours,
        parameter.numpy(),
        "The correction depends on t: 1 - β₁ᵗ. Are m and v carried on from the step before?",
    )


def schedule(work: Work, step: Steps) -> None:
    came = [work.learning_rate(t, 1.0, 4, 12) for t in (1, 2, 3)]
    step.same(
        "three of four steps of warm-up, up to 1",
        came,
        [0.25, 0.5, 0.75],
        "lr · step / warmup.",
        {
            "There is no rise. Before the warm-up is over the rate is lr · step / warmup.": [
                (1 + np.cos(np.pi * (t - 4) / 8)) / 2 for t in (1, 2, 3)
            ],
            "The rise is one step late: step counts from 1.": [0, 0.25, 0.5],
        },
    )
    came = [work.learning_rate(t, 1.0, 4, 12) for t in (4, 6, 8, 10, 12)]
    parts = np.array([0, 0.25, 0.5, 0.75, 1])
    quarter = (1 + np.sqrt(0.5)) / 2
    step.same(
        "the fall: at the steps 4, 6, 8, 10 and 12, each of them a quarter of the way further",
        came,
        [1, quarter, 0.5, 1 - quarter, 0],
        "progress = (step - 4) / (12 - 4).",
        {
            "The cosine has come back to the top: half a period, π · progress, and not 2 π.": (
                (1 + np.cos(2 * np.pi * parts)) / 2
            ),
            "progress is step / steps. It should begin with 0 behind the warm-up.": [
                (1 + np.cos(np.pi * t / 12)) / 2 for t in (4, 6, 8, 10, 12)
            ],
            "The cosine goes from 1 to -1. Add 1 and halve it.": np.cos(np.pi * parts),
            "The rate falls along a straight line.": 1 - parts,
        },
    )
    step.same(
        "behind the last step the rate stays 0",
        [work.learning_rate(t, 1.0, 4, 12) for t in (13, 20)],
        [0, 0],
        "min(1, progress).",
        {
            "The cosine rises again: progress must not become more than 1.": [
                (1 + np.cos(np.pi * (t - 4) / 8)) / 2 for t in (13, 20)
            ]
        },
    )
    twin = schedules.cosine(3e-4, steps=100, warmup=10)
    times = range(1, 111)
    step.same(
        "as foundation_nn.schedules.cosine(3e-4, steps=100, warmup=10), in units of 1e-4",
        [1e4 * work.learning_rate(t, 3e-4, 10, 100) for t in times],
        [1e4 * twin(t) for t in times],
        "The largest rate is lr.",
    )


def clipping(work: Work, step: Steps) -> None:
    grads = [np.array([3.0, 0.0]), np.array([[0.0], [4.0]])]
    returned = work.clip(grads, 1.0)
    step.holds(
        "it returns a list and a number",
        isinstance(returned, tuple) and len(returned) == 2,
        "return the clipped gradients and the norm.",
    )
    clipped, norm = returned
    step.same(
        "the length of (3, 0) and (0, 4) together",
        norm,
        5.0,
        "√(9 + 16): squares of all numbers of all arrays, added up, then one root.",
        {
            "The root is missing.": 25.0,
            "The lengths of the arrays were added. Add the squares, and take one root.": 7.0,
            "This is the length after clipping. Return the one before.": 1.0,
        },
    )
    step.same(
        "clipped to length 1: all of it divided by 5",
        clipped[0],
        [0.6, 0],
        "g · max_norm / norm.",
        {
            "Each array was clipped by itself, which changes the direction. One norm and one "
            "factor hold for all.": [1, 0],
            "Nothing was clipped, although 5 is more than 1.": [3, 0],
            "max_norm is missing, or the factor is upside down: g · max_norm / norm.": [15, 0],
        },
    )
    step.same(
        "the second array",
        clipped[1],
        [[0], [0.8]],
        "The same factor for every array.",
    )
    short, norm = work.clip([np.array([0.3, 0.4])], 1.0)
    step.same(
        "a gradient of length 0.5 is short enough",
        short[0],
        [0.3, 0.4],
        "Gradients that are not longer than max_norm stay as they are.",
        {"It was made longer. Scale only if norm > max_norm.": [0.6, 0.8]},
    )
    step.same(
        "a gradient of zeros",
        work.clip([np.zeros(3)], 1.0)[0][0],
        np.zeros(3),
        "Its norm is 0: nothing has to be divided.",
    )
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(shape) for shape in ((3, 4), (5,), (2, 2, 2))]
    clipped, norm = work.clip(grads, 2.5)
    total = np.sqrt(sum((np.asarray(g) ** 2).sum() for g in clipped))
    step.same("three arrays of other shapes, clipped to 2.5", total, 2.5, "g · max_norm / norm.")


def early_stopping(work: Work, step: Steps) -> None:
    losses = [2.0, 1.5, 1.2, 1.3, 1.25, 1.4, 1.0]
    step.same(
        "2.0, 1.5, 1.2, 1.3, 1.25, 1.4, 1.0 with patience 3: the best epoch and the last one",
        work.early_stopping(losses, 3),
        (2, 5),
        "1.2 is the best so far; behind it three epochs in a row are no better.",
        {
            "It stopped at the first loss that was no better. There is patience for 3.": (2, 3),
            "It did not stop in time: after three epochs in a row that were no better, it is "
            "over.": (6, 6),
            "The best epoch comes first, the last one second.": (5, 2),
        },
    )
    step.same(
        "a loss that is better puts the patience back to its beginning",
        work.early_stopping([3.0, 3.1, 2.0, 2.1, 1.0, 1.1, 1.2], 2),
        (4, 6),
        "Count the epochs since the best one, and not all that were no better.",
        {
            "All epochs that were no better were counted together. Begin again with every "
            "improvement.": (2, 3)
        },
    )
    step.same(
        "equal losses are no better",
        work.early_stopping([1.0, 1.0, 1.0, 1.0], 2),
        (0, 2),
        "loss < best, and not loss <= best.",
        {"An equal loss was taken for better: compare with <.": (3, 3)},
    )
    step.same(
        "nothing stops the training",
        work.early_stopping([3.0, 2.0, 1.0], 2),
        (2, 2),
        "Then the last epoch is the last one, here also the best.",
    )


def accumulation(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    model = Linear(3, 2, rng=rng).astype(np.float64)
    optimizer = SGD(model, lr=0.1)

    def gradient() -> Any:
        return np.concatenate([np.ravel(p.grad) for p in model.parameters() if p.grad is not None])

    cuts = [(x[:4], y[:4]), (x[4:], y[4:])]
    parts = [F.mse_loss(model(a), b).item() for a, b in cuts]
    loss = F.mse_loss(model(x), y).item()
    expected = _gradients_of(model, [(x, y)], [1.0])
    total = work.accumulate(model, optimizer, [(x, y)])
    step.same("one piece: its loss", total, loss, "F.mse_loss(model(x), y), with the weight 1.")
    step.same(
        "one piece: its gradients",
        gradient(),
        expected,
        "Clear the gradients first, then loss.backward().",
        {"The old gradients are still in it: optimizer.zero_grad() comes first.": 2 * expected},
    )
    total = work.accumulate(model, optimizer, cuts)
    step.same(
        "a piece of four rows and one of two: the loss of all six",
        total,
        loss,
        "4/6 of the first loss and 2/6 of the second.",
        {
            "This is the sum of the losses. Each counts with its share n / N.": sum(parts),
            "This is the plain mean of the losses. The larger piece counts more.": sum(parts) / 2,
            "This is the loss of the last piece alone.": parts[1] / 3,
        },
    )
    step.same(
        "the gradients of all six",
        gradient(),
        expected,
        "The weight n / N has to be in the loss before it walks back.",
        {
            "The gradients of the pieces were added without their weights. Multiply the loss by "
            "n / N before backward().": _gradients_of(model, cuts, [1.0, 1.0]),
            "The gradients of the last piece alone: clear only once, before the first.": (
                _gradients_of(model, cuts[1:], [1 / 3])
            ),
        },
    )


def _gradients_of(model: Any, pieces: Any, weights: Any) -> Any:
    SGD(model, lr=0.0).zero_grad()
    for (x, y), weight in zip(pieces, weights, strict=True):
        (F.mse_loss(model(x), y) * weight).backward()
    return np.concatenate([np.ravel(p.grad) for p in model.parameters()])
