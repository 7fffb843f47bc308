"""Layers refuse sizes, probabilities and epsilons that cannot be meant, and say which."""

import foundation_nn as fn
import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_nn import functional as F

X = Tensor([[1.0, 2.0], [3.0, 5.0]])

WRONG = {
    "a size that is a text": (
        lambda: fn.Linear("3", 5),
        "Linear: expected in_features to be a number, got the str '3'",
    ),
    "half a feature": (
        lambda: fn.Linear(3, 2.5),
        "Linear: expected out_features to be a whole number, got 2.5",
    ),
    "a negative size": (lambda: fn.Linear(-1, 5), "Linear: expected in_features >= 0, got -1"),
    "a negative table": (
        lambda: fn.Embedding(-1, 3),
        "Embedding: expected num_embeddings >= 0, got -1",
    ),
    "a negative deviation": (
        lambda: fn.Embedding(2, 3, std=-1.0),
        "Embedding: expected std >= 0, got -1.0",
    ),
    "half a row": (
        lambda: fn.Embedding(3.5, 3),
        "Embedding: expected num_embeddings to be a whole number, got 3.5",
    ),
    "a shape instead of a width": (
        lambda: fn.LayerNorm((2, 3)),
        "LayerNorm: expected width to be a number, got a tuple",
    ),
    "no width": (lambda: fn.RMSNorm(0), "RMSNorm: expected width >= 1, got 0"),
    "no features": (lambda: fn.BatchNorm1d(0), "BatchNorm1d: expected num_features >= 1, got 0"),
    "a width that is a text": (
        lambda: fn.MLP([2, "3"]),
        r"MLP: expected widths\[1\] to be a number, got the str '3'",
    ),
    "a negative eps": (lambda: fn.LayerNorm(2, eps=-1.0), "LayerNorm: expected eps >= 0, got -1.0"),
    "an eps that is NaN": (lambda: fn.RMSNorm(2, np.nan), "RMSNorm: expected eps >= 0, got nan"),
    "a negative eps for a batch": (
        lambda: fn.BatchNorm1d(2, eps=-1e-5),
        "BatchNorm1d: expected eps >= 0, got -1e-05",
    ),
    "a momentum that is none": (
        lambda: fn.BatchNorm1d(2, momentum=3),
        "BatchNorm1d: expected 0 <= momentum <= 1, got 3",
    ),
    "a probability that is a text": (
        lambda: fn.Dropout("0.1"),
        "Dropout: expected p to be a number, got the str '0.1'",
    ),
    "a negative eps of a function": (
        lambda: F.layer_norm(X, eps=-0.5),
        "layer_norm: expected eps >= 0, got -0.5",
    ),
    "an eps of a function that is NaN": (
        lambda: F.rms_norm(X, eps=np.nan),
        "rms_norm: expected eps >= 0, got nan",
    ),
    "a table with three axes": (
        lambda: F.embedding([0], Tensor(np.ones((2, 3, 4)))),
        r"embedding: expected a weight of shape \(V, D\), got \(2, 3, 4\)",
    ),
    "a table with one axis": (
        lambda: F.embedding([0], Tensor(np.ones(2))),
        r"embedding: expected a weight of shape \(V, D\), got \(2,\)",
    ),
    "no axis": (lambda: F.softmax(X, None), "softmax: expected one axis, got None"),
    "two axes": (lambda: F.log_softmax(X, (0, 1)), "log_softmax: expected one axis, got a tuple"),
    "half an axis": (lambda: F.softmax(X, 0.5), "softmax: expected one axis, got the float 0.5"),
    "no such reduction": (
        lambda: F.l1_loss(X, X, "average"),
        r'l1_loss: expected reduction to be "mean", "sum" or "none", got the str \'average\'',
    ),
    "no such reduction of rows": (
        lambda: F.cross_entropy(X, np.zeros(len(X.data), int), reduction=None),
        r'cross_entropy: expected reduction to be "mean", "sum" or "none", got None',
    ),
    "a delta of nothing": (
        lambda: F.huber_loss(X, X, delta=0),
        "huber_loss: expected delta > 0, got 0",
    ),
    "a negative weight": (
        lambda: F.binary_cross_entropy_with_logits(X * 0, X * 0, pos_weight=-1.0),
        r"binary_cross_entropy_with_logits: expected finite pos_weight >= 0 of .*, got -1.0",
    ),
    "a bound with a gradient": (
        lambda: F.clip(X, Tensor(0.0, requires_grad=True)),
        r"clip: the bounds are constants.* write maximum\(x, low\) or minimum\(x, high\)",
    ),
    "a variance of one": (
        lambda: F.var(X[:1, :1], ddof=1),
        r"var: expected more than ddof=1 elements to take it of, got 1 over axis None",
    ),
    "a norm of vectors over two axes": (
        lambda: F.norm(X, 3),
        r"norm: expected ord to be a number over one axis, or one of \(1, -1, .* the int 3 over",
    ),
    "a norm of matrices over one axis": (
        lambda: F.norm(X, "nuc", axis=1),
        r"norm: expected ord to be a number over one axis, .* got the str 'nuc' over axis 1 of",
    ),
    "a frame of means": (
        lambda: F.pad(X, 1, "mean"),
        r"pad: expected mode to be one of constant, edge, .*, wrap, got the str 'mean'",
    ),
    "a frame of numbers by position": (
        lambda: F.pad(X, 1, 7.0),
        r"pad: expected mode to be one of constant, edge, .* got the float 7.0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_that_cannot_be_meant_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        make()


def test_sizes_may_be_of_any_integer_type_and_quotients_that_are_whole():
    layer = fn.Linear(np.int64(3), 8 / 2, rng=np.random.default_rng(0))
    assert layer.weight.shape == (4, 3)
    assert fn.Embedding(6 / 2, np.int32(2)).weight.shape == (3, 2)
    assert fn.MLP((4 / 2, np.int8(3))).to_dict()["widths"] == [2, 3]


def test_an_eps_of_zero_is_possible_where_no_row_is_constant():
    np.testing.assert_allclose(F.layer_norm(X, eps=0.0).data, [[-1, 1], [-1, 1]])
