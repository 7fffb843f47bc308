"""Several optimisers with a part of the parameters each make the step of one with all of them."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from foundation_nn import Embedding, LayerNorm, Linear, Sequential, optim
from hypothesis import given
from hypothesis import strategies as st

MAKERS = {
    "sgd": lambda model: optim.SGD(model, 0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda model: optim.Adam(model, 0.1),
    "adamw": lambda model: optim.AdamW(model, 0.1, weight_decay=0.1),
    "rmsprop": lambda model: optim.RMSprop(model, 0.1),
    "adagrad": lambda model: optim.Adagrad(model, 0.1),
    "lion": lambda model: optim.Lion(model, 0.1, weight_decay=0.1),
    "muon": lambda model: optim.Muon(model, 0.1),
    "adafactor": lambda model: optim.Adafactor(model, 0.1, weight_decay=0.1),
}


def make_model():
    rng = np.random.default_rng(1)
    layers = (Embedding(7, 5, rng=rng), Linear(5, 11, rng=rng), LayerNorm(11))
    model = Sequential(*layers, Linear(11, 3, rng=rng)).astype(np.float64)
    model[1].bias.requires_grad = False
    return model


def groups_of(model):
    return [
        {"params": [*model[0].parameters(), *model[1].parameters()]},
        {"params": [*model[2].parameters(), *model[3].parameters()], "lr_scale": 0.5},
    ]


def step(optimizer, number):
    """One step, with gradients that depend on the number alone."""
    rng = np.random.default_rng(number)
    for p in optimizer.buffer.parameters:
        if p.requires_grad:
            p.grad = rng.standard_normal(p.shape)
    optimizer.step()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("name", MAKERS)
def test_parts_make_the_steps_of_the_whole(name, count):
    model = make_model()
    whole = MAKERS[name](groups_of(model))
    step(whole, 0)  # the parts begin with a state
    processes = [copy.deepcopy(whole) for _ in range(count)]
    parts = whole.cuts(count)
    assert (parts[0].start, parts[-1].stop) == (0, len(whole.buffer.data))
    assert all(a.stop == b.start for a, b in pairwise(parts))

    def gather(name, array):
        return np.concatenate([process.state_of_part(name) for process in processes])

    for process, part in zip(processes, parts, strict=True):
        process.take_part(part, gather)
    for number in (1, 2, 3):
        step(whole, number)
        for process in processes:
            step(process, number)
        together = np.concatenate(
            [process.buffer.data[part] for process, part in zip(processes, parts, strict=True)]
        )
        np.testing.assert_array_equal(together, whole.buffer.data)
        for process in processes:
            process.buffer.data[...] = together
    state = whole.state_dict()
    for key, value in processes[0].state_dict().items():
        np.testing.assert_array_equal(value, state[key], err_msg=key)
    last = copy.copy(processes[-1].state)
    processes[-1].take_whole()
    assert count == 1 or any(not np.array_equal(last[key], state[key]) for key in last)
    for key in last:
        np.testing.assert_array_equal(processes[-1].state[key], state[key], err_msg=key)


@pytest.mark.parametrize("name", MAKERS)
def test_a_part_leaves_the_other_parameters_alone(name):
    optimizer = MAKERS[name](make_model())
    before = optimizer.buffer.data.copy()
    part = optimizer.cuts(3)[1]
    optimizer.take_part(part, lambda name, array: array)
    step(optimizer, 1)
    changed = optimizer.buffer.data != before
    assert changed[part].any()
    assert not changed[: part.start].any()
    assert not changed[part.stop :].any()


def test_averages_of_parts_make_the_average_of_the_whole():
    model = make_model()
    optimizer = optim.SGD(model, 0.1)
    whole = optim.EMA(optimizer, 0.5)
    parts = optimizer.cuts(2)
    processes = [optim.EMA(optimizer, 0.5) for _ in parts]

    def gather(name, array):
        return np.concatenate([process.state_of_part(name) for process in processes])

    for process, part in zip(processes, parts, strict=True):
        process.take_part(part, gather)
    for number in range(3):
        step(optimizer, number)
        for ema in (whole, *processes):
            ema.update()
    now = optimizer.buffer.data.copy()
    with whole.applied():
        expected = optimizer.buffer.data.copy()
    with processes[1].applied():
        np.testing.assert_array_equal(optimizer.buffer.data, expected)
    np.testing.assert_array_equal(optimizer.buffer.data, now)
    np.testing.assert_array_equal(processes[0].state_dict()["average"], expected)
    processes[0].take_whole()
    np.testing.assert_array_equal(processes[0].state_dict()["average"], expected)


@given(st.integers(1, 60), st.integers(1, 9))
def test_only_whole_parameters_are_cut_off_where_that_matters(size, count):
    parameters = list(Linear(size, 3).parameters())
    optimizer = optim.Adafactor(parameters)
    borders = {part.start for part in optimizer.buffer.slices} | {len(optimizer.buffer.data)}
    assert {part.start for part in optimizer.cuts(count)} <= borders
    sizes = [part.stop - part.start for part in optim.SGD(parameters, 0.1).cuts(count)]
    assert max(sizes) - min(sizes) <= 1  # elsewhere all processes have the same work
