"""What a trainer refuses, with what was expected; and callbacks that fail."""

import functools
import math

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Tensor, functional, no_grad, optim, schedules
from foundation_nn.training import Callback, JsonLog, Progress, Trainer, evaluate

ROW = np.ones((1, 2), np.float32)
MODEL = Linear(2, 1, rng=np.random.default_rng(0))
OPTIMIZER = optim.SGD(MODEL, lr=0.1)


def mean_square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), y.size


def make_trainer(loss=mean_square, make_optimizer=lambda p: optim.SGD(p, lr=0.1), **options):
    model = Linear(2, 1, rng=np.random.default_rng(0))
    return Trainer(model, loss, make_optimizer(model), **options)


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((mean_square, MODEL, OPTIMIZER), "got the function mean_square, a Linear and a SGD"),
        ((MODEL, OPTIMIZER, mean_square), "got a Linear, a SGD and the function mean_square"),
        ((OPTIMIZER, mean_square, MODEL), "got a SGD, the function mean_square and a Linear"),
        ((MODEL, mean_square, optim.SGD), "got a Linear, the function mean_square and the class S"),
        ((Linear, mean_square, OPTIMIZER), "got the class Linear, the function mean_square and a"),
        ((MODEL, None, OPTIMIZER), "got a Linear, None and a SGD"),
    ],
)
def test_swapped_arguments_are_refused(arguments, given):
    expected = r"expected Trainer\(model, loss, optimizer\) with a Module, a function"
    with pytest.raises(TypeError, match=f"Trainer: {expected} .*{given}"):
        Trainer(*arguments)


class Misspelt(Callback):
    def on_steps(self, trainer, step):
        pass


class Forgetful(Callback):
    def on_step(self, step):
        pass


class Shouting(Callback):
    def onStep(self, trainer, step):
        pass


class Generating(Callback):
    def on_step(self, trainer, step):
        yield step


class Waiting(Callback):
    async def on_end(self, trainer):
        pass


class Constant(Callback):
    on_step = 3


class Stranger:
    def on_step(self, trainer, step):
        pass


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([Progress], r"got the class Progress; make one: Progress\(...\)"),
        ([mean_square], "got the function mean_square; subclass foundation_nn.training.Callback"),
        ([Stranger()], "got a Stranger; subclass foundation_nn.training.Callback"),
        ([Stranger], "got the class Stranger; subclass"),
        (Progress(), r"callbacks to be a list, got a Progress; write callbacks=\[...\]"),
        ([Misspelt()], "Misspelt.on_steps: a trainer never calls it; did you mean 'on_step'"),
        ([Shouting()], "Shouting.onStep: a trainer never calls it; did you mean 'on_step'"),
        ([Generating()], "Generating.on_step: is a generator function, .*leave out yield"),
        ([Waiting()], "Waiting.on_end: is a coroutine function, .*leave out async"),
        ([Constant()], "Constant.on_step: expected a method, got the int 3"),
        ([Forgetful()], r"Forgetful.on_step: expected the parameters \(self, trainer, step\), got"),
    ],
)
def test_what_would_never_be_called_is_refused(callbacks, message):
    with pytest.raises(TypeError, match=message):
        make_trainer(callbacks=callbacks)
    if isinstance(callbacks, list):
        trainer = make_trainer()
        trainer.callbacks += callbacks
        with pytest.raises(TypeError, match=message):
            trainer.fit([ROW], max_steps=1)


def test_callbacks_may_have_methods_and_parameters_of_their_own():
    class Own(Callback):
        heard = 0

        def on_step(self, trainer, step, *, weight=2):
            self.heard += weight

        def onwards(self):
            return self.heard

    own = Own()
    make_trainer(callbacks=(own,)).fit([ROW], max_steps=3)
    assert own.onwards() == 6


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"schedule": 0.1}, TypeError, "schedule to be a function .*the optimizer's lr"),
        (
            {"rng": 7},
            TypeError,
            r"rng to be a numpy.random.Generator, got the int 7; .*default",
        ),
        ({"ema": 0.999}, TypeError, r"ema to be an EMA, got the float 0.999; write ema=EMA\(opt"),
        ({"metrics": {"bleu": 3}}, TypeError, r"metrics\['bleu'\] to be a function of the model"),
        ({"samples": ["a"]}, TypeError, "samples to be a function of the model, got a list"),
        ({"metrics": lambda model: 1.0}, TypeError, r"metrics to be a dictionary, .*metrics=\{"),
        (
            {"metrics": {"a": lambda model, batch: 1.0}},
            TypeError,
            r"metrics\['a'\]\(model\) is called, and the function <lambda> takes \(model, batch\)",
        ),
        (
            {"schedule": schedules.cosine},
            TypeError,
            r"got the function cosine, which makes one; call it, as in schedule=schedules.cosine\(",
        ),
        (
            {"schedule": lambda step, epoch: 0.1},
            TypeError,
            r"schedule\(step\) is called, and the function <lambda> takes \(step, epoch\)",
        ),
        ({"skip_failed": "no"}, TypeError, "skip_failed to be True or False, got the str 'no'"),
        ({"clip_norm": -1.0}, ValueError, "expected clip_norm > 0, got -1.0"),
        ({"clip_norm": math.nan}, ValueError, "expected clip_norm > 0, got nan"),
        ({"accumulate": 1.5}, ValueError, "accumulate to be a whole number, got 1.5"),
        ({"accumulate": "2"}, TypeError, "accumulate to be a number, got the str '2'"),
    ],
)
def test_options_that_are_something_else_are_refused(options, error, message):
    with pytest.raises(error, match=f"Trainer: .*{message}"):
        make_trainer(**options)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (
            lambda y, n: y,
            TypeError,
            "must return .mean, count., .* len.targets.`; it returned a T",
        ),
        (lambda y, n: None, TypeError, "must return .mean, count.*; it returned None"),
        (lambda y, n: (y, n, n), TypeError, r"returned \(a Tensor, the int 1, the int 1\)"),
        (lambda y, n: (n, y), TypeError, r"returned \(the int 1, a Tensor\)"),
        (lambda y, n: (y.item(), n), TypeError, r"returned \(the float .*, the int 1\)"),
        (lambda y, n: (y, y), TypeError, ": expected the count to be a number, got a Tensor"),
        (lambda y, n: (y, -1), ValueError, ": expected the count >= 0, got -1"),
        (lambda y, n: (y, 1.5), ValueError, ": expected the count to be a whole number, got 1.5"),
        (
            lambda y, n: (y.reshape(1, 1) * np.ones((2, 1), np.float32), 2),
            ValueError,
            r"a mean is one number; it returned a Tensor of shape \(2, 1\).*\.mean\(\)",
        ),
    ],
)
def test_a_loss_without_a_mean_and_a_count_is_refused(returned, error, message):
    def loss(model, batch):
        return returned(*mean_square(model, batch))

    with pytest.raises(error, match=rf"^loss\(model, batch\).*{message}"):
        make_trainer(loss).fit([ROW], max_steps=1)
    with pytest.raises(error, match=rf"^loss\(model, batch\).*{message}"):
        evaluate(MODEL, loss, [ROW])


def test_a_loss_that_no_parameter_had_a_part_in_is_refused():
    def detached(model, batch):
        value, count = mean_square(model, batch)
        return Tensor(value.data), count

    def unrecorded(model, batch):
        with no_grad():
            return mean_square(model, batch)

    for loss in (detached, unrecorded):
        with pytest.raises(ValueError, match=r"not computed from parameters that learn.*no_grad"):
            make_trainer(loss).fit([ROW], max_steps=1)


def test_a_loss_that_is_called_otherwise_is_refused_before_the_first_step():
    with pytest.raises(TypeError, match=r"loss\(model, batch\) is called, and .* \(m, x, y\)"):
        make_trainer(lambda m, x, y: None)
    with pytest.raises(TypeError) as caught:
        make_trainer(functional.mse_loss)
    assert (
        "got functional.mse_loss, which compares a prediction with a target; write\n\n"
        "    def loss(model, batch):\n        x, target = batch\n"
        "        return functional.mse_loss(model(x), target), len(target)"
    ) in str(caught.value)


@pytest.mark.parametrize(
    ("batch", "note"),
    [
        ((np.zeros((4, 2), np.float32), [1, 2]), r"a tuple (an array (4, 2) of float32, a list"),
        ({"x": Tensor([1.0])}, "a dict with 'x': a Tensor (1,) of float32"),
        (np.zeros(3), "an array (3,) of float64"),
        ("text", "the str 'text'"),
    ],
)
def test_an_error_in_the_loss_tells_of_the_batch(batch, note):
    def loss(model, batch):
        raise ValueError("too many values to unpack (expected 2)")

    with pytest.raises(ValueError, match="too many values") as caught:
        make_trainer(loss).fit([batch], max_steps=1)
    (told,) = caught.value.__notes__
    assert told.startswith(f"in loss(model, batch), where the batch was {note}")


def test_a_loss_may_count_with_whole_floats_and_be_any_callable():
    def loss(model, batch, scale):
        value, count = mean_square(model, batch)
        return value * scale, np.float64(count)

    trainer = make_trainer(functools.partial(loss, scale=2.0))
    assert trainer.fit([ROW], max_steps=1).steps[0].tokens == 1


def rows():
    yield ROW


@pytest.mark.parametrize(
    ("batches", "options", "error", "message"),
    [
        (rows(), {"max_epochs": 2}, ValueError, "batches is a generator, .*once.*max_epochs is 2"),
        ([ROW], {"max_steps": 1, "validation": rows()}, ValueError, "validation is a generator"),
        (rows, {"max_steps": 1}, TypeError, "batches to be a list or a loader, .*rows; call it"),
        (7, {"max_steps": 1}, TypeError, "batches to be a list or a loader, got the int 7"),
        ((ROW, ROW[:, 0]), {"max_steps": 1}, ValueError, r"tuple of 2 arrays .*batches\(X, y, bat"),
        (
            [ROW],
            {"max_steps": 1, "validation": (ROW, ROW.astype(int))},
            ValueError,
            r"validation to be a list or a loader of batches, got a tuple",
        ),
        ([ROW], {"max_steps": 1, "validation": 7}, TypeError, "validation to be a list or a load"),
        ({"x": ROW}, {"max_steps": 1}, TypeError, r"got a dict, of which only the keys .*\[data\]"),
        ([ROW], {"max_steps": 1.5}, ValueError, "max_steps to be a whole number, got 1.5"),
        ([ROW], {"max_epochs": 0.5}, ValueError, "max_epochs to be a whole number, got 0.5"),
        ([ROW], {"max_steps": math.nan}, ValueError, "expected max_steps >= 0, got nan"),
        ([ROW], {"max_epochs": "3"}, TypeError, "max_epochs to be a number, got the str '3'"),
        (
            [ROW],
            {"max_steps": 1, "evaluate_every": 0.5},
            ValueError,
            "evaluate_every >= 1",
        ),
    ],
)
def test_data_and_limits_that_cannot_work_are_refused_at_the_call(batches, options, error, message):
    trainer = make_trainer()
    with pytest.raises(error, match=f"fit: .*{message}"):
        trainer.fit(batches, **options)
    assert trainer.steps == 0


def test_swapped_arguments_of_an_evaluation_are_refused():
    with pytest.raises(TypeError, match=r"evaluate\(model, loss, batches\) .*mean_square and a L"):
        evaluate(mean_square, MODEL, [ROW])


def test_a_tuple_of_batches_is_a_list_of_batches():
    trainer = make_trainer()
    trainer.fit((ROW, ROW), max_epochs=1)
    assert trainer.steps == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"metrics": {"bleu": lambda model: None}},
            r"metrics\['bleu'\] to return a number, got",
        ),
        (
            {"samples": lambda model: "one text"},
            "samples to return a list of texts or Samples, got the str",
        ),
        (
            {"samples": lambda model: 3},
            "samples to return a list of texts or Samples, got the int 3",
        ),
    ],
)
def test_what_an_evaluation_cannot_keep_is_refused(options, message):
    with pytest.raises(TypeError, match=f"Trainer: expected {message}"):
        make_trainer(**options).fit([ROW], validation=[ROW], max_steps=1)


def test_an_iterator_is_enough_for_an_epoch_and_for_a_number_of_steps():
    trainer = make_trainer()
    trainer.fit(iter([ROW] * 3), max_epochs=1)
    trainer.fit(iter([ROW] * 3), max_steps=2)
    assert trainer.steps == 5


def test_a_rate_that_is_none_is_told_with_its_step():
    trainer = make_trainer(schedule=lambda step: math.nan if step == 3 else 0.1)
    with pytest.raises(ValueError, match="SGD: expected lr >= 0, got nan") as info:
        trainer.fit([ROW], max_steps=9)
    assert trainer.steps == 2
    assert info.value.__notes__ == ["the schedule was asked for the learning rate of step 3"]
    with pytest.raises(TypeError, match="lr is a number, got the function"):
        make_trainer(schedule=lambda step: print).fit([ROW], max_steps=1)


class OwnStep(optim.Optimizer):
    """Does without a counter, and without blocks."""

    def step(self):
        for p in self.buffer.parameters:
            p.data = p.data - self.lr * p.grad


def test_an_optimiser_with_a_step_of_its_own_is_counted_and_resumed(tmp_path):
    def make(kind):
        model = MLP([2, 3, 1], rng=np.random.default_rng(0))
        optimizer = kind(model, lr=0.1)
        return Trainer(model, mean_square, optimizer, schedule=schedules.linear(0.1, steps=8))

    straight = make(OwnStep)
    straight.fit([ROW] * 3, max_steps=6)
    assert (straight.steps, straight.stopped_by) == (6, "steps")

    first, second = make(OwnStep), make(OwnStep)
    first.fit([ROW] * 3, max_steps=4)
    second.resume(first.save(tmp_path / "saved"))
    assert second.steps == 4
    history = second.fit([ROW] * 3, max_steps=6)
    assert [s.step for s in history.steps] == [5, 6]

    twin = make(optim.SGD)
    twin.fit([ROW] * 3, max_steps=6)
    for name, value in straight.model.state_dict().items():
        np.testing.assert_array_equal(second.model.state_dict()[name], value)
        np.testing.assert_allclose(twin.model.state_dict()[name], value, rtol=1e-5)


def test_a_trainer_counts_on_where_its_optimiser_is():
    trainer = make_trainer()
    trainer.fit([ROW], max_steps=2)
    next_one = Trainer(trainer.model, mean_square, trainer.optimizer)
    assert next_one.steps == 2
    next_one.fit([ROW], max_steps=1)
    assert [s.step for s in next_one.history.steps] == [3]


class Told(Callback):
    """Notes what it is told, and fails where it should."""

    def __init__(self, failing=(), error=ValueError):
        self.failing = failing
        self.error = error
        self.heard = []

    def _hear(self, what):
        self.heard.append(what)
        if what in self.failing:
            raise self.error(f"in {what}")

    def on_start(self, trainer):
        self._hear("start")

    def on_step(self, trainer, step):
        self._hear("step")

    def on_end(self, trainer):
        self._hear("end")


def test_every_callback_is_told_of_the_end_though_one_failed_at_the_start(tmp_path):
    callbacks = [Told(), Told(["start"]), Told(), JsonLog(tmp_path / "h.jsonl"), Progress()]
    with pytest.raises(ValueError, match="in start"):
        make_trainer(callbacks=callbacks).fit([ROW], max_steps=2)
    assert [c.heard for c in callbacks[:3]] == [["start", "end"], ["start", "end"], ["end"]]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_every_callback_is_told_of_the_end_though_one_fails_there(error):
    callbacks = [Told(), Told(["end"], error), Told(["end"]), Told()]
    trainer = make_trainer(callbacks=callbacks)
    with pytest.raises(error, match="in end") as info:
        trainer.fit([ROW], max_steps=1)
    assert [c.heard for c in callbacks] == [["start", "step", "end"]] * 4
    assert info.value.__notes__ == ["Told.on_end failed, too: ValueError('in end')"]
    assert trainer.steps == 1


def test_the_error_of_the_run_is_raised_and_those_of_the_end_are_noted():
    callbacks = [Told(["step", "end"]), Told(["end"], OSError), Told()]
    with pytest.raises(ValueError, match="in step") as info:
        make_trainer(callbacks=callbacks).fit([ROW], max_steps=2)
    assert [c.heard[-1] for c in callbacks] == ["end"] * 3
    assert info.value.__notes__ == [
        "Told.on_end failed, too: ValueError('in end')",
        "Told.on_end failed, too: OSError('in end')",
    ]
