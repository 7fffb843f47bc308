"""When a run ends: limits and Ctrl-C."""

import signal
import threading
import time

import numpy as np
import pytest
from foundation_nn import Linear, Tensor, optim
from foundation_nn.training import Callback, Trainer

ROW = np.ones((1, 2), np.float32)


def mean_square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), y.size


def make_trainer(loss=mean_square, **options):
    model = Linear(2, 1, rng=np.random.default_rng(0))
    return Trainer(model, loss, optim.SGD(model, lr=0.1), **options)


def test_no_more_batches_are_drawn_than_steps_are_made():
    # A loader whose position is saved must not be one batch ahead of the parameters.
    drawn = []

    def batches():
        for i in range(9):
            drawn.append(i)
            yield ROW

    trainer = make_trainer()
    trainer.fit(batches(), max_steps=3)
    assert trainer.steps == 3
    assert drawn == [0, 1, 2]


class Interrupting(Callback):
    """Presses Ctrl-C after given steps, as often as told."""

    def __init__(self, at, times=1):
        self.at, self.times = at, times

    def on_step(self, trainer, step):
        if step.step == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("limits", "steps", "reason"),
    [
        ({"max_steps": 5}, 5, "steps"),
        ({"max_steps": 6}, 6, "steps"),
        ({"max_epochs": 2}, 6, "epochs"),
        ({"max_epochs": 2, "max_steps": 99}, 6, "epochs"),
        ({"max_epochs": 2, "max_steps": 4}, 4, "steps"),
        ({"max_seconds": 0, "max_steps": 9}, 0, "seconds"),
    ],
)
def test_the_first_limit_ends_the_run(limits, steps, reason):
    trainer = make_trainer()
    history = trainer.fit([ROW] * 3, **limits)
    assert trainer.steps == steps == len(history.steps)
    assert trainer.stopped_by == reason
    assert [s.step for s in history.steps] == list(range(1, steps + 1))


def test_limits_count_from_each_call():
    trainer = make_trainer()
    trainer.fit([ROW] * 3, max_epochs=1)
    trainer.fit([ROW] * 3, max_steps=2)
    assert trainer.steps == 5
    assert trainer.planned_steps == 5


@pytest.mark.parametrize(
    ("batches", "limits", "planned"),
    [
        ([ROW] * 3, {"max_steps": 2}, 2),
        ([ROW] * 3, {"max_epochs": 2}, 6),
        ([ROW] * 3, {"max_epochs": 2, "max_steps": 4, "max_seconds": 60}, 4),
        (iter([ROW] * 3), {"max_epochs": 1}, None),
    ],
)
def test_the_plan_is_known_to_callbacks(batches, limits, planned):
    plans = []

    class Asking(Callback):
        def on_start(self, trainer):
            plans.append((trainer.planned_steps, trainer.planned_seconds))

    make_trainer(callbacks=[Asking()]).fit(batches, **limits)
    assert plans == [(planned, limits.get("max_seconds"))]


def test_time_runs_out():
    def slow(model, batch):
        time.sleep(0.02)
        return mean_square(model, batch)

    trainer = make_trainer(slow)
    trainer.fit([ROW], max_seconds=0.1)
    assert trainer.stopped_by == "seconds"
    assert 1 <= trainer.steps <= 5


@pytest.mark.parametrize(
    ("batches", "limits", "message"),
    [
        ([ROW], {}, "expected at least one of max_steps, max_epochs, max_seconds"),
        ([ROW], {"max_steps": 3, "max_seconds": -1}, "expected max_seconds >= 0, got -1"),
        ([], {"max_steps": 1}, "an epoch without a single batch: the data is empty"),
        (
            iter([ROW]),
            {"max_epochs": 2},
            "batches is a list_iterator, which can be gone through once",
        ),
        (
            iter([ROW]),
            {"max_steps": 2},
            "an epoch without .*: batches is a list_iterator",
        ),
    ],
)
def test_runs_without_limit_or_data_are_refused(batches, limits, message):
    with pytest.raises(ValueError, match=f"fit: {message}"):
        make_trainer().fit(batches, **limits)


def test_an_interrupt_lets_the_step_finish():
    started = []

    def loss(model, batch):
        started.append(1)
        if len(started) == 3:
            signal.raise_signal(signal.SIGINT)
        return mean_square(model, batch)

    handler = signal.getsignal(signal.SIGINT)
    trainer = make_trainer(loss)
    history = trainer.fit([ROW] * 2, validation=[ROW], max_steps=9)
    assert trainer.stopped_by == "interrupt"
    assert len(history.steps) == trainer.steps == 2
    assert [e.step for e in history.evaluations] == [2]
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interrupt_within_a_step_and_after_it():
    trainer = make_trainer(callbacks=[Interrupting(at=3)])
    history = trainer.fit([ROW] * 2, validation=[ROW], max_steps=9)
    assert (trainer.stopped_by, trainer.steps) == ("interrupt", 3)
    assert [e.step for e in history.evaluations] == [2]  # and none on the way out


def test_a_second_interrupt_ends_at_once():
    ended = []

    class Ending(Callback):
        def on_end(self, trainer):
            ended.append(trainer.steps)

    handler = signal.getsignal(signal.SIGINT)
    trainer = make_trainer(callbacks=[Interrupting(at=2, times=2), Ending()])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit([ROW], max_steps=9)
    assert ended == [2]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_polite_signal_lets_the_step_finish(name):
    if not hasattr(signal, name):
        pytest.skip(f"there is no {name} here")
    number = getattr(signal, name)

    class Raising(Callback):
        def on_step(self, trainer, step):
            if step.step == 2:
                signal.raise_signal(number)

    handler = signal.getsignal(number)
    trainer = make_trainer(callbacks=[Raising()])
    trainer.fit([ROW], max_steps=9)
    assert (trainer.stopped_by, trainer.steps) == ("interrupt", 2)
    assert signal.getsignal(number) is handler


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:

        class Raising(Callback):
            def on_step(self, trainer, step):
                signal.raise_signal(signal.SIGTERM)

        trainer = make_trainer(callbacks=[Raising()])
        trainer.fit([ROW], max_steps=3)
        assert (trainer.stopped_by, trainer.steps) == ("steps", 3)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interrupt_outranks_what_a_callback_asks_for():
    class Asking(Callback):
        def on_settled(self, trainer):
            if trainer.steps == 2:
                trainer.stop("good enough")

    trainer = make_trainer(callbacks=[Interrupting(at=2), Asking()])
    trainer.fit([ROW], max_steps=9)
    assert (trainer.stopped_by, trainer.steps) == ("interrupt", 2)


@pytest.mark.parametrize("when", ["while a batch is drawn", "between epochs"])
def test_an_interrupt_loses_no_batch(when):
    drawn = []

    class Batches:
        def __iter__(self):
            for _ in range(2):
                drawn.append(1)
                if when == "while a batch is drawn" and len(drawn) == 4:
                    signal.raise_signal(signal.SIGINT)
                yield ROW

    class Stopping(Callback):
        def on_evaluation(self, trainer, evaluation):
            if when == "between epochs" and trainer.steps == 4:
                signal.raise_signal(signal.SIGINT)

    trainer = make_trainer(callbacks=[Stopping()])
    trainer.fit(Batches(), validation=[ROW], max_steps=9)
    assert trainer.stopped_by == "interrupt"
    assert len(drawn) == trainer.steps == 4


def test_training_works_outside_of_the_main_thread():
    trainer = make_trainer()
    thread = threading.Thread(target=trainer.fit, args=([ROW],), kwargs={"max_steps": 3})
    thread.start()
    thread.join()
    assert trainer.steps == 3
