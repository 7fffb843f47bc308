"""Weights in the order of Keras, against its documented formulas written out."""

import numpy as np
import pytest
from foundation_seq import GRU, LSTM, RNN, from_keras

IN, H, T = 3, 2, 5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def keras(kind, x, kernel, recurrent, bias):
    """``keras.layers``: gates i f c o (LSTM) and z r h (GRU, reset_after), one row."""
    h, c = np.zeros(H), np.zeros(H)
    for x_t in x:
        if kind == "gru":
            pz, pr, ph = np.split(x_t @ kernel + bias[0], 3)
            qz, qr, qh = np.split(h @ recurrent + bias[1], 3)
            z, r = sigmoid(pz + qz), sigmoid(pr + qr)
            h = z * h + (1 - z) * np.tanh(ph + r * qh)
            continue
        z = x_t @ kernel + h @ recurrent + bias
        if kind == "rnn":
            h = np.tanh(z)
            continue
        i, f, candidate, o = np.split(z, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
    return h


@pytest.mark.parametrize(
    ("kind", "make", "gates"), [("rnn", RNN, 1), ("gru", GRU, 3), ("lstm", LSTM, 4)]
)
def test_computes_what_keras_documents(kind, make, gates):
    rng = np.random.default_rng(0)
    bias_shape = (2, gates * H) if kind == "gru" else (gates * H,)
    weights = [rng.standard_normal(s) for s in ((IN, gates * H), (H, gates * H), bias_shape)]
    layer, x = make(IN, H).astype(np.float64), rng.standard_normal((T, IN))
    layer.load_state_dict(from_keras(kind, weights))
    np.testing.assert_allclose(layer(x[None])[0].data[0, -1], keras(kind, x, *weights), rtol=1e-12)


def test_names_of_other_layers():
    weights = [np.zeros((2 * H, 4 * H)), np.zeros((H, 4 * H)), np.zeros(4 * H)]
    names = set(from_keras("lstm", weights, "l1_reverse"))
    assert names == {n for n in LSTM(IN, H, 2, True).state_dict() if n.endswith("l1_reverse")}


def test_errors():
    good = [np.zeros((IN, 3 * H)), np.zeros((H, 3 * H)), np.zeros((2, 3 * H))]
    with pytest.raises(ValueError, match='"rnn", "lstm" or "gru", got \'conv\''):
        from_keras("conv", good)
    with pytest.raises(ValueError, match="kernel, recurrent kernel and bias, got 2 arrays"):
        from_keras("gru", good[:2])
    with pytest.raises(ValueError, match=r"got .* and \(6,\); a GRU must have reset_after=True"):
        from_keras("gru", [*good[:2], np.zeros(3 * H)])
