"""Chapter 1: networks and backpropagation."""

from __future__ import annotations

from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_nn import Linear, operation
from foundation_nn import functional as F
from foundation_nn.optim import SGD


def neuron(work: Work, step: Steps) -> None:
    x = np.array([1.0, 2.0])
    w = np.array([0.5, -0.5])
    b, t = 0.1, 1.0
    y = -0.379949  # tanh(0.5 · 1 - 0.5 · 2 + 0.1) = tanh(-0.4)
    step.same(
        "the answer: tanh(0.5 · 1 - 0.5 · 2 + 0.1)",
        work.neuron(x, w, b),
        y,
        "First z = w @ x + b, which is -0.4 here, then np.tanh(z).",
        {
            "This is tanh(w · x): the bias b is missing.": np.tanh(-0.5),
            "This is z. The neuron bends it: y = tanh(z).": -0.4,
            "w * x keeps one product for each input; the neuron adds them up, as w @ x does.": (
                np.tanh(w * x + b)
            ),
        },
    )
    dz = 2 * (y - t) * (1 - y * y)  # -2.361
    step.same(
        "the slopes dL/dw and dL/db of the same neuron",
        work.slopes(x, w, b, t),
        (dz * x, dz),
        "dz = 2 (y - t) (1 - y²); dL/dw = dz x and dL/db = dz. Return both, dw first.",
        {
            "The slope of the square is 2 (y - t); the 2 is missing.": (dz * x / 2, dz / 2),
            "The slope of tanh is missing: dy/dz = 1 - y².": (2 * (y - t) * x, 2 * (y - t)),
            "The sign is the other way round: the slope of (y - t)² towards y is 2 (y - t), "
            "not 2 (t - y).": (-dz * x, -dz),
            "The slope of tanh is 1 - y², in which y is tanh(z) and not z.": (
                2 * (y - t) * (1 - 0.16) * x,
                2 * (y - t) * (1 - 0.16),
            ),
        },
    )
    dw, _ = work.slopes(x, w, b, t)
    before = (work.neuron(x, w, b) - t) ** 2
    after = (work.neuron(x, w - 0.1 * dw, b) - t) ** 2
    step.holds(
        "a small step against the slopes makes the loss smaller",
        after < before,
        "The loss grew: check the sign of dL/dw.",
    )


def linear(work: Work, step: Steps) -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # (N=3, I=2)
    weight = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0], [2.0, 0.0]])  # (O=4, I=2)
    bias = np.array([0.0, 10.0, 0.0, 0.0])
    y, backward = work.linear(x, weight, bias)
    step.same(
        "the value for three rows, two inputs and four outputs",
        y,
        [[1, 12, -1, 2], [3, 14, -1, 6], [5, 16, -1, 10]],
        "y = x Wᵀ + b: in NumPy x @ weight.T + bias.",
        {"The bias is missing.": x @ weight.T},
    )
    g = np.ones((3, 4))
    g[0] = [2.0, 1.0, 1.0, 0.0]
    slopes = backward(g)
    step.holds(
        "backward returns three gradients",
        isinstance(slopes, tuple) and len(slopes) == 3,
        "One for each argument of linear, in their order: return dx, dweight, dbias.",
    )
    dx, dweight, dbias = slopes
    step.same("dx = g W, of shape (N, I)", dx, g @ weight, "g is (N, O) and weight is (O, I).")
    right = g.T @ x
    step.same(
        "dW = gᵀ x, of shape (O, I)",
        dweight,
        right,
        "g is (N, O) and x is (N, I): the sum over the rows N leaves (O, I).",
        {
            "These are the right numbers, transposed: dW has the shape of weight, (O, I).": right.T,
            "This is the mean over the rows. The gradient is their sum; whether the loss is a "
            "mean is the business of the loss.": right / 3,
        },
    )
    step.same(
        "db, of shape (O,)",
        dbias,
        g.sum(axis=0),
        "The bias is used in every row, so its gradient is the sum of g over the rows.",
        {
            "This is g itself. The bias is used in every row: sum over them.": g,
            "This is the mean over the rows; the gradient is their sum.": g.mean(axis=0),
            "This is a sum over the outputs; sum over the rows, which are axis 0.": g.sum(axis=1),
        },
    )
    rng = np.random.default_rng(0)
    step.gradients(
        "all gradients agree with finite differences",
        operation(work.linear.function),
        rng.standard_normal((5, 3)),
        rng.standard_normal((2, 3)),
        rng.standard_normal(2),
        look_at="The row marked WRONG: input 0 is x, input 1 the weight, input 2 the bias.",
    )


def broadcasting(work: Work, step: Steps) -> None:
    g = np.arange(6.0).reshape(2, 3)
    step.same(
        "a bias (3,) that was added to (2, 3)",
        work.unbroadcast(g, (3,)),
        [3, 5, 7],
        "NumPy put axis 0 in front: sum g over it.",
        {
            "Nothing was summed: g still has an axis that the bias has not.": g,
            "This is the mean over the rows; the gradient is their sum.": g.mean(axis=0),
        },
    )
    step.same(
        "a column (2, 1) that was stretched to (2, 3)",
        work.unbroadcast(g, (2, 1)),
        [[3], [12]],
        "Axis 1 had length 1 and was stretched: sum over it and keep it with length 1.",
        {
            "The sum is right, but the axis is gone: keepdims=True keeps it with length 1.": [
                3,
                12,
            ],
            "Nothing was summed. No axis was put in front here, but axis 1 was stretched.": g,
        },
    )
    step.same(
        "a single number () that was added to (2, 3)",
        work.unbroadcast(g, ()),
        15.0,
        "Both axes were put in front: sum over all of them.",
    )
    step.same(
        "an array that was not broadcast stays as it is",
        work.unbroadcast(g, (2, 3)),
        g,
        "The shapes are equal, so there is nothing to sum.",
    )
    deep = np.random.default_rng(0).standard_normal((5, 2, 4, 3))
    step.same(
        "(4, 1) broadcast to (5, 2, 4, 3): added and stretched axes together",
        work.unbroadcast(deep, (4, 1)),
        deep.sum(axis=(0, 1, 3))[:, None],
        "Sum over the two axes in front first; what is left, (4, 3), is compared with (4, 1).",
    )


def tape(work: Work, step: Steps) -> None:
    value = work.Value
    x, y = value(3.0), value(4.0)
    work.backward.in_place(x * y)
    step.same(
        "x · y with x = 3 and y = 4: the gradients of x and y",
        [x.grad, y.grad],
        [4, 3],
        "Set last.grad = 1, then hand value.grad * slope on to each input.",
    )
    x = value(3.0)
    work.backward.in_place(x * x)
    step.same(
        "x · x with x = 3: x was used twice",
        x.grad,
        6,
        "d(x²)/dx = 2x: x receives 3 from each of its two uses.",
        {"Only one of two contributions arrived: add them with += instead of =.": 3},
    )
    x = value(2.0)
    a = x * x
    b = a * x
    work.backward.in_place(a + b)
    step.same(
        "x² + x³ with x = 2, in which x² is used twice",
        x.grad,
        2 * 2 + 3 * 4,
        "The slope is 2x + 3x² = 16. Every value hands its gradient on once, after all those that "
        "use it have done so.",
        {
            "x² handed its gradient on before x³ had added its share. Put the values in order "
            "first, each behind its inputs, and walk through the list from its end.": 2 * 2 + 4,
            "x² handed its gradient on twice, the second time with the first share in it. Each "
            "value may hand on once, when its gradient is complete.": 2 * 2 + 2 * 2 + 3 * 4,
        },
    )
    total = x = value(1.0)
    for _ in range(30):
        total = total + total
    work.backward.in_place(total)
    step.same(
        "thirty doublings, each of which uses a value twice",
        x.grad,
        2.0**30,
        "The gradient doubles at every step: 2³⁰.",
    )


def training_loop(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]])

    def trained(loop: Any, steps: int = 4) -> tuple[Any, Any]:
        model = Linear(3, 1, rng=np.random.default_rng(1)).astype(np.float64)
        optimizer = SGD(model, lr=0.1)
        losses = loop(model, optimizer, x, y, steps)
        return losses, np.concatenate([p.numpy().ravel() for p in model.parameters()])

    expected = trained(_loop)
    losses, weights = trained(work.train)
    step.holds(
        "four steps give four losses, as floats",
        isinstance(losses, list) and len(losses) == 4 and all(type(v) is float for v in losses),
        "Append loss.item() in every step and return the list after the loop.",
        came=str(losses),
    )
    accumulated, _ = trained(_without_clearing)
    late = trained(_loop, 5)[0][1:]
    step.same(
        "the losses of four steps",
        losses,
        expected[0],
        "The order of the five lines: answer, loss, zero_grad, backward, step.",
        {
            "Old gradients were added to the new ones: call optimizer.zero_grad() in every "
            "step before loss.backward().": accumulated,
            "The model did not learn: the loss is the same in every step. Is optimizer.step() "
            "called after loss.backward(), and zero_grad() before it?": [expected[0][0]] * 4,
            "The losses are those after the update. Keep the one that was computed before "
            "it.": late,
        },
    )
    step.same(
        "the weights after four steps",
        weights,
        expected[1],
        "The losses are right, but the weights are not: is there a step too many or too few?",
    )


def _loop(model: Any, optimizer: Any, x: Any, y: Any, steps: int) -> list[float]:
    return _losses(model, optimizer, x, y, steps, clear=True)


def _without_clearing(model: Any, optimizer: Any, x: Any, y: Any, steps: int) -> list[float]:
    return _losses(model, optimizer, x, y, steps, clear=False)


def _losses(model: Any, optimizer: Any, x: Any, y: Any, steps: int, clear: bool) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = F.mse_loss(model(x), y)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
