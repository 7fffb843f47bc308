"""The training loop."""

import json
import math

import numpy as np
import pytest
from foundation_nn import Dropout, Linear, Tensor, current_generator, optim, schedules, train_mode
from foundation_nn.training import Callback, Evaluation, History, Step, Trainer, evaluate

ROW = np.ones((1, 2), np.float32)


def mean_square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), y.size


def make_trainer(loss=mean_square, **options):
    model = Linear(2, 1, rng=np.random.default_rng(0))
    return Trainer(model, loss, optim.SGD(model, lr=0.1), **options)


def test_the_history_is_json_when_the_loss_counts_with_numpy():
    def loss(model, batch):
        value, count = mean_square(model, batch)
        return value, np.int64(count)

    history = make_trainer(loss).fit([ROW], max_steps=2)
    content = json.loads(json.dumps(history.to_dict()))
    assert [step["tokens"] for step in content["steps"]] == [1, 1]


def test_a_gradient_that_is_not_finite_is_refused_and_nothing_has_changed():
    def loss(model, batch):  # the root has no slope at zero
        return ((model(Tensor(batch)) * 0).sqrt()).sum(), 1

    trainer = make_trainer(loss, clip_norm=1.0)
    before = trainer.model.state_dict()
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="step 1: .*gradient"):
        trainer.fit([ROW], max_steps=1)
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_callbacks_hear_of_the_end_also_after_an_error():
    ended = []

    class Closing(Callback):
        def on_end(self, trainer):
            ended.append(trainer.steps)

    trainer = make_trainer(callbacks=[Closing()])
    with pytest.raises(FloatingPointError, match="step 1: the loss is nan"):
        trainer.fit([np.full((1, 2), np.nan, np.float32)], max_steps=1)
    assert ended == [0]


def test_evaluation_is_without_dropout_wherever_it_is_called(rng):
    with train_mode(rng):
        value = evaluate(
            Dropout(0.5), lambda model, batch: (model(Tensor(batch)).mean(), 1), [np.ones(1001)]
        )
    assert value == 1.0


def test_a_step_by_hand():
    # Loss (w₁ + w₂ + b)²; its gradient is 2 (w₁ + w₂ + b) for each of the three.
    trainer = make_trainer(schedule=schedules.linear(0.1, steps=4), clip_norm=0.5)
    before = np.concatenate([p.data.ravel() for p in trainer.model.parameters()])
    step = trainer.fit([ROW], max_steps=1).steps[0]
    y = before.sum()
    norm = 2 * abs(y) * math.sqrt(3)
    assert norm > 0.5
    assert step.loss == pytest.approx(y * y, rel=1e-5)
    assert step.grad_norm == pytest.approx(norm, rel=1e-5)
    assert (step.lr, step.tokens) == (pytest.approx(0.075), 1)
    assert 0 < step.seconds < 5
    after = np.concatenate([p.data.ravel() for p in trainer.model.parameters()])
    change = -0.075 * 0.5 / math.sqrt(3) * np.sign(y)
    np.testing.assert_allclose(after - before, np.full(3, change), rtol=1e-4)


def test_the_schedule_goes_on_where_an_earlier_run_ended():
    trainer = make_trainer(schedule=lambda step: 0.01 * step)
    trainer.fit([ROW], max_steps=2)
    history = trainer.fit([ROW], max_steps=2)
    assert [s.lr for s in history.steps] == pytest.approx([0.01, 0.02, 0.03, 0.04])


def test_without_clipping_the_norm_is_still_measured():
    trainer = make_trainer()
    y = sum(p.data.sum() for p in trainer.model.parameters())
    assert trainer.fit([ROW], max_steps=1).steps[0].grad_norm == pytest.approx(2 * abs(y) * 3**0.5)


def test_dropout_draws_from_the_generator_that_was_given():
    def loss(model, batch):
        assert current_generator() is generator
        return mean_square(model, batch)

    generator = np.random.default_rng(7)
    make_trainer(loss, rng=generator).fit([ROW], max_steps=1)
    assert current_generator() is None


def test_validation_after_each_epoch_and_at_the_end_but_never_twice():
    heard = []

    class Listening(Callback):
        def on_evaluation(self, trainer, evaluation):
            heard.append(evaluation)

    trainer = make_trainer(callbacks=[Listening()])
    history = trainer.fit([ROW] * 3, validation=[ROW], max_steps=5)
    assert [e.step for e in history.evaluations] == [3, 5]
    assert heard == history.evaluations
    history = trainer.fit([ROW] * 3, validation=[ROW], max_epochs=1)
    assert [e.step for e in history.evaluations] == [3, 5, 8]
    assert history.evaluations[-1].loss == evaluate(trainer.model, mean_square, [ROW])


def test_a_plateau_is_told_of_every_evaluation():
    schedule = schedules.plateau(0.1, factor=0.5, patience=1)
    trainer = make_trainer(lambda model, batch: (model(Tensor(batch)).sum() * 0 + 1, 1))
    trainer.schedule = schedule
    history = trainer.fit([ROW], validation=[ROW], max_epochs=4)
    assert [e.loss for e in history.evaluations] == [1, 1, 1, 1]
    assert [s.lr for s in history.steps] == [0.1, 0.1, 0.05, 0.025]


def test_an_evaluation_is_a_mean_over_targets_not_batches():
    batches = [(2.0, 1), (5.0, 3), (100.0, 0)]
    value = evaluate(None, lambda model, batch: (Tensor(batch[0]), batch[1]), batches)
    assert value == (2 * 1 + 5 * 3) / 4
    with pytest.raises(ValueError, match="evaluate: no batch with a target that counts"):
        evaluate(None, lambda model, batch: (Tensor(0.0), 0), [1])
    with pytest.raises(ValueError, match="evaluate: no batch"):
        evaluate(None, mean_square, [])


def test_an_evaluation_records_nothing():
    model = Linear(2, 1, rng=np.random.default_rng(0))
    seen = []

    def loss(model, batch):
        value, count = mean_square(model, batch)
        seen.append(value.requires_grad)
        return value, count

    evaluate(model, loss, [ROW])
    assert seen == [False]


def test_a_history_is_the_same_after_json():
    history = History()
    assert history.tokens_per_second == 0
    history.steps += [Step(1, 2.5, 0.1, 3.0, 100, 0.5), Step(2, 2.0, 0.1, 2.0, 200, 1.0)]
    history.evaluations.append(Evaluation(2, 2.25))
    assert history.tokens_per_second == 200
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_a_small_problem_is_learnt(rng):
    target = np.float32([[2.0, -3.0]])
    inputs = rng.standard_normal((64, 2)).astype(np.float32)

    def loss(model, x):
        difference = model(Tensor(x)) - x @ target.T - 0.5
        return (difference * difference).mean(), len(x)

    model = Linear(2, 1, rng=rng)
    trainer = Trainer(model, loss, optim.Adam(model, lr=0.1), clip_norm=5.0)
    trainer.fit(inputs.reshape(4, 16, 2), max_epochs=75)
    np.testing.assert_allclose(model.weight.data, target, atol=1e-2)
    np.testing.assert_allclose(model.bias.data, [0.5], atol=1e-2)
