"""What hands that know PyTorch reach for is answered with what to write."""

import copy

import pytest
from foundation_nn import Linear, Tensor
from foundation_nn.engine._habits import OF_A_MODULE, OF_A_TENSOR


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("view", r"write x\.reshape"),
        ("permute", r"write x\.transpose"),
        ("unsqueeze", r"functional\.expand_dims\(x, axis\)"),
        ("masked_fill", r"functional\.where\(mask, value, x\)"),
        ("clone", r"write x \* 1"),
        ("dim", r"write x\.ndim"),
        ("to", r"write x\.astype\(dtype\)"),
        ("cuda", "on the CPU"),
        ("cpu", "leave it out"),
    ],
)
def test_habits_of_tensors(name, instead):
    assert name in OF_A_TENSOR
    with pytest.raises(AttributeError, match=rf"^Tensor has no {name}\(\): .*{instead}"):
        getattr(Tensor([1.0]), name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("train", r"with foundation_nn\.train_mode\(rng\): \.\.\."),
        ("eval", r"within foundation_nn\.train_mode\(rng\)"),
        ("to", r"write model\.astype\(dtype\)"),
        ("cuda", "on the CPU"),
        ("cpu", "leave it out"),
        ("zero_grad", r"write optimizer\.zero_grad\(\)"),
        ("modules", r"write model\.named_modules\(\)"),
        ("apply", r"for name, module in model\.named_modules\(\)"),
    ],
)
def test_habits_of_modules(name, instead):
    assert name in OF_A_MODULE
    with pytest.raises(AttributeError, match=rf"^Linear has no {name}\(\): .*{instead}"):
        getattr(Linear(2, 3), name)


def test_other_names_are_missing_as_always():
    for owner in (Tensor([1.0]), Linear(2, 3)):
        assert not hasattr(owner, "no_such_thing")
        with pytest.raises(AttributeError, match="object has no attribute 'no_such_thing'"):
            owner.no_such_thing  # noqa: B018


def test_a_copy_finds_what_it_looks_for():
    layer = Linear(2, 3)
    assert copy.deepcopy(layer).weight.data.tolist() == layer.weight.data.tolist()
