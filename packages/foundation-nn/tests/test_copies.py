"""Copies of a model and of what belongs to it stay together, and apart from the originals."""

import copy
import pickle  # noqa: TID251  (users do, between processes of their own)

import numpy as np
import pytest
from foundation_nn import (
    MLP,
    BatchNorm1d,
    Linear,
    Parameter,
    ParameterBuffer,
    Sequential,
    Tensor,
    optim,
    schedules,
)
from foundation_nn import functional as F
from foundation_nn.training import Checkpoints, EarlyStopping, JsonLog, Progress, Trainer

WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}
MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Lion": lambda p: optim.Lion(p, lr=0.1),
    "Muon": lambda p: optim.Muon(p, lr=0.1),
    "Adafactor": lambda p: optim.Adafactor(p, lr=0.1),
}
ROWS = np.random.default_rng(1).standard_normal((5, 7, 3)).astype(np.float32)


@pytest.fixture(params=WAYS)
def copied(request):
    return WAYS[request.param]


def network():
    return MLP([3, 5, 2], rng=np.random.default_rng(0))


def loss(model, rows):
    return F.mse_loss(model(Tensor(rows)), np.ones((len(rows), 2), np.float32)), len(rows)


def train(model, optimizer, rows=ROWS, ema=None):
    """Steps; the bits afterwards."""
    for batch in rows:
        optimizer.zero_grad()
        loss(model, batch)[0].backward()
        optimizer.step()
        if ema is not None:
            ema.update()
    return bits(model)


def bits(model):
    return [p.data.tobytes() for p in model.parameters()]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("order", ["model first", "optimiser first"])
def test_a_pair_goes_on_as_the_original_does(copied, kind, order):
    model = network()
    optimizer = MAKERS[kind](model)
    train(model, optimizer, ROWS[:2])
    if order == "model first":
        twin, twins_optimizer = copied((model, optimizer))
    else:
        twins_optimizer, twin = copied((optimizer, model))
    before = bits(model)
    after = train(twin, twins_optimizer, ROWS[2:])
    assert bits(model) == before  # the original stays
    assert after != before
    assert train(model, optimizer, ROWS[2:]) == after
    ours, theirs = optimizer.state_dict(), twins_optimizer.state_dict()
    assert {k: v.tobytes() for k, v in ours.items()} == {k: v.tobytes() for k, v in theirs.items()}


def test_an_average_goes_with_the_pair(copied):
    model = network()
    optimizer = optim.AdamW(model, lr=0.1)
    ema = optim.EMA(optimizer, decay=0.5)
    train(model, optimizer, ROWS[:2], ema)
    ema_2, model_2, optimizer_2 = copied((ema, model, optimizer))
    after = train(model_2, optimizer_2, ROWS[2:], ema_2)
    assert train(model, optimizer, ROWS[2:], ema) == after
    with ema.applied(), ema_2.applied():
        assert bits(model) == bits(model_2) != after
    with ema.applied(), pytest.raises(RuntimeError, match=r"copy of an EMA within applied\(\)"):
        copied(ema)


def test_a_model_alone_is_free_of_the_optimiser_of_the_original(copied):
    model = network()
    optimizer = optim.AdamW(model, lr=0.1)
    loss(model, ROWS[0])[0].backward()
    twin = copied(model)
    assert bits(twin) == bits(model)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(q.grad, p.grad)
        assert not np.shares_memory(q.grad, p.grad)
        assert not q.data.flags.writeable
    before = bits(twin)
    optimizer.step()
    assert bits(twin) == before != bits(model)
    optim.SGD(twin, lr=0.1).step()
    assert bits(twin) != before
    optimizer.step()  # has lost nothing


def test_an_optimiser_alone_trains_parameters_of_its_own(copied):
    model = network()
    optimizer = optim.SGD(model, lr=1.0)
    alone = copied(optimizer)
    before = bits(model)
    for p in alone.buffer.parameters:
        p.grad = np.ones(p.shape, np.float32)
    alone.step()
    assert bits(model) == before
    for p, q in zip(optimizer.buffer.parameters, alone.buffer.parameters, strict=True):
        np.testing.assert_array_equal(q.data, p.data - 1)


def test_shared_parameters_and_kept_values_stay_what_they_are(copied):
    model = Sequential(Linear(3, 3, rng=np.random.default_rng(0)), BatchNorm1d(3))
    model.twin = model[0].weight
    other, optimizer = copied((model, optim.SGD(model, lr=0.1)))
    assert other.twin is other[0].weight
    assert len(optimizer.buffer.parameters) == 4
    norm = other[1]
    assert {type(value).__name__ for value in norm.buffers()} == {"Buffer"}
    with pytest.raises(ValueError, match="read-only"):
        norm.running_mean.data[0] = 1


def test_a_shallow_copy_takes_nothing_away_from_the_original():
    p = Parameter([1.0, 2.0])
    optimizer = optim.SGD([p], lr=1.0)
    q = copy.copy(p)
    q.data = [5.0, 5.0]
    p.sum().backward()
    optimizer.step()
    assert (p.data.tolist(), q.data.tolist()) == ([0, 1], [5, 5])
    with pytest.raises(TypeError, match="use copy.deepcopy"):
        copy.copy(ParameterBuffer([p]))


def make_trainer(tmp_path):
    model = network()
    optimizer = optim.AdamW(model, lr=0.1)
    return Trainer(
        model,
        loss,
        optimizer,
        schedule=schedules.cosine(0.1, steps=20, warmup=2),
        ema=optim.EMA(optimizer, 0.5),
        rng=np.random.default_rng(3),
        callbacks=[
            JsonLog(tmp_path / "history.jsonl"),
            Checkpoints(tmp_path),
            Progress(),
            EarlyStopping(9),
        ],
    )


def test_a_trainer_goes_on_as_the_original_does(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit(ROWS, validation=ROWS[:1], max_epochs=1)
    twin = copy.deepcopy(trainer)
    twin.callbacks[1].folder = tmp_path / "twin"
    before = bits(trainer.model)
    twin.fit(ROWS, validation=ROWS[:1], max_epochs=1)
    assert bits(trainer.model) == before != bits(twin.model)
    trainer.fit(ROWS, validation=ROWS[:1], max_epochs=1)
    assert bits(trainer.model) == bits(twin.model)
    assert [s.loss for s in trainer.history.steps] == [s.loss for s in twin.history.steps]
    assert trainer.steps == twin.steps == 10


def test_a_trainer_is_saved_not_pickled(tmp_path):
    with pytest.raises(TypeError, match=r"Trainer: .*trainer.save\(path\).*copy.deepcopy"):
        pickle.dumps(make_trainer(tmp_path))


def test_a_trainer_whose_optimiser_belongs_to_the_original_is_refused():
    model = network()
    optimizer = optim.SGD(model, lr=0.1)
    with pytest.raises(ValueError, match="none of the model's parameters.*deepcopy"):
        Trainer(copy.deepcopy(model), loss, optimizer)
    other = optim.EMA(network())
    with pytest.raises(ValueError, match=r"ema follows other parameters.*EMA\(optimizer\)"):
        Trainer(model, loss, optimizer, ema=other)


def test_the_value_of_a_copied_tensor_is_read_only_too(copied):
    x = copied(Tensor([1.0, 2.0], requires_grad=True))
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 5
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 4])


def test_a_result_that_leads_back_to_its_inputs_is_not_copied():
    x = Tensor([3.0], requires_grad=True)
    y = x * x
    for copy_of in (*WAYS.values(), copy.copy):
        with pytest.raises(TypeError, match=r"result of a recorded operation .*x\.detach\(\)"):
            copy_of(y)
        assert copy_of(y.detach()).data.tolist() == [9.0]
    y.backward()
    assert x.grad.tolist() == [6.0]
