"""Checkpoints: the same bits back, or a refusal."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from foundation_nn import Linear, Module, Parameter, Tensor, checkpoint, optim


class Net(Module):
    def __init__(self, width):
        self.width = width
        self.layer = Linear(width, 2, rng=np.random.default_rng(width))
        self.scale = Parameter(np.float32(1.5))

    def forward(self, x):
        return self.layer(x) * self.scale

    def to_dict(self):
        return {"width": self.width}

    @classmethod
    def from_dict(cls, content):
        return cls(**content)


class Stranger(Net):
    """Stays in the module of this file, which is not a package of the project."""


@pytest.fixture(autouse=True)
def public_module(monkeypatch):
    """Only classes of packages named foundation_… are loaded: here is one for the tests."""
    module = ModuleType("foundation_example")
    module.Net = Net
    monkeypatch.setattr(Net, "__module__", module.__name__)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_model_comes_back_to_the_bit_scalars_included(tmp_path):
    model = Net(3)
    loaded = checkpoint.load(checkpoint.save(tmp_path / "run", model, note="x")).model
    for name, value in model.state_dict().items():
        other = loaded.state_dict()[name]
        assert (other.dtype, other.shape) == (value.dtype, value.shape)
        assert other.tobytes() == value.tobytes()


def train(model, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        y = model(Tensor(np.full((1, 3), 1 + optimizer.steps, np.float32)))
        (y * y).mean().backward()
        optimizer.step()
    return [p.data.tobytes() for p in model.parameters()]


def test_a_resumed_run_continues_to_the_same_bits(tmp_path):
    model = Net(3)
    optimizer = optim.AdamW(model, lr=0.1)
    train(model, optimizer, 3)
    saved = checkpoint.load(checkpoint.save(tmp_path / "run", model, optimizer))
    resumed = optim.AdamW(saved.model, lr=0.1)
    resumed.load_state_dict(saved.optimizer)
    assert resumed.steps == 3
    assert train(saved.model, resumed, 4) == train(model, optimizer, 4)


def test_what_load_would_refuse_is_refused_on_save(tmp_path):
    with pytest.raises((TypeError, ValueError), match="foundation"):
        checkpoint.save(tmp_path / "run", Stranger(3))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_folder_of_somebody_else_is_never_deleted(tmp_path, times):
    precious = tmp_path / "run.previous" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    for _ in range(times):
        try:
            checkpoint.save(tmp_path / "run", Net(3))
        except (OSError, ValueError):
            break
    assert precious.read_text() == "years of work"


def test_a_first_save_that_fails_tells_of_its_own_cause(tmp_path, monkeypatch):
    rename, calls = Path.rename, []

    def full_at_first(self, target):
        calls.append(target)
        if len(calls) == 1:
            raise OSError(28, "No space left on device", str(self), None, str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full_at_first)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path / "run", Net(3))
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_checkpoint_can_be_saved_to_again_and_again(tmp_path):
    checkpoint.save(tmp_path / "real", Net(3))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for width in (5, 7, 11):
        checkpoint.save(tmp_path / "link", Net(width))
        assert checkpoint.load(tmp_path / "link").model.width == width
