"""Which modules a checkpoint can hold, what the others are told, and weights by themselves."""

import json

import numpy as np
import pytest
from foundation_nn import (
    GELU,
    MLP,
    BatchNorm1d,
    Dropout,
    Identity,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    Sequential,
    Tensor,
    checkpoint,
    optim,
)
from foundation_nn import functional as F
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.training import Checkpoints, Trainer, checkpoints_of
from safetensors.numpy import save_file

X = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


class Block(Module):
    """Says how it is made, and leaves ``from_dict`` to its base class."""

    def __init__(self, width, slope=1.0, *, rng=None):
        self.width = width
        self.slope = slope
        self.layer = Linear(width, width, rng=rng)

    def forward(self, x):
        return x + self.slope * F.tanh(self.layer(x))

    def to_dict(self):
        return {"width": self.width, "slope": self.slope}


class Silent(Module):
    """Does not say how it is made."""

    def __init__(self, width, depth=2, *, rng=None):
        self.layers = [Linear(width, width, rng=rng) for _ in range(depth)]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Note:
    """What is saved beside a model."""

    def __init__(self, text):
        self.text = text

    def to_dict(self):
        return {"text": self.text}

    @classmethod
    def from_dict(cls, config):
        return cls(**config)


def assert_same(loaded, model):
    assert repr(loaded) == repr(model)
    state, other = model.state_dict(), loaded.state_dict()
    assert list(other) == list(state)
    for name, value in state.items():
        assert other[name].tobytes() == value.tobytes()


def test_a_sequential_is_saved_with_its_layers_and_functions(tmp_path):
    model = Sequential(
        Linear(3, 4, bias=False),
        F.relu,
        Sequential(BatchNorm1d(4, momentum=0.25), Dropout(0.125), Identity()),
        MLP([4, 5, 2], GELU),
    )
    loaded = checkpoint.load(checkpoint.save(tmp_path / "run", model)).model
    assert_same(loaded, model)
    assert loaded[1] is F.relu
    assert loaded[2][0].momentum == 0.25
    np.testing.assert_array_equal(loaded(X).data, model(X).data)


def test_lists_and_dictionaries_of_modules_are_saved(tmp_path):
    model = ModuleDict({"list": ModuleList([Linear(2, 3), GELU("tanh")]), "class": Linear(1, 1)})
    assert_same(checkpoint.load(checkpoint.save(tmp_path / "run", model)).model, model)


def test_own_classes_within_others_are_named_when_loading(tmp_path):
    model = Sequential(Linear(3, 3), Block(3, slope=0.5), Block(3))
    checkpoint.check(model)
    path = checkpoint.save(tmp_path / "run", model)
    with pytest.raises(CheckpointError, match=r"Block is not .* load\(path, classes=\[...\]\)"):
        checkpoint.load(path)
    loaded = checkpoint.load(path, classes=[Block]).model
    assert_same(loaded, model)
    assert (loaded[1].slope, loaded[2].slope) == (0.5, 1.0)
    np.testing.assert_array_equal(loaded(X).data, model(X).data)


def test_a_constructor_that_asks_for_a_generator_is_given_one(tmp_path):
    class Drawn(Linear):
        def __init__(self, rng, width):
            super().__init__(width, width, rng=rng)

        def to_dict(self):
            return {"width": self.in_features}

    model = Drawn(np.random.default_rng(0), 3)
    checkpoint.check(model)
    loaded = checkpoint.load(checkpoint.save(tmp_path / "run", model), classes=[Drawn]).model
    assert_same(loaded, model)


def test_a_configuration_that_looks_like_a_description_stays_what_it_is(tmp_path):
    class Odd(Linear):
        def __init__(self, config):
            self.config = config
            super().__init__(1, 1)

        def to_dict(self):
            return {"config": self.config}

    model = Odd({"class": "foundation_nn:ReLU", "config": {}, "parts": [None], "function": "relu"})
    loaded = checkpoint.load(checkpoint.save(tmp_path / "run", model), classes=[Odd]).model
    assert loaded.config == model.config


def test_a_class_of_a_script_is_found_by_its_name_in_another_one(tmp_path):
    model = Block(3)
    path = checkpoint.save(tmp_path / "run", model)
    moved = type("Block", (Block,), {"__module__": "__main__", "__qualname__": "Block"})
    assert type(checkpoint.load(path, classes=[moved]).model) is moved
    forged = type("Linear", (Linear,), {"__module__": "elsewhere", "__qualname__": "Linear"})
    ours = checkpoint.save(tmp_path / "ours", Linear(1, 2))
    assert type(checkpoint.load(ours, classes=[forged]).model) is Linear


def test_a_function_that_the_package_does_not_have_is_refused(tmp_path, monkeypatch):
    model = Sequential(F.relu)
    monkeypatch.setattr(checkpoint._describe, "function_name", lambda value: "os.system")
    monkeypatch.setattr(
        checkpoint._describe,
        "describe",
        lambda name, value: {
            "class": "foundation_nn:Sequential",
            "config": {"layers": [None]},
            "parts": [{"place": ["layers", 0], "function": "system"}],
        },
    )
    monkeypatch.setattr(checkpoint._checkpoint, "describe", checkpoint._describe.describe)
    path = checkpoint.save(tmp_path / "run", model)
    with pytest.raises(CheckpointError, match="foundation_nn.functional has no system; the file"):
        checkpoint.load(path)


FOUR_LINES = r"""
    def to_dict(self) -> dict[str, Any]:
        return {"width": self.width, "depth": self.depth}
"""


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_class_of_ones_own_is_told_what_to_write(tmp_path, wrapped):
    model = Sequential(Linear(3, 3), Silent(3)) if wrapped else Silent(3)
    for refusing in (checkpoint.check, lambda model: checkpoint.save(tmp_path / "run", model)):
        with pytest.raises(TypeError) as caught:
            refusing(model)
        message = str(caught.value)
        where = "model['layers'][1]" if wrapped else "model"
        assert message.startswith(f"checkpoint: {where} is a Silent, which has no to_dict(), so")
        assert FOUR_LINES in message
        assert "checkpoint.load(path, classes=[Silent])" in message
        assert "Silent.from_dict(config)" in message
        assert "model.save_weights(path)" in message
    assert not list(tmp_path.iterdir())


def test_it_is_told_before_the_first_step(tmp_path):
    def loss(model, batch):
        raise AssertionError("a step was made")

    model = Silent(3)
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[Checkpoints(tmp_path)])
    with pytest.raises(TypeError, match="Silent, which has no to_dict"):
        trainer.fit([X], max_steps=1)
    extra = Checkpoints(tmp_path, tokenizer=object())
    model = Linear(3, 1)
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[extra])
    with pytest.raises(TypeError, match="checkpoint: tokenizer is an object, which has no to_dict"):
        trainer.fit([X], max_steps=1)
    assert not list(tmp_path.iterdir())


def lambda_layer():
    return Sequential(Linear(3, 3), lambda x: x)


def tied():
    layer = Linear(3, 3)
    return Sequential(layer, layer)


def nested():
    model = Linear(1, 1)
    for _ in range(60):
        model = Sequential(model)
    return model


class Wider(Linear):
    def __init__(self, in_features, out_features, bias=True, scale=2.0):
        super().__init__(in_features, out_features, bias)
        self.scale = scale


class Doubled(Linear):
    def to_dict(self):
        return super().to_dict() | {"out_features": 2 * self.out_features}


class Longer(Linear):
    def to_dict(self):
        return super().to_dict() | {"colour": "blue"}


class Named(Linear):
    def to_dict(self):
        return super().to_dict() | {"bias": [True, {1, 2}]}


class Fixed(Sequential):
    """A Sequential that is made of a width."""

    def __init__(self, width):
        super().__init__(Linear(width, width), F.relu)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (nested, ValueError, "the Sequential could be saved and not loaded: .* than 100 deep"),
        (lambda_layer, TypeError, r"model\['layers'\]\[1\] is the function <lambda>, which has no"),
        (
            tied,
            ValueError,
            r"made from what to_dict\(\) returns has 1.weight of shape \(3, 3\)",
        ),
        (lambda: Wider(2, 3), TypeError, r"to_dict\(\) from Linear, which knows nothing of scale"),
        (lambda: Doubled(2, 3), ValueError, r"has weight of shape \(6, 2\), and the model has wei"),
        (lambda: Longer(2, 3), ValueError, r"Longer.from_dict\(\) does not take .* no colour="),
        (lambda: Named(2, 3), TypeError, r"model.to_dict\(\)\['bias'\]\[1\] is a set, which has"),
        (lambda: Fixed(3), ValueError, r"Fixed.from_dict\(\) does not take what to_dict"),
    ],
)
def test_what_would_not_be_the_same_after_loading_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        checkpoint.check(make())


def test_the_check_takes_no_memory_and_draws_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    model = Sequential(Linear(3, 4), Block(4))
    state = model.state_dict()
    checkpoint.check(model, note="x", average=optim.EMA(optim.SGD(model, lr=0.1)))
    assert rng.bit_generator.state == before
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[name])


def test_a_run_with_own_classes_goes_on_to_the_same_bits(tmp_path):
    def loss(model, batch):
        return F.mse_loss(model(batch), batch), len(batch)

    def make():
        rng = np.random.default_rng(0)
        model = Sequential(Linear(3, 3, rng=rng), Block(3, rng=rng))
        return Trainer(
            model,
            loss,
            optim.Adam(model, lr=0.1),
            callbacks=[Checkpoints(tmp_path, every=2, note=Note("mine"))],
        )

    whole = make()
    whole.callbacks.clear()
    whole.fit([X, X[:2]], max_steps=5)
    make().fit([X, X[:2]], max_steps=2)
    again = make()
    with pytest.raises(CheckpointError, match="Note is not one that a foundation package exp"):
        again.resume(checkpoints_of(tmp_path)[-1])
    extras = again.resume(checkpoints_of(tmp_path)[-1], classes=[Note])
    assert extras["note"].text == "mine"
    again.fit([X, X[:2]], max_steps=5)
    assert_same(again.model, whole.model)


def test_another_model_is_not_resumed_though_its_shapes_fit(tmp_path):
    def make(slope):
        model = Sequential(Linear(3, 3), Block(3, slope))
        return Trainer(model, lambda m, b: (m(b).mean(), 1), optim.SGD(model, lr=0.1))

    path = make(0.5).save(tmp_path / "saved")
    make(0.5).resume(path)
    with pytest.raises(ValueError, match="holds a model with other modules in it: Sequential"):
        make(0.25).resume(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_saved_and_loaded_by_themselves(tmp_path, dtype):
    model, twin = (Sequential(Silent(3), BatchNorm1d(3)).astype(dtype) for _ in range(2))
    path = tmp_path / "weights.safetensors"
    model.save_weights(path)
    twin.load_weights(path)
    assert_same(twin, model)
    assert [place.name for place in tmp_path.iterdir()] == ["weights.safetensors"]


def test_half_precision_is_widened_when_read(tmp_path):
    save_file({"weight": np.float16([[0.5, 2.0]]), "bias": np.float16([1.0])}, tmp_path / "half")
    layer = Linear(2, 1)
    layer.load_weights(tmp_path / "half")
    np.testing.assert_array_equal(layer.weight.data, np.float32([[0.5, 2.0]]))
    assert layer.weight.dtype == np.float32


def test_weights_that_do_not_fit_change_nothing_and_name_the_file(tmp_path):
    Linear(2, 3).save_weights(tmp_path / "w")
    other = Linear(2, 2)
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"/w: the state does not fit this Linear:\n  wrong shape"):
        other.load_weights(tmp_path / "w")
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    body = Sequential(Linear(2, 3))
    with pytest.raises(ValueError, match="missing      0.weight"):
        body.load_weights(tmp_path / "w")
    body.load_weights(tmp_path / "w", strict=False)


def test_what_is_no_file_of_weights_is_refused(tmp_path):
    layer = Linear(2, 3)
    layer.save_weights(tmp_path / "w")
    whole = (tmp_path / "w").read_bytes()
    for content in (b"", whole[:-1], whole[:7], b"PK\x03\x04" * 50, json.dumps({}).encode()):
        (tmp_path / "w").write_bytes(content)
        with pytest.raises(ValueError, match="/w: cannot be read as a safetensors file"):
            layer.load_weights(tmp_path / "w")
    with pytest.raises(FileNotFoundError, match="missing"):
        layer.load_weights(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"is a folder; .* checkpoint.load\(path\)"):
        layer.load_weights(tmp_path)
    with pytest.raises(ValueError, match="expected a regular file, got a device"):
        layer.load_weights("/dev/zero")
    with pytest.raises(OSError, match="nowhere"):
        layer.save_weights(tmp_path / "nowhere" / "w")


def test_a_call_still_names_the_layer_that_failed():
    with pytest.raises(ValueError, match=r"^\[1\]\.layer: "):
        Sequential(Identity(), Block(3))(Tensor(np.ones((2, 4), np.float32)))
