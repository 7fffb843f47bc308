"""Lists and dictionaries of modules, and the layer that does nothing."""

import copy

import numpy as np
import pytest
from foundation_nn import (
    Dropout,
    Identity,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    Parameter,
    ReLU,
    Sequential,
    Tensor,
)
from foundation_nn import functional as F


class Stack(Module):
    def __init__(self, layers):
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_list_names_its_parameters_as_a_plain_list_does():
    layers = [Linear(2, 3), ReLU(), Linear(3, 1)]
    plain, ours = Stack(layers), Stack(ModuleList(layers))
    assert list(ours.state_dict()) == list(plain.state_dict())
    assert list(ours.state_dict()) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(ours(x).data, plain(x).data)


def test_a_list_is_used_as_a_python_list():
    first, second, third = Linear(1, 2), Linear(2, 3), Linear(3, 4)
    layers = ModuleList([first])
    layers.append(third)
    layers.insert(1, second)
    assert list(layers) == [first, second, third]
    assert len(layers) == 3
    assert layers[-1] is third
    assert second in layers
    assert layers.index(third) == 2
    assert isinstance(layers[1:], ModuleList)
    assert list(layers[1:]) == [second, third]
    layers[0] = third
    del layers[1]
    assert list(layers) == [third, third]
    layers[:] = [first]
    layers.extend([second])
    layers += [third]
    assert layers.pop() is third
    assert list(layers) == [first, second]
    assert [name for name, _ in layers.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
    ]


def test_a_dictionary_is_used_as_a_python_dictionary():
    mean, scale = Linear(3, 1), Linear(3, 2)
    heads = ModuleDict({"mean": mean})
    heads["scale"] = scale
    assert list(heads) == ["mean", "scale"]
    assert dict(heads.items()) == {"mean": mean, "scale": scale}
    assert heads.get("missing") is None
    assert "mean" in heads
    assert [name for name, _ in heads.named_parameters()] == [
        "mean.weight",
        "mean.bias",
        "scale.weight",
        "scale.bias",
    ]
    assert heads.pop("mean") is mean
    del heads["scale"]
    assert not len(heads)
    assert list(ModuleDict([("a", mean)])) == ["a"]
    with pytest.raises(KeyError, match="mean"):
        heads["mean"]


def test_a_dictionary_is_equal_to_itself_alone():
    heads = ModuleDict({"mean": Linear(3, 1)})
    twin = ModuleDict(heads)
    assert heads == heads
    assert heads != twin
    assert len({heads, twin}) == 2


def test_collections_look_as_they_are_nested():
    modules = ModuleDict({"body": ModuleList([ReLU(), Linear(2, 3)]), "head": Identity()})
    assert repr(modules) == (
        "ModuleDict(\n  (body): ModuleList(\n    (0): ReLU()\n    (1): Linear(2, 3, bias=True)\n"
        "  )\n  (head): Identity()\n)"
    )
    assert repr(ModuleList()) == "ModuleList()"


def test_a_copy_has_modules_of_its_own():
    layers = ModuleList([Linear(2, 2)])
    twin = copy.deepcopy(layers)
    twin[0].weight.data = np.zeros((2, 2))
    assert np.any(layers[0].weight.data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ModuleList([ReLU]),
            r"got the class ReLU; make one: ReLU\(...\)",
        ),
        (lambda: ModuleList([[ReLU()]]), "expected modules, got a list; make a ModuleList of it"),
        (lambda: ModuleList([F.relu]), "got the function relu; anything else, .* plain list"),
        (lambda: ModuleList([Parameter([1.0])]), "got a Parameter; anything else"),
        (lambda: ModuleList(Linear(1, 1)), r"expected ModuleList\(\[module, ...\]\), got a Linear"),
        (lambda: ModuleList(3), r"expected ModuleList\(\[module, ...\]\), got the int 3"),
        (lambda: ModuleList([ReLU()]).append(None), "expected modules, got None"),
        (lambda: ModuleList([ReLU()]).__setitem__(0, 1), "expected modules, got the int 1"),
        (lambda: ModuleDict({"a": {}}), "got a dict; make a ModuleDict of it"),
        (lambda: ModuleDict({1: ReLU()}), "expected a text as name, got the int 1"),
        (lambda: ModuleDict(ReLU()), r"expected ModuleDict\(\{\"name\": module, ...\}\), got a Re"),
        (lambda: ModuleList([ReLU()])(1), "a ModuleList cannot be called, it only holds modules"),
        (lambda: ModuleDict(a=1), "ModuleDict has no a=; there are modules"),
        (lambda: Stack(ModuleDict({"a": ReLU()})).layers(1), r"call one of them by its name"),
    ],
)
def test_what_is_no_module_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("name", ["", "a.b"])
def test_names_that_a_state_could_not_hold_are_refused(name):
    with pytest.raises(ValueError, match=f"expected a name without dots, .* got '{name}'"):
        ModuleDict({name: ReLU()})


def test_modules_taken_from_a_sequential_make_a_list():
    layers = ModuleList(Sequential(Linear(2, 3), ReLU()))
    assert [type(layer) for layer in layers] == [Linear, ReLU]


def test_an_identity_gives_back_what_it_is_given():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert Identity()(x) is x
    y = Identity()(np.array([1.0, 2.0]))
    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.data, [1.0, 2.0])
    assert y.dtype == np.float64
    Sequential(Identity(), Dropout(0.5))(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_a_slice_of_a_sequential_shares_its_layers():
    model = Sequential(Linear(2, 3), ReLU(), Linear(3, 1))
    body = model[:-1]
    assert isinstance(body, Sequential)
    assert body[0] is model[0]
    assert len(body) == 2
    x = Tensor([[1.0, -2.0]])
    np.testing.assert_array_equal(model[-1](body(x)).data, model(x).data)
