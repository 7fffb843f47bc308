"""Modules: names, states, and what a subclass may do."""

import numpy as np
import pytest
from foundation_nn import (
    GELU,
    MLP,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    Parameter,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
    Tensor,
    skip_init,
)
from foundation_nn import functional as F
from foundation_nn.optim import SGD


class Configured(MLP):
    """A multi-layer perceptron that remembers how it was made."""

    def __init__(self, widths):
        self.widths = widths
        super().__init__(widths, rng=np.random.default_rng(0))


def test_a_subclass_of_sequential_may_have_attributes_of_its_own():
    model, plain = Configured([2, 3, 1]), MLP([2, 3, 1], rng=np.random.default_rng(0))
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(model(x).data, plain(x).data)
    assert len(model) == 3
    assert model[0] is next(iter(model))


@pytest.mark.parametrize(
    "bias",
    [np.array(["a", "b"]), np.array([None, None]), np.zeros(3), np.zeros((2, 1))],
    ids=["text", "None", "(3,)", "(2, 1)"],
)
def test_a_state_that_is_refused_changes_nothing(rng, bias):
    layer = Linear(2, 2, rng=rng)
    before = layer.state_dict()
    with pytest.raises((TypeError, ValueError), match="bias"):
        layer.load_state_dict({"weight": np.zeros((2, 2)), "bias": bias})
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


class Block(Module):
    """One of everything that may be an attribute."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.scale = Parameter(2.0)
        self.layers = [Linear(2, 3, bias=False, rng=rng), LayerNorm(3)]
        self.pair = (Parameter([1.0, 2.0]), "not a parameter", Tanh())
        self.head = Sequential(Linear(3, 2, rng=rng), ReLU())
        self.head_again = self.head
        self.name = "block"
        self.nothing = None

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x) * self.scale


NAMES = ["scale", "pair.0", "layers.0.weight", "layers.1.weight", "layers.1.bias"]
HEAD = ["head.0.weight", "head.0.bias"]


def test_names_are_paths_and_shared_parameters_occur_once():
    block = Block()
    named = dict(block.named_parameters())
    assert list(named) == NAMES + HEAD
    assert named["layers.1.bias"] is block.layers[1].bias
    assert [id(p) for p in block.parameters()] == [id(p) for p in named.values()]
    assert block.num_parameters() == 1 + 2 + 6 + 3 + 3 + 6 + 2
    paths = [name for name, _ in block.named_modules()]
    assert paths[:4] == ["", "layers.0", "layers.1", "pair.2"]
    assert set(paths[4:]) == {
        f"{head}{n}" for head in ("head", "head_again") for n in ("", ".0", ".1")
    }


def test_a_state_is_copied_out_and_in():
    block, other = Block(), Block()
    state = block.state_dict()
    for i, value in enumerate(state.values()):
        value[...] = i
    assert block.scale.item() == 2  # the state is a copy
    other.load_state_dict(state)
    for i, p in enumerate(other.parameters()):
        np.testing.assert_array_equal(p.data, np.full(p.shape, i))
        assert p.dtype == np.float32
    state["scale"][...] = 99
    assert other.scale.item() == 0
    assert block(Tensor([[1.0, 2.0]])).shape == (1, 2)


def test_shared_parameters_load_under_any_of_their_names():
    block, state = Block(), Block().state_dict()
    state["head_again.0.bias"] = state.pop("head.0.bias") + 5
    block.load_state_dict(state)
    np.testing.assert_array_equal(block.head[0].bias.data, state["head_again.0.bias"])
    state["head.0.bias"] = state["head_again.0.bias"] + 1
    with pytest.raises(ValueError, match="contradict +head.0.bias, head_again.0.bias"):
        block.load_state_dict(state)


def test_everything_that_does_not_fit_is_listed():
    state = Block().state_dict()
    del state["scale"]
    state["pair.0"], state["typo"] = np.zeros((5,)), np.zeros(1)
    with pytest.raises(ValueError, match="does not fit this Block") as caught:
        Block().load_state_dict(state)
    assert str(caught.value).splitlines()[1:] == [
        "  wrong shape  pair.0: expected (2,), got (5,)",
        "  missing      scale ()",
        "  unexpected   typo",
    ]


def test_not_strict_takes_what_fits_by_name_and_still_no_wrong_shape():
    block = Block()
    block.load_state_dict({"scale": np.array(7), "typo": np.zeros(1)}, strict=False)
    assert block.scale.item() == 7
    with pytest.raises(ValueError, match="wrong shape"):
        block.load_state_dict({"scale": np.zeros(2)}, strict=False)


def test_errors_say_in_which_layer_they_arose():
    class Outer(Module):
        def __init__(self):
            self.blocks = [Block(), Block()]

        def forward(self, x):
            return self.blocks[1](x)

    with pytest.raises(ValueError, match=r"^blocks\[1\]\.layers\[0\]: linear: expected x of shape"):
        Outer()(Tensor([[1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"^\[0\]: linear: expected x"):
        Sequential(Linear(2, 1))(Tensor([1.0]))
    with pytest.raises(ValueError, match=r"^linear: expected x"):
        Linear(2, 1)(Tensor([1.0]))


def test_forward_is_the_subclass_s_to_define():
    with pytest.raises(NotImplementedError, match=r"Module defines no forward\(\)"):
        Module()(1)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Linear(2, 3), "Linear(2, 3, bias=True)"),
        (Linear(2, 3, bias=False), "Linear(2, 3, bias=False)"),
        (Embedding(7, 5), "Embedding(7, 5)"),
        (LayerNorm(3), "LayerNorm(eps=1e-05)"),
        (RMSNorm(3, eps=0.1), "RMSNorm(eps=0.1)"),
        (Dropout(0.25), "Dropout(p=0.25)"),
        (GELU("tanh"), "GELU(approximate='tanh')"),
        (ReLU(), "ReLU()"),
        (
            Sequential(ReLU(), Sequential(Tanh())),
            "Sequential(\n  (0): ReLU()\n  (1): Sequential(\n    (0): Tanh()\n  )\n)",
        ),
    ],
)
def test_how_it_looks(module, text):
    assert repr(module) == text


def test_sequential_applies_its_layers_in_order():
    model = Sequential(Linear(2, 3), Tanh(), Linear(3, 1))
    x = Tensor([[1.0, -2.0]])
    first, last = model[0], model[-1]
    y = (
        np.tanh(x.data @ first.weight.data.T + first.bias.data) @ last.weight.data.T
        + last.bias.data
    )
    np.testing.assert_allclose(model(x).data, y, rtol=1e-6)
    assert [type(layer) for layer in model] == [Linear, Tanh, Linear]
    assert [n for n, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_a_function_may_be_a_layer():
    first, last = Linear(2, 3), Linear(3, 1)
    model = Sequential(first, F.relu, lambda x: x * 2.0, last)
    x = Tensor([[1.0, -2.0]])
    hidden = 2 * np.maximum(x.data @ first.weight.data.T + first.bias.data, 0)
    np.testing.assert_allclose(
        model(x).data, hidden @ last.weight.data.T + last.bias.data, rtol=1e-6
    )
    assert len(model) == 4
    assert model[1] is F.relu
    assert [n for n, _ in model.named_parameters()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert repr(model) == (
        "Sequential(\n  (0): Linear(2, 3, bias=True)\n  (1): relu\n  (2): <lambda>\n"
        "  (3): Linear(3, 1, bias=True)\n)"
    )


LAYER = Linear(2, 2)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (([LAYER],), r"at position 0, got a list; unpack it: Sequential\(\*layers\)"),
        ((LAYER, ReLU), r"at position 1, got the class ReLU; make a layer of it: ReLU\(...\)"),
        ((LAYER, LAYER.weight), "at position 1, got a Parameter; a layer is a Module, or a fun"),
        ((LAYER.forward,), "at position 0, got the function forward; pass the Linear itself"),
        ((LAYER, None), "at position 1, got None; a layer is a Module, or a function"),
        (("relu",), "at position 0, got the str 'relu'; a layer is a Module"),
    ],
)
def test_what_is_no_layer_is_refused(layers, message):
    with pytest.raises(TypeError, match=f"Sequential: expected a layer {message}"):
        Sequential(*layers)


@pytest.mark.parametrize(
    ("activation", "given"),
    [(F.relu, "the function relu"), (ReLU(), "a ReLU"), ("relu", "the str")],
)
def test_the_activation_of_a_perceptron_is_a_class(activation, given):
    with pytest.raises(TypeError, match=f"MLP: expected activation to be a class .*got {given}"):
        MLP([2, 3, 1], activation)


@pytest.mark.parametrize("activation", [ReLU, GELU, SiLU, Tanh, Sigmoid])
def test_a_perceptron_is_made_anew_from_its_configuration(activation):
    model = MLP([2, 5, 3, 1], activation, rng=np.random.default_rng(0))
    assert model.to_dict() == {"widths": [2, 5, 3, 1], "activation": activation.__name__}
    again = MLP.from_dict(model.to_dict())
    again.load_state_dict(model.state_dict())
    assert [type(layer) for layer in again] == [Linear, activation, Linear, activation, Linear]
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(again(x).data, model(x).data)


def test_impossible_perceptrons_are_refused():
    with pytest.raises(ValueError, match="Linear: expected out_features >= 0, got -1"):
        Linear(2, -1)
    with pytest.raises(ValueError, match=r"MLP: expected at least two widths .*got \[2\]"):
        MLP([2])
    with pytest.raises(ValueError, match="MLP: unknown activation 'os'"):
        MLP.from_dict({"widths": [2, 1], "activation": "os"})


def test_dictionaries_and_nested_lists_are_looked_into(rng):
    class Holder(Module):
        def __init__(self):
            self.heads = {"a": Linear(2, 3, rng=rng)}
            self.grid = [[Linear(3, 1, rng=rng)], [Linear(1, 2, rng=rng)]]

    names = [name for name, _ in Holder().named_parameters()]
    assert names[0] == "heads.a.weight"
    assert names[-1] == "grid.1.0.bias"
    assert Holder().num_parameters() == 9 + 4 + 4


def test_a_parameter_cannot_be_written_to_through_numpy(rng):
    layer = Linear(2, 3, rng=rng)
    SGD(layer, lr=0.1)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(layer.weight.data)[...] = 7


def test_a_module_without_values_draws_nothing_and_takes_no_memory():
    before = np.random.default_rng(0)
    rng = np.random.default_rng(0)
    with skip_init():
        layer = Linear(5, 3, rng=rng)
    assert rng.random() == before.random()
    assert not layer.weight.data.any()
    assert layer.weight.data.strides == (0, 0)
    Linear(5, 3, rng=rng)  # outside again, values are drawn
    assert rng.random() != before.random()


def test_assign_takes_arrays_over_and_copies_others():
    with skip_init():
        layer = Linear(5, 3)
    weight, bias = np.ones((3, 5), np.float32), np.arange(3.0)
    layer.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    assert np.shares_memory(layer.weight.data, weight)
    assert not weight.flags.writeable
    assert layer.bias.dtype == np.float32  # cast, so a copy
    assert layer(Tensor(np.ones((1, 5)), dtype=np.float32)).data.tolist() == [[5.0, 6.0, 7.0]]
    SGD(layer, lr=1.0)  # gathers the parameters in a buffer of its own
    layer.load_state_dict({"weight": 2 * weight, "bias": bias}, assign=True)
    assert layer.weight.data.tolist() == [[2.0] * 5] * 3


def test_assign_refuses_what_does_not_fit_before_it_changes_anything():
    layer = Linear(5, 3)
    kept = layer.weight.numpy()
    with pytest.raises(ValueError, match=r"wrong shape  bias: expected \(3,\), got \(4,\)"):
        layer.load_state_dict({"weight": np.ones((3, 5)), "bias": np.ones(4)}, assign=True)
    np.testing.assert_array_equal(layer.weight.data, kept)
