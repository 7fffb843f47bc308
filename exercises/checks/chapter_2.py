"""Chapter 2: recurrent networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_nn import Tensor, operation
from foundation_seq import GRU, LSTM, RNN


def sigmoid(z: Any) -> Any:
    """1 / (1 + e⁻ᶻ)."""
    return 1 / (1 + np.exp(-z))


def recurrent_run(work: Work, step: Steps) -> None:
    one = np.ones((1, 1))
    x = np.array([[1.0], [0.0], [0.0]])
    states = work.run(x, np.zeros(1), one, 0.5 * one, np.zeros(1))
    first = np.tanh(1.0)
    second = np.tanh(0.5 * first)
    third = np.tanh(0.5 * second)
    step.same(
        "a 1 and two zeros, with W_ih = 1, W_hh = 0.5 and b = 0: a trace that fades",
        states,
        [[first], [second], [third]],
        "h_1 = tanh(1) = 0.762, h_2 = tanh(0.5 · 0.762) = 0.363, and so on.",
        {
            "The state is not carried along: each step starts from h0. Assign the new state to h "
            "before the next step.": [[first], [0], [0]],
            "This is the last state alone. Collect all of them.": [third],
            "The result begins with h0. It should hold h_1 to h_T.": [
                [0],
                [first],
                [second],
                [third],
            ],
        },
    )
    rng = np.random.default_rng(0)
    layer: Any = RNN(3, 5, rng=rng).astype(np.float64)
    x = rng.standard_normal((7, 3))
    h0 = rng.standard_normal(5)
    w_ih, w_hh = layer.weight_ih_l0.numpy(), layer.weight_hh_l0.numpy()
    b = rng.standard_normal(5)
    layer.bias_ih_l0.data = b
    layer.bias_hh_l0.data = np.zeros(5)
    expected = layer(Tensor(x[None]), state=Tensor(h0[None, None]))[0].numpy()[0]
    silent = layer(Tensor(x[None]))[0].numpy()[0]
    layer.bias_ih_l0.data = np.zeros(5)
    unbiased = layer(Tensor(x[None]), state=Tensor(h0[None, None]))[0].numpy()[0]
    step.same(
        "seven steps with five numbers of state, as foundation_seq.RNN computes them",
        work.run(x, h0, w_ih, w_hh, b),
        expected,
        "z = w_ih @ x_t + w_hh @ h + b. Is a matrix transposed?",
        {
            "The first state is not zero here: start from h0.": silent,
            "The bias b is missing.": unbiased,
        },
    )


def through_time(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    x, h0 = rng.standard_normal((1, 2)), rng.standard_normal(3)
    w_ih, w_hh = rng.standard_normal((3, 2)), rng.standard_normal((3, 3))
    b = rng.standard_normal(3)
    states, backward = work.recurrent(x, h0, w_ih, w_hh, b)
    g = rng.standard_normal((1, 3))
    dz = g[0] * (1 - states[0] ** 2)
    names = ("dx", "dh0", "dw_ih", "dw_hh", "db")
    right = (
        (w_ih.T @ dz)[None],
        w_hh.T @ dz,
        np.outer(dz, x[0]),
        np.outer(dz, h0),
        dz,
    )
    unbent = g[0]
    wrong = {
        "dx": {"The slope of tanh, 1 - h_t², is missing.": (w_ih.T @ unbent)[None]},
        "dh0": {"W_hh has to be transposed where the gradient is handed back.": w_hh @ dz},
        "dw_hh": {
            "The matrix W_hh was multiplied by h_{t-1}, the state before the step, which is "
            "states[t]; this is the state after it.": np.outer(dz, states[0])
        },
    }
    for name, came, expected in zip(names, backward(g), right, strict=True):
        step.same(
            f"a single step: {name}",
            came,
            expected,
            "dz = g[t] (1 - h_t²) comes first; then the line for this gradient.",
            wrong.get(name),
        )
    x = rng.standard_normal((2, 2))
    states, backward = work.recurrent(x, h0, w_ih, w_hh, b)
    g = rng.standard_normal((2, 3))
    dz1 = g[1] * (1 - states[1] ** 2)
    dz0 = (g[0] + w_hh.T @ dz1) * (1 - states[0] ** 2)
    apart = g[0] * (1 - states[0] ** 2)
    dx, _, dw_ih, _, _ = backward(g)
    step.same(
        "two steps: dx of the first, which the loss of the second reaches, too",
        dx[0],
        w_ih.T @ dz0,
        "dh_0 = g[0] + W_hhᵀ dz_1. The loop runs from the last step to the first.",
        {
            "Nothing came back from the second step. What it hands back, W_hhᵀ dz, has to be "
            "added to g[t] of the step before.": w_ih.T @ apart,
            "What the second step hands back took the place of g[0]. Add the two.": (
                w_ih.T @ ((w_hh.T @ dz1) * (1 - states[0] ** 2))
            ),
        },
    )
    step.same(
        "two steps: dw_ih adds up both",
        dw_ih,
        np.outer(dz1, x[1]) + np.outer(dz0, x[0]),
        "The weights are shared by all steps: dw_ih += ...",
        {"Only one of the steps is in it: add with += instead of =.": np.outer(dz0, x[0])},
    )
    step.gradients(
        "five steps: all gradients agree with finite differences",
        operation(work.recurrent.function),
        rng.standard_normal((5, 2)),
        h0,
        w_ih,
        w_hh,
        b,
        look_at="The inputs are x, h0, w_ih, w_hh and b, counted from 0.",
    )


def lstm_step(work: Work, step: Steps) -> None:
    w_ih = np.zeros((4, 1))
    w_hh = np.zeros((4, 1))
    bias = np.array([np.log(3.0), 0.0, np.arctanh(0.8), 0.0])  # i = 3/4, f = 1/2, g = 0.8, o = 1/2
    nothing = np.zeros(4)
    x, h, c = np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), 2.0)
    returned = work.lstm_step(x, h, c, w_ih, w_hh, bias, nothing)
    step.holds(
        "it returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "The new h and the new c: return h, c.",
    )
    new_h, new_c = returned
    step.same(
        "the gates i = 3/4, f = 1/2, o = 1/2, with g = 0.8 and the cell 2",
        new_c,
        [[1.6]],
        "c = f · 2 + i · g = 1/2 · 2 + 3/4 · 0.8.",
        {
            "i and f have changed places: f belongs to the old cell, i to g.": [[1.9]],
            "g is bent by tanh, not by σ: it may be negative.": [
                [1 + 0.75 * sigmoid(np.arctanh(0.8))]
            ],
            "This is h. Return h first and c second.": [[0.5 * np.tanh(1.6)]],
            "The four parts are taken in another order than i, f, g, o.": [
                [1 + 0.75 * np.tanh(0.0)]
            ],
            "The old cell is missing: f · c is the part that stays.": [[0.6]],
        },
    )
    step.same(
        "what is shown of it: h = o tanh(c)",
        new_h,
        [[0.5 * np.tanh(1.6)]],
        "h = o · tanh(c), with the new c.",
        {
            "The cell is shown without tanh: h = o · tanh(c).": [[0.8]],
            "h was made from the old cell. Use the new one.": [[0.5 * np.tanh(2.0)]],
        },
    )
    rng = np.random.default_rng(0)
    layer = LSTM(3, 5, rng=rng).astype(np.float64)
    weights = [rng.standard_normal(p.shape) for p in layer.parameters()]
    for parameter, values in zip(layer.parameters(), weights, strict=True):
        parameter.data = values
    x = rng.standard_normal((2, 3))
    h, c = rng.standard_normal((2, 2, 5))
    _, (end_h, end_c) = layer(Tensor(x[:, None]), state=(Tensor(h[None]), Tensor(c[None])))
    state = layer.state_dict()
    order = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    came_h, came_c = work.lstm_step(x, h, c, *(np.asarray(state[name]) for name in order))
    look_at = "Are all four terms in z, x, h and both biases? Is c the last part of f · c + i · g?"
    step.same("a batch of two, as foundation_seq.LSTM: c", came_c, end_c.numpy()[0], look_at)
    step.same("a batch of two, as foundation_seq.LSTM: h", came_h, end_h.numpy()[0], look_at)


def gru_step(work: Work, step: Steps) -> None:
    h = np.full((1, 1), 2.0)
    x = np.ones((1, 1))
    zeros = np.zeros((3, 1))
    b_ih = np.array([0.0, np.log(3.0), np.arctanh(0.8)])  # r = 1/2, z = 3/4, n = 0.8
    step.same(
        "the gate z = 3/4, with n = 0.8 and the state 2",
        work.gru_step(x, h, zeros, zeros, b_ih, np.zeros(3)),
        [[1.7]],
        "h = (1 - z) n + z h = 1/4 · 0.8 + 3/4 · 2.",
        {
            "z and 1 - z have changed places: z says how much of the old state stays.": [[1.1]],
            "The parts are taken in another order than r, z, n.": [[1.4]],
            "n is bent by tanh, not by σ.": [[1.5 + 0.25 * sigmoid(np.arctanh(0.8))]],
        },
    )
    b_hh = np.array([0.0, -50.0, 2.0])  # r = 1/2, z = 0: the new state is n
    w_hh = np.array([[0.0], [0.0], [0.3]])
    n_before = np.tanh(0.3 * 0.5 * 2.0 + 2.0)
    step.same(
        "with z = 0 the new state is n = tanh(p_n + r q_n), with r = 1/2",
        work.gru_step(x, h, zeros, w_hh, np.zeros(3), b_hh),
        [[np.tanh(0.5 * (0.3 * 2.0 + 2.0))]],
        "q_n = 0.3 · 2 + 2 = 2.6, and r q_n = 1.3.",
        {
            "The gate r multiplies the state before the product with W_hh. Here it multiplies "
            "what comes out of it, the bias included.": [[n_before]],
            "The gate r is missing.": [[np.tanh(2.6)]],
        },
    )
    rng = np.random.default_rng(0)
    layer = GRU(3, 5, rng=rng).astype(np.float64)
    for parameter in layer.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    x, h = rng.standard_normal((2, 3)), rng.standard_normal((2, 5))
    _, end = layer(Tensor(x[:, None]), state=Tensor(h[None]))
    state = layer.state_dict()
    order = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    step.same(
        "a batch of two, as foundation_seq.GRU",
        work.gru_step(x, h, *(np.asarray(state[name]) for name in order)),
        end.numpy()[0],
        "p = x W_ihᵀ + b_ih and q = h W_hhᵀ + b_hh, both for the whole batch.",
    )


def last_states(work: Work, step: Steps) -> None:
    states = np.arange(12.0).reshape(2, 3, 2)
    lengths = np.array([3, 1])
    step.same(
        "two sentences, of three steps and of one",
        work.last_states(states, lengths),
        [[4, 5], [6, 7]],
        "Row 0 ends with step 2, row 1 with step 0: the index is lengths - 1.",
        {
            "These are the states of the last column, which is padding in row 1.": states[:, -1],
            "states[:, lengths - 1] picks the columns in every row. Name the rows as well: "
            "states[np.arange(B), lengths - 1].": states[:, lengths - 1],
        },
    )
    step.same(
        "lengths as a plain list",
        work.last_states(states, [1, 2]),
        [[0, 1], [8, 9]],
        "np.asarray(lengths) makes an array of it.",
    )
    rng = np.random.default_rng(0)
    layer = RNN(3, 5, rng=rng).astype(np.float64)
    x = rng.standard_normal((4, 6, 3))
    lengths = np.array([6, 2, 5, 1])
    output, last = layer(Tensor(x), lengths=lengths)
    step.same(
        "as foundation_seq.RNN gives them",
        work.last_states(output.numpy(), lengths),
        last.numpy()[0],
        "One state for each of four sentences.",
    )
