"""The training loop."""

import json

import numpy as np
import pytest
from foundation_nn import Dropout, Linear, Tensor, optim, train_mode
from foundation_nn.training import Callback, Trainer, evaluate


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
            yield np.ones((1, 2), np.float32)

    trainer = make_trainer()
    trainer.fit(batches(), max_steps=3)
    assert trainer.steps == 3
    assert drawn == [0, 1, 2]


def test_the_history_is_json_when_the_loss_counts_with_numpy():
    def loss(model, batch):
        value, count = mean_square(model, batch)
        return value, np.int64(count)

    history = make_trainer(loss).fit([np.ones((1, 2), np.float32)], max_steps=2)
    content = json.loads(json.dumps(history.to_dict()))
    assert [step["tokens"] for step in content["steps"]] == [1, 1]


def test_a_gradient_that_is_not_finite_is_refused_and_nothing_has_changed():
    def loss(model, batch):  # the root has no slope at zero
        return ((model(Tensor(batch)) * 0).sqrt()).sum(), 1

    trainer = make_trainer(loss, clip_norm=1.0)
    before = trainer.model.state_dict()
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="step 1: .*gradient"):
        trainer.fit([np.ones((1, 2), np.float32)], max_steps=1)
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
