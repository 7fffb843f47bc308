"""The table of a model's parameters."""

import numpy as np
from foundation_nn import (
    MLP,
    BatchNorm1d,
    Linear,
    Module,
    Parameter,
    Sequential,
    Tanh,
    functional,
    summary,
)


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
        ["shared:", "tied.weight", "is", "head.weight"],
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
        ["shared:", "tied.weight", "is", "head.weight"],
    ]


def test_the_columns_stand_in_line():
    *lines, _ = summary(Model(), depth=3).splitlines()
    assert lines[0].split() == ["layer", "kind", "parameters"]
    assert len({len(line) for line in lines}) == 1


class Repeated(Module):
    """Four layers were meant, and the same buffer twice."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.blocks = [Sequential(Linear(3, 3, rng=rng), BatchNorm1d(3))] * 3
        self.head = Linear(3, 3, rng=rng)
        self.head.bias = self.blocks[0][0].bias
        self.mean = self.blocks[0][1].running_mean

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


SHARED = [
    "shared: blocks.1 is blocks.0",
    "shared: blocks.2 is blocks.0",
    "shared: head.bias is blocks.0.0.bias",
]


def test_what_is_shared_by_mistake_is_named_once_and_counts_once():
    lines = summary(Repeated()).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["blocks.0.0", "blocks.0.1", "head"]
    assert lines[4].split() == ["total", "Repeated", str(12 + 6 + 9)]
    # mean stands on the model itself, so before the blocks
    assert lines[5:] == [*SHARED[:2], "shared: blocks.0.1.running_mean is mean", SHARED[2]]
    full = summary(Repeated(), np.ones((7, 3), np.float32)).splitlines()
    assert full[5:] == lines[5:]
    assert full[1].split()[-2] == str(3 * 2 * 7 * 3 * 3)  # the FLOPs of all three calls


def test_nothing_shared_is_nothing_said():
    assert "shared" not in summary(MLP([2, 3, 1]))


def test_a_model_without_parameters():
    assert rows(summary(Tanh())) == [["total", "Tanh", "0"]]


class Residual(Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.inner = MLP([3, 5, 3], Tanh, rng=rng)
        self.head = Linear(3, 2, rng=rng)

    def forward(self, x):
        x = x + self.inner(x)
        return self.head(functional.transpose(x.reshape(7, 1, 3), (1, 0, 2)))


X = np.ones((7, 3), np.float32)


def test_with_inputs_also_shapes_flops_and_bytes_by_layer():
    assert [line.split(maxsplit=3) for line in summary(Residual(), X).splitlines()] == [
        ["layer", "kind", "parameters", "output       FLOPs       bytes"],
        ["inner.0", "Linear", "20", "(7, 5)         210         140"],
        ["inner.1", "Tanh", "0", "(7, 5)           0         140"],
        ["inner.2", "Linear", "18", "(7, 3)         210          84"],
        ["head", "Linear", "8", "(1, 7, 2)          84          56"],
        # the sum of the residual; reshape and transpose make views
        ["(itself)", "Residual", "0", "(1, 7, 2)           0          84"],
        ["total", "Residual", "46", "(1, 7, 2)         504         504"],
    ]


def test_costs_are_added_where_modules_are_not_opened():
    closed = rows(summary(Residual(), X, depth=1))
    assert closed[0] == ["inner", "MLP", "38", "(7,", "3)", "420", "364"]
    whole = rows(summary(Residual(), X, depth=0))
    assert whole[0] == ["(itself)", "Residual", "46", "(1,", "7,", "2)", "504", "504"]


def test_inputs_change_no_other_column():
    plain, full = summary(Residual()).splitlines(), summary(Residual(), X).splitlines()
    assert set(plain) <= {line[: len(plain[0])] for line in full}
    assert len({len(line) for line in full}) == 1


def test_a_layer_that_is_called_twice_costs_twice():
    class Twice(Module):
        def __init__(self):
            self.layer = Linear(3, 3, rng=np.random.default_rng(0))

        def forward(self, x):
            return self.layer(self.layer(x))

    assert rows(summary(Twice(), X))[0] == ["layer", "Linear", "12", "(7,", "3)", "252", "168"]


def test_large_numbers_are_shortened():
    row = rows(summary(Linear(1000, 1000), np.ones((50, 1000), np.float32)))[0]
    assert row[-4:] == ["100", "M", "200", "k"]
