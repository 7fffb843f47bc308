"""Arrays cut into batches: each row once an epoch, in an order that can be continued."""

import json

import numpy as np
import pytest
from foundation_nn import MLP, Tensor, optim
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer, batches
from hypothesis import given
from hypothesis import strategies as st

X = np.arange(22, dtype=np.float32).reshape(11, 2)
Y = np.arange(11)


def generator(seed=0):
    return np.random.default_rng(seed)


def rows(epoch):
    """The numbers of the rows of an epoch, batch by batch."""
    return [targets.tolist() for _, targets in epoch]


def test_without_a_generator_rows_come_in_their_order():
    loader = batches(X, Y, batch_size=4)
    assert rows(loader) == rows(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert len(loader) == 3
    assert loader.epoch == 2


@given(st.integers(1, 23), st.integers(1, 24), st.booleans(), st.integers(0, 5))
def test_each_row_comes_once_an_epoch_beside_its_target(count, size, drop_last, seed):
    x = np.arange(3 * count).reshape(count, 3)
    y = np.arange(count)
    if drop_last and size > count:
        return
    loader = batches(x, y, batch_size=size, rng=generator(seed), drop_last=drop_last)
    for _ in range(2):
        epoch = list(loader)
        assert len(epoch) == len(loader)
        seen = np.concatenate([targets for _, targets in epoch])
        for inputs, targets in epoch:
            np.testing.assert_array_equal(inputs, x[targets])
        lengths = [len(targets) for _, targets in epoch]
        assert all(length == size for length in lengths[:-1])
        if drop_last:
            assert lengths[-1] == size
            assert len(set(seen.tolist())) == len(seen) == count // size * size
        else:
            assert sorted(seen.tolist()) == list(range(count))


def test_each_epoch_has_an_order_of_its_own_that_the_generator_decides():
    loader = batches(X, Y, batch_size=4, rng=generator())
    first, second = rows(loader), rows(loader)
    assert first != second
    again = batches(X, Y, batch_size=4, rng=generator())
    assert (rows(again), rows(again)) == (first, second)
    assert rows(batches(X, Y, batch_size=4, rng=generator(1))) != first


def test_one_number_is_drawn_from_the_generator():
    rng, other = generator(), generator()
    list(batches(X, batch_size=4, rng=rng))
    other.integers(2**63)
    assert rng.bit_generator.state == other.bit_generator.state


def test_one_array_comes_alone_and_several_as_a_tuple():
    (first, *_) = batches(X, batch_size=4)
    assert isinstance(first, np.ndarray)
    np.testing.assert_array_equal(first, X[:4])
    (three, *_) = batches(X, Y, [str(i) for i in range(11)], batch_size=2)
    assert [part.tolist() for part in three] == [X[:2].tolist(), [0, 1], ["0", "1"]]
    (tensors, *_) = batches(Tensor(X), batch_size=2)
    assert isinstance(tensors, np.ndarray)


def test_the_dtype_and_the_arrays_stay_what_they_are():
    x = X.astype(np.float64)
    x.flags.writeable = False
    ((part, _), *_) = batches(x, Y, batch_size=3, rng=generator())
    assert part.dtype == np.float64


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("given", range(8))
def test_a_state_continues_with_the_batches_that_were_left(given, shuffled):
    def make(seed):
        return batches(X, Y, batch_size=4, rng=generator(seed) if shuffled else None)

    whole = make(0)
    expected = [batch for _ in range(3) for batch in rows(whole)]
    loader = make(0)
    seen = []
    while len(seen) < given:
        for _, targets in loader:
            seen.append(targets.tolist())
            if len(seen) == given:
                break
    state = json.loads(json.dumps(loader.state_dict()))
    again = make(7)  # the seed is part of the state
    again.load_state_dict(state)
    assert again.state_dict() == state
    rest = [batch for _ in range(3) for batch in rows(again)]
    assert (seen + rest)[: len(expected)] == expected


def test_a_loop_that_is_left_starts_its_epoch_again():
    loader = batches(X, Y, batch_size=4, rng=generator())
    first = next(iter(loader))
    np.testing.assert_array_equal(next(iter(loader))[1], first[1])
    assert loader.epoch == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: batches(X, Y, batch_size=3, rng=generator()), "with batch_size=4, and .* have 3"),
        (lambda: batches(X[:9], Y[:9], batch_size=4, rng=generator()), "the same arrays and opt"),
        (lambda: batches(X, batch_size=4, rng=generator()), "the same arrays and options"),
        (
            lambda: batches(X, Y, batch_size=4, rng=generator(), drop_last=True),
            "with drop_last=False, and these have True",
        ),
        (lambda: batches(X, Y, batch_size=4), "come shuffled, and these come in order"),
    ],
)
def test_the_state_of_other_batches_is_refused(other, message):
    state = batches(X, Y, batch_size=4, rng=generator()).state_dict()
    with pytest.raises(ValueError, match=f"batches: the state was taken .*{message}"):
        other().load_state_dict(state)


@pytest.mark.parametrize(
    "change",
    [{"given": 4}, {"given": -1}, {"given": "1"}, {"epoch": None}, {"epoch": True}, {"seed": "x"}],
)
def test_a_malformed_state_is_refused(change):
    loader = batches(X, Y, batch_size=4, rng=generator())
    before = loader.state_dict()
    with pytest.raises(ValueError, match="batches: malformed state"):
        loader.load_state_dict(before | change)
    assert loader.state_dict() == before


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X, Y[:10]), {"batch_size": 4}, ValueError, "equally many rows, got 11 and 10 rows; row"),
        ((X, Y, Y[:3]), {"batch_size": 4}, ValueError, "got 11, 11 and 3 rows"),
        ((), {"batch_size": 4}, TypeError, r"at least one array: batches\(X, y, batch_size=32\)"),
        ((X, Y, 4), {"batch_size": 4}, TypeError, "position 2, got the int 4; .* batch_size=4"),
        ((X, generator()), {"batch_size": 4}, TypeError, "position 1, got a Generator; .* rng=rng"),
        ((X, None), {"batch_size": 4}, TypeError, "expected an array at position 1, got None"),
        ((X, np.float32(3)), {"batch_size": 4}, TypeError, "expected an array at position 1, got"),
        ((X,), {"batch_size": 0}, ValueError, "expected batch_size >= 1, got 0"),
        ((X,), {"batch_size": 2.5}, ValueError, "batch_size to be a whole number, got 2.5"),
        ((X[:0],), {"batch_size": 2}, ValueError, "at least one row, got arrays without any"),
        ((X,), {"batch_size": 12, "drop_last": True}, ValueError, "would be no batch: batch_size"),
        ((X,), {"batch_size": 2, "rng": 0}, TypeError, "rng to be a numpy.random.Generator, got"),
    ],
)
def test_what_cannot_be_cut_is_refused(arguments, options, error, message):
    with pytest.raises(error, match=f"batches: .*{message}"):
        batches(*arguments, **options)


class Stop(Callback):
    """Ends a run, as a kill would: nothing is done after the step."""

    def __init__(self, step, path):
        self.step = step
        self.path = path

    def on_settled(self, trainer):
        if trainer.steps == self.step:
            trainer.save(self.path)
            trainer.stop("killed")


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_run_within_an_epoch_is_resumed_to_the_same_bits(tmp_path, at, accumulate):
    def loss(model, batch):
        x, y = batch
        return F.mse_loss(model(x), y[:, None].astype(np.float32)), len(y)

    def make(*callbacks):
        rng = generator()
        model = MLP([2, 3, 1], rng=rng)
        optimizer = optim.Adam(model, lr=0.01)
        trainer = Trainer(
            model, loss, optimizer, accumulate=accumulate, rng=rng, callbacks=callbacks
        )
        return trainer, batches(X, Y, batch_size=3, rng=rng)

    whole, loader = make()
    whole.fit(loader, max_epochs=3)
    cut, loader = make(Stop(at, tmp_path / "run"))
    cut.fit(loader, max_epochs=3)
    assert cut.stopped_by == "killed"
    again, loader = make()
    again.resume(tmp_path / "run")
    again.fit(loader, max_epochs=3)
    assert again.steps == whole.steps
    for a, b in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert a.data.tobytes() == b.data.tobytes()
    assert loader.state_dict()["epoch"] == 3


def test_how_it_looks():
    assert repr(batches(X, batch_size=4, rng=generator())) == (
        "Batches(3 of 4 from 11 rows, shuffled)"
    )
    assert repr(batches(X, batch_size=11)) == "Batches(1 of 11 from 11 rows, in order)"
