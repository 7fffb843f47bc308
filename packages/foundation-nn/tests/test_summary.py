"""The table of a model's parameters."""

import numpy as np
from foundation_nn import MLP, Linear, Module, Parameter, Sequential, Tanh, summary


class Model(Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.scale = Parameter(np.ones(5))
        self.body = Sequential(MLP([2, 3, 1], rng=rng), Tanh())
        self.head = Linear(1000, 1234, rng=rng)
        self.tied = Linear(1000, 7, bias=False, rng=rng)
        self.tied.weight = self.head.weight


def rows(text):
    return [line.split() for line in text.splitlines()[1:]]


def test_each_parameter_counts_once_in_its_row():
    assert rows(summary(Model())) == [
        ["body.0", "MLP", "13"],
        ["head", "Linear", "1,235,234"],
        ["(itself)", "Model", "5"],
        ["total", "Model", "1,235,252"],
    ]


def test_the_depth_says_how_far_modules_are_opened():
    model = Model()
    assert rows(summary(model, depth=3))[:2] == [
        ["body.0.0", "Linear", "9"],
        ["body.0.2", "Linear", "4"],
    ]
    assert rows(summary(model, depth=1))[0] == ["body", "Sequential", "13"]
    assert rows(summary(model, depth=0)) == [
        ["(itself)", "Model", "1,235,252"],
        ["total", "Model", "1,235,252"],
    ]


def test_the_columns_stand_in_line():
    lines = summary(Model(), depth=3).splitlines()
    assert lines[0].split() == ["layer", "kind", "parameters"]
    assert len({len(line) for line in lines}) == 1


def test_a_model_without_parameters():
    assert rows(summary(Tanh())) == [["total", "Tanh", "0"]]
