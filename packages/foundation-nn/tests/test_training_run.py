"""What goes with the loop: cadence, averages, early stopping, skipping, checkpoints, logs."""

import csv
import io
import json
import math
import shutil
import signal

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Tensor, checkpoint, optim, schedules
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.training import (
    Callback,
    Checkpoints,
    CsvLog,
    EarlyStopping,
    Evaluation,
    FailedStep,
    History,
    JsonLog,
    Sample,
    Trainer,
    checkpoints_of,
    read_history,
)

ROWS = np.random.default_rng(1).standard_normal((6, 4, 2)).astype(np.float32)
NAN = np.full((4, 2), np.nan, np.float32)


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def make(folder=None, lr=0.1, loss=square, width=3, **options):
    model = MLP([2, width, 1], rng=np.random.default_rng(0))
    return Trainer(
        model,
        loss,
        optim.Adam(model, lr=lr),
        rng=np.random.default_rng(2),
        folder=folder,
        **options,
    )


def scripted(values):
    """A trainer whose metric "score" takes the given values, evaluation by evaluation."""
    left = iter(values)
    return make(metrics={"score": lambda model: next(left)})


def test_evaluations_come_at_their_cadence_and_at_the_end():
    history = make().fit(ROWS, validation=ROWS[:1], evaluate_every=4, max_steps=10)
    assert [e.step for e in history.evaluations] == [4, 8, 10]
    history = make().fit(ROWS, validation=ROWS[:1], evaluate_every=5, max_steps=10)
    assert [e.step for e in history.evaluations] == [5, 10]
    with pytest.raises(ValueError, match="fit: expected evaluate_every >= 1, got 0"):
        make().fit(ROWS, evaluate_every=0, max_steps=1)


def test_metrics_and_samples_come_with_each_evaluation():
    trainer = make(
        metrics={"size": lambda model: np.float64(model.num_parameters())},
        samples=lambda model: (f"{type(model).__name__} says", "hello"),
    )
    (evaluation,) = trainer.fit(ROWS, validation=ROWS[:1], max_epochs=1).evaluations
    assert evaluation.metrics == {"size": 13.0}
    assert evaluation.samples == ["MLP says", "hello"]
    assert evaluation.value("loss") == evaluation.loss
    with pytest.raises(ValueError, match=r"no metric 'bleu' .*\['loss', 'size'\]"):
        evaluation.value("bleu")


def test_clip_events_are_counted():
    loud = make(clip_norm=1e-3).fit(ROWS, max_steps=5)
    assert loud.num_clipped == 5
    trainer = make(clip_norm=np.median([s.grad_norm for s in make().fit(ROWS, max_steps=5).steps]))
    history = trainer.fit(ROWS, max_steps=5)
    assert 0 < history.num_clipped < 5
    assert [s.clipped for s in history.steps] == [
        s.grad_norm > trainer.clip_norm for s in history.steps
    ]
    assert make().fit(ROWS, max_steps=5).num_clipped == 0


def test_the_average_is_what_is_evaluated_and_the_present_is_what_is_trained():
    plain = make()
    plain.fit(ROWS, max_steps=6)
    trainer = make()
    trainer.ema = optim.EMA(trainer.optimizer, 0.9)
    trainer.fit(ROWS, validation=ROWS[:2], max_steps=6)
    for name, value in plain.model.state_dict().items():
        np.testing.assert_array_equal(trainer.model.state_dict()[name], value)
    assert trainer.ema.updates == 6
    from foundation_nn.training import evaluate

    now = evaluate(trainer.model, square, ROWS[:2])
    with trainer.ema.applied():
        averaged = evaluate(trainer.model, square, ROWS[:2])
    assert trainer.history.evaluations[-1].loss == averaged != now


@pytest.mark.parametrize(
    ("values", "options", "evaluations"),
    [
        ([5, 4, 4, 4, 4], {"patience": 2}, 4),
        ([5, 4, 4.5, 3, 3.5, 3.5, 9], {"patience": 2}, 6),
        ([1, 2, 3, 2, 2, 9], {"patience": 2, "maximize": True}, 5),
        ([5, 4.95, 4.92, 4.9], {"patience": 2, "min_delta": 0.2}, 3),
        ([math.nan, math.nan, 1], {"patience": 2}, 2),
        ([5, 4, 3, 2, 1], {"patience": 1}, 5),
    ],
)
def test_a_run_ends_when_it_no_longer_gets_better(values, options, evaluations):
    trainer = scripted(values)
    trainer.callbacks.append(EarlyStopping(metric="score", **options))
    history = trainer.fit(ROWS, validation=ROWS[:1], max_epochs=len(values))
    assert len(history.evaluations) == evaluations
    stopped_early = evaluations < len(values) or values[-1] == values[-2]
    assert trainer.stopped_by == ("no improvement" if stopped_early else "epochs")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patience": 0}, "patience >= 1, got 0"), ({"patience": 1, "min_delta": -1}, "min_delta")],
)
def test_impatience_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**options)


def test_a_failed_step_can_be_left_out(tmp_path):
    heard = []

    class Listening(Callback):
        def on_skip(self, trainer, message):
            heard.append(message)

    rows = [ROWS[0], NAN, ROWS[1], NAN, ROWS[2]]
    trainer = make(tmp_path, skip_failed=True, callbacks=[Listening()])
    trainer.fit(rows, max_epochs=1)
    clean = make()
    clean.fit(ROWS[:3], max_epochs=1)
    assert [s.loss for s in trainer.history.steps] == [s.loss for s in clean.history.steps]
    for name, value in clean.model.state_dict().items():
        np.testing.assert_array_equal(trainer.model.state_dict()[name], value)
    assert ["step 2" in heard[0], "step 3" in heard[1], len(heard)] == [True, True, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["failed_step_2"]  # the first is enough
    np.testing.assert_array_equal(FailedStep.load(tmp_path / "failed_step_2").batch, NAN)


def test_a_run_in_which_nothing_works_is_given_up():
    trainer = make(skip_failed=True)
    with pytest.raises(FloatingPointError, match="^10 steps in a row were skipped; step 2: the lo"):
        trainer.fit([ROWS[0], *[NAN] * 30], max_steps=9)
    assert trainer.steps == 1


def test_the_last_checkpoints_stay_and_the_best_is_to_be_used(tmp_path):
    scores = [3.0, 5.0, 4.0, 1.0]
    trainer = scripted(scores)
    saver = Checkpoints(tmp_path, keep=2, metric="score", maximize=True, words=["one"])
    trainer.callbacks.append(saver)
    states = []

    class Noting(Callback):
        def on_evaluation(self, trainer, evaluation):
            states.append(trainer.model.state_dict())

    trainer.callbacks.append(Noting())
    trainer.fit(ROWS, validation=ROWS[:1], max_epochs=4)
    assert [p.name for p in checkpoints_of(tmp_path)] == ["step_000018", "step_000024"]
    best = checkpoint.load(tmp_path / "checkpoint")
    assert best.extras == {"step": 12, "words": ["one"]}
    for name, value in states[1].items():
        np.testing.assert_array_equal(best.model.state_dict()[name], value)
    newest = checkpoint.load(checkpoints_of(tmp_path)[-1])
    assert newest.extras["words"] == ["one"]
    for name, value in states[3].items():
        np.testing.assert_array_equal(newest.model.state_dict()[name], value)


def test_without_validation_the_newest_is_to_be_used_and_an_average_is(tmp_path):
    trainer = make(callbacks=[Checkpoints(tmp_path, every=2)])
    trainer.ema = optim.EMA(trainer.optimizer, 0.9)
    trainer.fit(ROWS, max_steps=5)
    assert [p.name[-1] for p in checkpoints_of(tmp_path)] == ["2", "4", "5"]
    used = checkpoint.load(tmp_path / "checkpoint")
    with trainer.ema.applied():
        averaged = trainer.model.state_dict()
    for name, value in averaged.items():
        np.testing.assert_array_equal(used.model.state_dict()[name], value)
    assert used.extras == {"step": 5}


def test_a_run_that_failed_does_not_replace_what_was_saved(tmp_path):
    trainer = make(callbacks=[Checkpoints(tmp_path, every=2)])
    with pytest.raises(FloatingPointError):
        trainer.fit([*ROWS[:3], NAN], max_epochs=1)
    assert [p.name for p in checkpoints_of(tmp_path)] == ["step_000002"]


def test_a_folder_that_is_removed_meanwhile_ends_the_run(tmp_path):
    class Removing(Callback):
        def on_step(self, trainer, step):
            if step.step == 3:
                shutil.rmtree(tmp_path / "run")

    for every in (2, None):
        trainer = make(callbacks=[Removing(), Checkpoints(tmp_path / "run", every=every)])
        with pytest.raises(FileNotFoundError, match="run: was removed while the run went on"):
            trainer.fit(ROWS, max_steps=5)
        assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told_with_the_name_of_the_log(tmp_path):
    for kind in (JsonLog, CsvLog):
        log = kind(tmp_path / "log")

        class Full(io.StringIO):
            def flush(self):
                raise OSError(28, "No space left on device")

        class Filling(Callback):
            def on_step(self, trainer, step, log=log, Full=Full):
                log._file.close()
                log._file = Full()

        with pytest.raises(OSError, match=r"No space left on device: '.*/log'"):
            make(callbacks=[Filling(), log]).fit(ROWS, max_steps=2)


def test_a_row_that_was_cut_short_is_left_out(tmp_path):
    path = tmp_path / "steps.csv"
    trainer = make(callbacks=[CsvLog(path)])
    trainer.fit(ROWS, max_steps=12)
    trainer.save(tmp_path / "saved")
    whole = path.read_text()
    for cut in (1, 3, len(whole.splitlines()[-1])):
        path.write_text(whole[:-cut])
        again = make(callbacks=[CsvLog(path)])
        again.resume(tmp_path / "saved")
        again.fit(ROWS, max_steps=13)
        with path.open(newline="") as file:
            steps = [int(row["step"]) for row in csv.DictReader(file)]
        assert steps == [*range(1, 12), 13]


def run_in_two(tmp_path, change=lambda trainer: None, limits=None, batches=ROWS):
    """The same run at once, and interrupted after three steps and resumed by a new trainer."""

    class Interrupting(Callback):
        def on_step(self, trainer, step):
            if step.step == 3:
                signal.raise_signal(signal.SIGTERM)

    limits = limits or {"max_epochs": 2}
    ends = []
    for parts in (1, 2):
        for part in range(parts):
            trainer = make(clip_norm=0.3, accumulate=1)
            change(trainer)
            if part:
                trainer.resume(tmp_path / "saved")
            elif parts == 2:
                trainer.callbacks.append(Interrupting())
            trainer.fit(batches() if callable(batches) else batches, validation=ROWS[:1], **limits)
            if parts == 2 and not part:
                assert (trainer.stopped_by, trainer.steps) == ("interrupt", 3)
                trainer.save(tmp_path / "saved")
        path = trainer.save(tmp_path / f"end_{parts}")
        ends.append({p.name: p.read_bytes() for p in path.iterdir()})
    assert ends[0] == ends[1]
    return trainer


def test_batches_without_a_state_are_passed_over(tmp_path):
    trainer = run_in_two(tmp_path)
    assert trainer.steps == 12


class Placed:
    """Batches that know how many were taken, as a loader does."""

    def __init__(self):
        self.taken = 0

    def __iter__(self):
        for row in ROWS[self.taken :]:
            self.taken += 1
            yield row
        self.taken = 0

    def state_dict(self):
        return {"taken": self.taken}

    def load_state_dict(self, state):
        self.taken = state["taken"]


def test_batches_with_a_state_go_on_by_themselves(tmp_path):
    run_in_two(tmp_path, batches=Placed)


def test_batches_of_another_kind_than_the_saved_run_had_are_refused(tmp_path):
    for batches, others, message in (
        (ROWS, Placed(), "had batches without a state_dict, these are with one"),
        (Placed(), ROWS, "had batches with a state_dict, these are without one"),
    ):
        trainer = make()
        trainer.fit(batches, max_steps=2)
        again = make()
        again.resume(trainer.save(tmp_path / "saved"))
        with pytest.raises(ValueError, match=f"fit: the saved run {message}"):
            again.fit(others, max_steps=4)


@pytest.mark.parametrize("limits", [{"max_steps": 7}, {"max_epochs": 3, "evaluate_every": 3}])
def test_limits_and_evaluations_count_as_if_nothing_had_happened(tmp_path, limits):
    run_in_two(tmp_path, limits=limits)


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_generator_goes_on(tmp_path, bits):
    def change(trainer):
        trainer.rng = np.random.Generator(bits(4))
        trainer.loss = lambda model, batch: square(
            model, batch + trainer.rng.standard_normal(batch.shape, np.float32)
        )

    run_in_two(tmp_path, change)


def test_a_plateau_an_average_and_patience_go_on(tmp_path):
    def change(trainer):
        trainer.schedule = schedules.plateau(0.1, factor=0.5, patience=1, threshold=0.5)
        trainer.ema = optim.EMA(trainer.optimizer, 0.7)
        trainer.callbacks += [EarlyStopping(5), EarlyStopping(4, min_delta=0.01)]

    trainer = run_in_two(tmp_path, change, {"max_epochs": 9, "evaluate_every": 2})
    assert trainer.stopped_by == "no improvement"
    trainer.callbacks[0].on_start(trainer)


def test_a_run_that_had_ended_does_nothing_more(tmp_path):
    first = make(callbacks=[EarlyStopping(1)])
    first.fit(ROWS, validation=[ROWS[0] * 0 + 1] * 2, evaluate_every=1, max_steps=50)
    first.save(tmp_path / "saved")
    again = make(callbacks=[EarlyStopping(1)])
    again.resume(tmp_path / "saved")
    again.fit(ROWS, validation=[ROWS[0] * 0 + 1] * 2, evaluate_every=1, max_steps=50)
    assert (again.steps, again.stopped_by) == (first.steps, first.stopped_by)
    # A new fit counts anew.
    first.callbacks.clear()
    first.fit(ROWS, max_steps=2)
    assert first.steps == again.steps + 2


def test_a_resume_that_does_not_fit_is_refused(tmp_path):
    trainer = make(callbacks=[EarlyStopping(3)])
    trainer.fit(ROWS, validation=ROWS[:1], max_steps=2)
    place = trainer.save(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"holds a MLP with widths=\[2, 3, 1\], the trainer's has"):
        make(width=5).resume(place)
    with pytest.raises(ValueError, match="had the callback EarlyStopping; pass one like it"):
        make().resume(place)
    linear = Linear(2, 1)
    other = Trainer(linear, square, optim.SGD(linear, lr=0.1))
    with pytest.raises(ValueError, match="holds a MLP, the trainer's model is a Linear"):
        other.resume(place)
    averaging = make(callbacks=[EarlyStopping(3)])
    averaging.ema = optim.EMA(averaging.optimizer)
    with pytest.raises(ValueError, match="was saved with no EMA, this trainer has one"):
        averaging.resume(place)
    with pytest.raises(ValueError, match="plateau"):
        make(callbacks=[EarlyStopping(3)], schedule=schedules.plateau(0.1)).resume(place)
    other = make(callbacks=[EarlyStopping(3)])
    other.rng = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(ValueError, match="state is that of a PCG64, the generator is a MT19937"):
        other.resume(place)
    checkpoint.save(tmp_path / "plain", trainer.model)
    with pytest.raises(CheckpointError, match="plain: a model without its training"):
        make().resume(tmp_path / "plain")


def test_a_history_is_written_line_by_line_and_read_again(tmp_path):
    path = tmp_path / "run" / "history.jsonl"
    texts = ["ä\n", Sample("a", "b"), Sample("a", "b", "c")]
    trainer = make(skip_failed=True, callbacks=[JsonLog(path)], samples=lambda model: texts)
    history = trainer.fit([*ROWS, NAN], validation=ROWS[:1], max_epochs=2)
    assert read_history(path) == history
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
    assert history.evaluations[0].samples == texts
    events = [json.loads(line)["event"] for line in path.read_text("utf-8").splitlines()]
    assert events == [*["step"] * 6, "skip", "evaluation"] * 2
    with path.open("a") as file:
        file.write('{"event": "st')  # a kill cut it short
    assert read_history(path) == history
    path.write_text("nonsense\n")
    with pytest.raises(ValueError, match="history.jsonl: not the history of a run"):
        read_history(path)
    path.write_text("[]\n")
    with pytest.raises(ValueError, match="history.jsonl: not the history of a run"):
        read_history(path)


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"event": "step"}',
        '{"event": "step", "step": 1}',
        '{"event": "step", "step": 1.5}',
        '{"event": "step", "step": "1", "loss": 1, "lr": 1, "grad_norm": 1, "tokens": 1}',
        '{"event": "step", "step": 1, "loss": "x", "lr": 1, "grad_norm": 1, "tokens": 1, '
        '"seconds": 1}',
        '{"event": "step", "step": 1, "loss": 1, "lr": 1, "grad_norm": 1, "tokens": -1, '
        '"seconds": 1}',
        '{"event": "step", "step": 1, "loss": 1, "lr": 1, "grad_norm": 1, "tokens": 1, '
        '"seconds": 1, "more": 1}',
        '{"event": "evaluation", "step": 1, "loss": null}',
        '{"event": "evaluation", "step": 1, "loss": 1, "metrics": [1]}',
        '{"event": "evaluation", "step": 1, "loss": 1, "metrics": {"bleu": "high"}}',
        '{"event": "evaluation", "step": 1, "loss": 1, "samples": [7]}',
        '{"event": "evaluation", "step": 1, "loss": 1, "samples": [{"given": "a"}]}',
        '{"event": "evaluation", "step": 1, "loss": 1, "samples": [{"given": "a", "written": 1}]}',
        '{"event": "evaluation", "step": 1, "loss": 1, "samples": [{"given": "a", "odd": "b"}]}',
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_history_that_was_altered_is_refused_by_name(tmp_path, line):
    path = tmp_path / "history.jsonl"
    path.write_bytes((line.encode() if isinstance(line, str) else line) + b"\n")
    with pytest.raises(ValueError, match=r"history\.jsonl: not (the history of a run|UTF-8)"):
        read_history(path)


def test_a_sample_may_hold_what_counts_as_a_line_end_elsewhere(tmp_path):
    sample = "one\u2028two\x85three\x0bfour\x1cfive"
    event = {"event": "evaluation", "step": 1, "loss": 1.0, "samples": [sample]}
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(event, ensure_ascii=False) + "\n", "utf-8")
    assert read_history(path).evaluations[0].samples == [sample]


def test_a_table_of_steps_that_was_altered_is_refused_by_name(tmp_path):
    trainer = make(callbacks=[CsvLog(tmp_path / "steps.csv")])
    trainer.fit(ROWS, max_steps=2)
    trainer.save(tmp_path / "saved")
    for row in ("", "x,1", "9" * 30):
        (tmp_path / "steps.csv").write_text(f"step,loss\n1,2\n{row}\n")
        again = make(callbacks=[CsvLog(tmp_path / "steps.csv")])
        again.resume(tmp_path / "saved")
        with pytest.raises(ValueError, match=r"steps\.csv, line 3: not a table of the steps"):
            again.fit(ROWS, max_steps=3)


def test_logs_go_on_where_the_run_does(tmp_path):
    def logs():
        return [JsonLog(tmp_path / "history.jsonl"), CsvLog(tmp_path / "steps.csv")]

    trainer = make(callbacks=logs())
    trainer.fit(ROWS, validation=ROWS[:1], max_steps=3)
    trainer.save(tmp_path / "saved")
    trainer.fit(ROWS, validation=ROWS[:1], max_steps=2)  # this is lost
    again = make(callbacks=logs())
    again.resume(tmp_path / "saved")
    again.fit(ROWS, validation=ROWS[:1], max_steps=7)
    assert [s.step for s in again.history.steps] == list(range(1, 8))
    assert [e.step for e in again.history.evaluations] == [3, 6, 7]
    assert read_history(tmp_path / "history.jsonl") == again.history
    with (tmp_path / "steps.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in table] == [s.loss for s in again.history.steps]
    assert list(table[0]) == ["step", "loss", "lr", "grad_norm", "tokens", "seconds", "clipped"]
    make(callbacks=logs()).fit(ROWS, max_steps=1)  # a new run begins anew
    assert len(read_history(tmp_path / "history.jsonl").steps) == 1


def test_the_mean_of_checkpoints(tmp_path):
    models = [MLP([2, 3, 1], rng=np.random.default_rng(i)) for i in range(3)]
    paths = [checkpoint.save(tmp_path / str(i), m, number=i) for i, m in enumerate(models)]
    mean = checkpoint.average(paths)
    assert mean.extras == {"number": 2}
    for name, value in mean.model.state_dict().items():
        parts = [m.state_dict()[name].astype(np.float64) for m in models]
        np.testing.assert_array_equal(value, (sum(parts) / 3).astype(np.float32))
    with pytest.raises(ValueError, match="average: expected at least one checkpoint"):
        checkpoint.average([])
    other = checkpoint.save(tmp_path / "other", MLP([2, 5, 1]))
    with pytest.raises(ValueError, match="average: the checkpoints are not of one model"):
        checkpoint.average([*paths, other])


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("keep", 0)])
def test_numbers_of_checkpoints_are_checked(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"Checkpoints: expected {name} >= 1, got 0"):
        Checkpoints(tmp_path, **{name: value})


def test_an_evaluation_without_extras_is_the_old_one():
    assert Evaluation(3, 2.0) == Evaluation(3, 2.0, {}, [])
