"""The hook: who is told of what, and that nobody is when nobody watches."""

import numpy as np
import pytest
from foundation_nn import MLP, Array, Linear, Module, Result, Tanh, Tensor, no_grad, operation
from foundation_nn import functional as F
from foundation_nn.engine._watch import Watcher, watching


class Diary(Watcher):
    def __init__(self):
        super().__init__()
        self.lines = []

    def forward(self, kernel, inputs, output, backward, node, seconds):
        assert seconds >= 0
        shapes = [None if x is None else x.shape for x in inputs]
        self.lines.append(("forward", kernel.__name__, shapes, np.shape(output), self.path))
        self.recorded = node is not None

    def backward(self, node, g, grads, seconds):
        assert seconds >= 0
        shapes = [None if dx is None else np.shape(dx) for dx in grads]
        self.lines.append(("backward", node.name, np.shape(g), shapes))

    def module_done(self, output):
        self.lines.append(("done", self.path, self.kind))


def model_and_input():
    return MLP([2, 3, 1], Tanh, rng=np.random.default_rng(0)), Tensor(np.ones((5, 2)))


def test_every_module_operation_and_backward_is_told():
    model, x = model_and_input()
    model.astype(np.float64)
    with Diary() as diary:
        model(x).sum().backward()
    assert diary.lines == [
        ("forward", "linear", [(5, 2), (3, 2), (3,)], (5, 3), "0"),
        ("done", "0", "Linear"),
        ("forward", "tanh", [(5, 3)], (5, 3), "1"),
        ("done", "1", "Tanh"),
        ("forward", "linear", [(5, 3), (1, 3), (1,)], (5, 1), "2"),
        ("done", "2", "Linear"),
        ("done", "", "MLP"),
        ("forward", "sum", [(5, 1)], (), ""),
        ("backward", "sum", (), [(5, 1)]),
        ("backward", "linear", (5, 1), [(5, 3), (1, 3), (1,)]),
        ("backward", "tanh", (5, 3), [(5, 3)]),
        ("backward", "linear", (5, 3), [None, (3, 2), (3,)]),
    ]
    assert (diary.path, diary.kind) == ("", "")


def test_nobody_is_told_outside_of_the_context():
    diary = Diary()
    x = Tensor([1.0], requires_grad=True)
    with diary:
        y = F.tanh(x)
    assert watching.get() is None
    told = list(diary.lines)
    F.exp(y).backward()
    MLP([1, 1])(x)
    assert diary.lines == told
    assert len(told) == 1


def test_contexts_nest_and_are_put_back_also_after_an_error():
    outer, inner = Diary(), Diary()
    with outer:
        F.exp(Tensor([1.0]))
        with inner:
            F.tanh(Tensor([1.0]))
        failing = Linear(2, 3)
        with pytest.raises(ValueError, match="linear"), inner:
            failing(Tensor([1.0]))
        assert watching.get() is outer
        F.log(Tensor([1.0]))
        with outer:
            F.sqrt(Tensor([1.0]))
        F.sqrt(Tensor([1.0]))
    assert watching.get() is None
    assert [line[1] for line in outer.lines] == ["exp", "log", "sqrt", "sqrt"]
    assert [line[1] for line in inner.lines] == ["tanh"]
    assert inner.path == ""  # the module that failed is no longer running


def test_a_failing_layer_is_still_named_in_the_message():
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    model.add = Linear(7, 1)
    with Diary(), pytest.raises(ValueError, match=r"\[0\]: linear: expected x"):
        model(Tensor(np.ones((5, 3), np.float32)))


def test_values_and_gradients_are_the_same_when_watched():
    model, x = model_and_input()
    model.astype(np.float64)
    model(x).sum().backward()
    expected = [p.grad.copy() for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    with Diary():
        model(x).sum().backward()
    for p, grad in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


def test_without_recording_there_is_no_node():
    x = Tensor([1.0], requires_grad=True)
    with Diary() as diary:
        F.exp(x)
        assert diary.recorded
        with no_grad():
            F.exp(x)
        assert not diary.recorded


def test_several_outputs_are_told_once_by_their_operation():
    @operation(outputs=2)
    def both(x: Array) -> Result:
        return (x + 1, x * 2), lambda grads: grads[0] + 2 * grads[1]

    x = Tensor([1.0, 2.0], requires_grad=True)
    with Diary() as diary:
        y, z = both(x)
        (y * z).sum().backward()
    told = [line for line in diary.lines if line[1] == "both"]
    assert told[0] == ("forward", "both", [(2,)], (2, 2), "")
    assert told[-1] == ("backward", "both", (2, 2), [(2,)])
    np.testing.assert_array_equal(x.grad, [6, 10])  # d/dx (x + 1) 2x = 4x + 2


def test_a_module_made_on_the_way_is_named_by_its_class():
    class Outer(Module):
        def forward(self, x):
            return Tanh()(x)

    with Diary() as diary:
        Outer()(Tensor([1.0]))
    assert diary.lines[0][-1] == "Tanh"
