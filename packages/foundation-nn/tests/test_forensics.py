"""A step whose loss or gradient is not finite is kept, and can be run again."""

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from foundation_nn import (
    MLP,
    BatchNorm1d,
    Dropout,
    Linear,
    Module,
    Sequential,
    Tensor,
    current_generator,
    optim,
)
from foundation_nn import functional as F
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.checkpoint._folder import _digest
from foundation_nn.training import FailedStep, Trainer

ROWS = np.arange(10, dtype=np.float32).reshape(5, 2)


def log_loss(model, batch):
    """Fails where the model's output is not positive."""
    return F.log(F.dropout(model(Tensor(batch)), 0.5, np.random.default_rng(3))).mean(), len(batch)


class Noisy(Module):
    """Draws from the generator of the training, and keeps running statistics."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.norm = BatchNorm1d(2)
        self.drop = Dropout(0.5)
        self.head = Linear(2, 1, rng=rng)

    def forward(self, x):
        return self.head(self.drop(self.norm(x)))


def noisy_loss(model, batch):
    y = model(Tensor(batch))
    return (y * y * np.float32(1e30)).mean() * np.float32(batch.max()), len(batch)


def fail(model, loss, batches, folder, **options):
    trainer = Trainer(model, loss, optim.SGD(model, lr=1e-33), folder=folder, **options)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError) as caught:
        trainer.fit(batches, max_steps=len(batches))
    return trainer, str(caught.value)


def test_the_batch_is_kept_and_the_message_says_where(tmp_path):
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    _, message = fail(model, log_loss, [ROWS], tmp_path / "run")
    place = tmp_path / "run" / "failed_step_1"
    assert message.endswith(f"or look at the batch, which is kept in {place}")
    assert sorted(p.name for p in place.iterdir()) == [
        "batch.safetensors",
        "failed_step.json",
        "model.safetensors",
    ]
    assert json.loads((place / "failed_step.json").read_text())["step"] == 1
    failed = FailedStep.load(place)
    assert (failed.step, failed.lr) == (1, 1e-33)
    assert message.startswith(failed.message)
    np.testing.assert_array_equal(failed.batch, ROWS)
    for name, value in model.state_dict().items():
        assert failed.state[name].tobytes() == value.tobytes()


def test_a_kept_step_alone_is_enough_to_find_the_operation_again(tmp_path):
    model = MLP([2, 3, 1], rng=np.random.default_rng(0)).astype(np.float64)
    _, message = fail(model, log_loss, [ROWS.astype(np.float64)], tmp_path)
    found = FailedStep.load(tmp_path / "failed_step_1").replay(log_loss)
    assert found.record.operation == "log"
    assert str(found) in message


def test_the_replay_sees_the_same_dropout_and_the_same_statistics(tmp_path):
    model, twin = Noisy(), Noisy()
    rng = np.random.default_rng(7)
    bad = ROWS.copy()
    bad[3, 1] = 1e20
    trainer, message = fail(model, noisy_loss, [ROWS, ROWS, bad], tmp_path, rng=rng)
    assert trainer.steps == 2
    assert "step 3: the loss is inf" in message
    # the same run without the step that failed
    Trainer(twin, noisy_loss, optim.SGD(twin, lr=1e-33), rng=np.random.default_rng(7)).fit(
        [ROWS, ROWS], max_steps=2
    )
    failed = FailedStep.load(tmp_path / "failed_step_3")
    for name, value in twin.state_dict().items():
        assert failed.state[name].tobytes() == value.tobytes(), name
        assert model.state_dict()[name].tobytes() == value.tobytes(), name
    assert failed.model is None
    with pytest.raises(ValueError, match=r"replay: the model was not kept.*pass model="):
        failed.replay(noisy_loss)
    found = failed.replay(noisy_loss, Noisy())
    assert str(found) in message
    harmless = FailedStep(3, 0.1, "", ROWS, failed.state, failed.rng, None)
    assert harmless.replay(lambda model, x: (model(Tensor(x)).sum(), 1), Noisy()) is None


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_generator_of_numpy_comes_back(tmp_path, bits):
    rng = np.random.Generator(bits(5))
    failed = FailedStep(1, 0.1, "", ROWS, {}, rng.bit_generator.state, None)
    loaded = FailedStep.load(failed.save(tmp_path / "kept"))
    drawn = []

    def loss(model, batch):
        drawn.append(current_generator().random(3))
        return Tensor(0.0), 1

    loaded.replay(loss, Sequential())
    np.testing.assert_array_equal(drawn[0], rng.random(3))


class Pair(NamedTuple):
    left: np.ndarray
    right: list


@dataclass(frozen=True)
class Masked:
    ids: np.ndarray
    mask: np.ndarray
    count: int


STATE = np.random.default_rng(0).bit_generator.state


def test_batches_of_many_forms_come_back(tmp_path):
    ids, mask = np.array([[1, 2], [3, 0]]), np.array([[True, True], [True, False]])
    batch = {
        "masked": Masked(ids, mask, 3),
        "pair": Pair(ROWS, [None, True, "ä", 0.1]),
        "tuple": (Tensor(ROWS), ids[::2].T, np.float64(2.5)),
        "empty": (),
    }
    path = FailedStep(1, 0.1, "m", batch, {}, STATE, None).save(tmp_path / "kept")
    with pytest.raises(CheckpointError, match=r"Masked is not .*load\(path, classes=\[...\]\)"):
        FailedStep.load(path)
    again = FailedStep.load(path, classes=[Masked, Pair]).batch
    assert list(again) == list(batch)
    assert type(again["masked"]) is Masked
    assert again["masked"].count == 3
    np.testing.assert_array_equal(again["masked"].ids, ids)
    np.testing.assert_array_equal(again["masked"].mask, mask)
    assert type(again["pair"]) is Pair
    assert again["pair"].right == [None, True, "ä", 0.1]
    np.testing.assert_array_equal(again["pair"].left, ROWS)
    tensor, columns, number = again["tuple"]
    assert type(tensor) is Tensor
    np.testing.assert_array_equal(tensor.data, ROWS)
    np.testing.assert_array_equal(columns, [[1], [2]])
    assert number == 2.5
    assert again["empty"] == ()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([ROWS, {1, 2}], "batch.1 is a set, which cannot be kept in a file"),
        ({"words": np.array(["a"])}, "batch.words is an array of <U1, which cannot be kept"),
        ({1: ROWS}, "batch is a dict, which cannot be kept"),
    ],
)
def test_what_cannot_be_kept_does_not_hide_the_cause(tmp_path, batch, message):
    def loss(model, batch):
        return (model(Tensor(ROWS)) * np.nan).mean(), 1

    _, told = fail(Linear(2, 1), loss, [batch], tmp_path)
    assert told.startswith("step 1: the loss is nan, which is not finite; the first to blame is")
    assert f"which could not be kept: {message}" in told
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_does_not_hide_the_cause_either(tmp_path):
    (tmp_path / "file").write_text("")
    _, told = fail(MLP([2, 1]), log_loss, [ROWS * np.nan], tmp_path / "file")
    assert "the first to blame is the forward of linear in layer 0" in told
    assert "which could not be kept: [Errno" in told


def test_a_model_that_cannot_be_described_is_kept_as_its_state(tmp_path):
    class Cube(Module):
        def forward(self, x):
            return x * x * x

    model = MLP([2, 3, 1], Cube)  # its to_dict() refuses
    fail(model, log_loss, [ROWS * np.nan], tmp_path)
    failed = FailedStep.load(tmp_path / "failed_step_1")
    assert failed.model is None
    assert failed.replay(log_loss, MLP([2, 3, 1], Cube)).record.operation == "linear"


def edited(path, change):
    """Change the description and its digest, as somebody with bad intentions would."""

    file = path / "failed_step.json"
    content = json.loads(file.read_text("utf-8"))
    change(content)
    content["sha256"] = _digest(content)
    file.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("lr"), "cannot be used"),
        (lambda d: d["batch"].update(array="nothing"), "cannot be used"),
        (
            lambda d: d.update(batch={"class": "foundation_nn.checkpoint:save", "fields": {}}),
            "foundation_nn.checkpoint:save is not one that a foundation package exports",
        ),
        (
            lambda d: d.update(batch={"class": "foundation_nn:Linear", "fields": {}}),
            "foundation_nn:Linear is no dataclass and no named tuple",
        ),
        (
            lambda d: d.update(batch={"class": "os:system", "fields": {}}),
            "os:system is not one that",
        ),
        (lambda d: d.update(batch={"eval": []}), "cannot be used"),
        (lambda d: d["model"]["config"].update(widths=[2, 5]), "does not fit this MLP"),
    ],
)
def test_a_folder_that_was_altered_is_refused(tmp_path, change, message):
    fail(MLP([2, 3]), log_loss, [ROWS * np.nan], tmp_path)
    with pytest.raises(CheckpointError, match=message):
        FailedStep.load(edited(tmp_path / "failed_step_1", change))


def test_only_the_generators_of_numpy_are_made(tmp_path):
    failed = FailedStep(1, 0.1, "", ROWS, {}, {"bit_generator": "save"}, None)
    with pytest.raises(ValueError, match=r"replay: expected a bit generator of .*got 'save'"):
        failed.replay(log_loss, Sequential())


def test_a_step_that_fails_again_replaces_what_was_kept(tmp_path):
    for width in (3, 5):
        fail(MLP([2, width, 1]), log_loss, [ROWS * np.nan], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["failed_step_1"]
    assert FailedStep.load(tmp_path / "failed_step_1").model.widths == [2, 5, 1]
