"""Checkpoints: the same bits back."""

import json
import os

import numpy as np
import pytest
from foundation_nn import GELU, MLP, Linear, Module, Parameter, Tensor, checkpoint, optim, schedules
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.training import EarlyStopping, Evaluation, History, Step


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
    """Is not named in the calls of ``load`` below."""


def load(path):
    return checkpoint.load(path, classes=[Net])


def test_a_model_comes_back_to_the_bit_scalars_included(tmp_path):
    model = Net(3)
    loaded = load(checkpoint.save(tmp_path / "run", model, note="x")).model
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
    saved = load(checkpoint.save(tmp_path / "run", model, optimizer))
    resumed = optim.AdamW(saved.model, lr=0.1)
    resumed.load_state_dict(saved.optimizer)
    assert resumed.steps == 3
    assert train(saved.model, resumed, 4) == train(model, optimizer, 4)


def test_an_average_of_the_parameters_continues_to_the_same_bits(tmp_path):
    def run(model, optimizer, ema, steps):
        for _ in range(steps):
            train(model, optimizer, 1)
            ema.update()
        with ema.applied():
            return [p.data.tobytes() for p in model.parameters()]

    model = Net(3)
    optimizer = optim.AdamW(model, lr=0.1)
    ema = optim.EMA(optimizer, decay=0.9)
    run(model, optimizer, ema, 3)
    path = checkpoint.save(tmp_path / "run", model, optimizer, ema=ema)
    assert (path / "ema.safetensors").is_file()
    saved = load(path)
    resumed = optim.AdamW(saved.model, lr=0.1)
    resumed.load_state_dict(saved.optimizer)
    average = optim.EMA(resumed, decay=0.9)
    average.load_state_dict(saved.extras["ema"])
    assert average.updates == 3
    assert run(saved.model, resumed, average, 4) == run(model, optimizer, ema, 4)
    (path / "ema.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"ema\.safetensors: missing"):
        load(path)


def test_a_class_of_ones_own_is_named_when_loading(tmp_path):
    model = Stranger(3)
    path = checkpoint.save(tmp_path / "run", model)
    with pytest.raises(CheckpointError, match=r"Stranger is not .*load\(path, classes=\[...\]\)"):
        checkpoint.load(path)
    with pytest.raises(CheckpointError, match="Stranger is not"):
        checkpoint.load(path, classes=[Net])
    loaded = checkpoint.load(path, classes=[Net, Stranger]).model
    assert type(loaded) is Stranger
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], value)


def test_everything_that_was_saved_beside_it_comes_back(tmp_path):
    history = History([Step(1, 2.5, 0.1, 3.0, 100, 0.5)], [Evaluation(1, 0.1 + 0.2)])
    plain = {"words": ["ä", "—", '"'], "n": 3, "x": 0.1, "none": None, "yes": True}
    path = checkpoint.save(tmp_path / "deep" / "run", Net(3), history=history, plain=plain)
    loaded = load(str(path))
    assert loaded.extras == {"history": history, "plain": plain}
    assert loaded.optimizer is None
    assert sorted(p.name for p in path.iterdir()) == ["checkpoint.json", "model.safetensors"]
    assert "ä" in (path / "checkpoint.json").read_text("utf-8")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_parameters_is_kept(tmp_path, dtype):
    model = MLP([2, 3, 1], GELU).astype(dtype)
    loaded = load(checkpoint.save(tmp_path / "run", model)).model
    x = Tensor(np.ones((1, 2), dtype))
    assert loaded(x).dtype == dtype
    assert loaded(x).data.tobytes() == model(x).data.tobytes()
    assert repr(loaded) == repr(model)


def test_classes_are_saved_under_the_public_name_of_their_module(tmp_path):
    path = checkpoint.save(tmp_path / "run", MLP([2, 1]), history=History())
    content = json.loads((path / "checkpoint.json").read_text("utf-8"))
    assert content["model"]["class"] == "foundation_nn:MLP"
    assert content["extras"]["history"]["class"] == "foundation_nn.training:History"


@pytest.mark.parametrize("value", [{1, 2}, object(), np.ones(2)], ids=lambda v: type(v).__name__)
def test_what_is_not_json_is_refused_by_name(tmp_path, value):
    with pytest.raises(TypeError, match=f"checkpoint: extra is an? {type(value).__name__}, which"):
        checkpoint.save(tmp_path / "run", Net(3), extra=value)
    assert list(tmp_path.iterdir()) == []


def test_a_schedule_with_a_memory_and_the_state_of_a_callback_come_back(tmp_path):
    schedule = schedules.plateau(np.float32(0.5), patience=1)
    stopping = EarlyStopping(3)
    for loss in (2.0, 3.0):
        schedule.observe(loss)
    saved = load(checkpoint.save(tmp_path / "run", Net(3), schedule=schedule, stopping=stopping))
    assert saved.extras["schedule"](9) == schedule(9) == pytest.approx(0.05)
    assert saved.extras["schedule"].best == 2.0
    assert saved.extras["stopping"] == stopping.state_dict()


@pytest.mark.parametrize("value", [{1: "a"}, [{"a": {2: 3}}], {None: 1}])
def test_keys_that_would_come_back_as_texts_are_refused(tmp_path, value):
    with pytest.raises(TypeError, match=r"checkpoint: labels has the key .*write str\(key\)"):
        checkpoint.save(tmp_path / "run", Net(3), labels=value)
    assert not checkpoint.exists(tmp_path / "run")


def test_the_optimiser_of_another_model_is_refused(tmp_path):
    other = optim.AdamW(Net(3), lr=0.1)
    with pytest.raises(ValueError, match="save: the optimizer has none of the model's parameters"):
        checkpoint.save(tmp_path / "run", Net(3), other)


def test_swapped_arguments_are_refused(tmp_path):
    model, path = Net(3), tmp_path / "run"
    optimizer = optim.AdamW(model)
    for arguments, message in (
        ((model, path), "checkpoint.save: expected the path of a folder, got a Net; the path"),
        ((path, optimizer, model), "expected model to be a Module, got an AdamW; write save"),
        ((path, model.state_dict()), "checkpoint.save: expected model to be a Module, got a dict"),
        ((path, model, optim.EMA(optimizer)), "expected optimizer to be an Optimizer, got an EMA"),
        ((path, model, "words"), "an Optimizer, got the str 'words'; everything else is passed by"),
    ):
        with pytest.raises(TypeError, match=message):
            checkpoint.save(*arguments)
    with pytest.raises(TypeError, match="checkpoint.load: expected the path of a folder, got a N"):
        checkpoint.load(model)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_its_package_does_not_export_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Stranger, "__module__", "foundation_nn.modules._strange")
    with pytest.raises(TypeError, match="checkpoint: foundation_nn does not export Stranger"):
        checkpoint.save(tmp_path / "run", Stranger(3))


def test_a_newer_one_replaces_an_older_one_and_leaves_nothing_else(tmp_path):
    model = Net(3)
    checkpoint.save(tmp_path / "run", model, optim.AdamW(model), note="old")
    checkpoint.save(tmp_path / "run", Net(5), note="new")
    loaded = load(tmp_path / "run")
    assert (loaded.model.width, loaded.extras, loaded.optimizer) == (5, {"note": "new"}, None)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_it_exists_from_its_first_save_on(tmp_path):
    path = tmp_path / "run"
    assert not checkpoint.exists(path)
    path.mkdir()
    assert not checkpoint.exists(path)
    checkpoint.save(path, Net(3))
    assert checkpoint.exists(str(path))


def test_an_empty_folder_may_be_saved_to(tmp_path):
    (tmp_path / "run").mkdir()
    checkpoint.save(tmp_path / "run", Net(3))
    assert load(tmp_path / "run").model.width == 3


def test_a_link_to_a_checkpoint_can_be_saved_to_again_and_again(tmp_path):
    checkpoint.save(tmp_path / "real", Net(3))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for width in (5, 7, 11):
        checkpoint.save(tmp_path / "link", Net(width))
        assert load(tmp_path / "link").model.width == width


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_it_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        path = checkpoint.save(tmp_path / "run", Net(3))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o750
