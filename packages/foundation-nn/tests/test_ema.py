"""Averages of the parameters."""

import tracemalloc

import numpy as np
import pytest
from foundation_nn import Linear, Parameter, optim


def layer():
    return Linear(3, 2, rng=np.random.default_rng(0))


def test_by_hand():
    p = Parameter([1.0], dtype=np.float64)
    ema = optim.EMA(optim.SGD([p], lr=1.0), decay=0.75)
    for value in (2.0, 4.0, -1.0):
        p.data = [value]
        ema.update()
    # The first is copied: 2; then 2 + ¼ · 2 = 2.5; then 2.5 - ¼ · 3.5.
    with ema.applied():
        assert p.data.item() == 1.625
    assert p.data.item() == -1
    assert ema.updates == 3


def test_before_the_first_update_it_is_where_it_began():
    p = Parameter([1.0])
    ema = optim.EMA(optim.SGD([p], lr=1.0))
    p.data = [5.0]
    with ema.applied():
        assert p.data.item() == 1
    assert p.data.item() == 5


@pytest.mark.parametrize("how", ["optimiser", "model of an optimiser", "model alone"])
def test_it_follows_a_model(how, rng):
    model = layer()
    if how == "model alone":
        ema = optim.EMA(model, decay=0.9)
    else:
        optimizer = optim.SGD(model, lr=0.1)
        ema = optim.EMA(optimizer if how == "optimiser" else model, decay=0.9)
    average = None
    for _ in range(4):
        for p in model.parameters():
            if how == "model alone":
                p.data = p.data + 1
            else:
                p.grad = rng.standard_normal(p.shape).astype(np.float32)
        if how != "model alone":
            optimizer.step()
        ema.update()
        values = model.state_dict()
        if average is None:
            average = values
        average = {k: 0.9 * average[k] + 0.1 * v for k, v in values.items()}
    with ema.applied():
        for name, value in model.state_dict().items():
            np.testing.assert_allclose(value, average[name], rtol=1e-5, atol=1e-6)
            assert value.dtype == np.float32
            assert not np.array_equal(value, values[name])
    for name, value in model.state_dict().items():
        assert value.tobytes() == values[name].tobytes()


def test_the_values_come_back_after_an_exception():
    p = Parameter([1.0])
    ema = optim.EMA(optim.SGD([p], lr=1.0))
    p.data = [5.0]
    with pytest.raises(KeyError), ema.applied():
        {p.data.item(): "the average"}[5.0]
    assert p.data.item() == 5
    with ema.applied():
        assert p.data.item() == 1


def test_within_applied_nothing_else_may_be_asked():
    ema = optim.EMA(layer())
    with ema.applied():
        for method in (ema.update, ema.state_dict, lambda: ema.load_state_dict({})):
            with pytest.raises(RuntimeError, match=r"within applied\(\): leave that block first"):
                method()
        with pytest.raises(RuntimeError, match="within applied"), ema.applied():
            pass
    ema.update()


def test_an_old_graph_is_refused_within_and_after():
    p = Parameter([1.0])
    ema = optim.EMA(optim.SGD([p], lr=1.0))
    old = (p * p).sum()
    with ema.applied(), pytest.raises(RuntimeError):
        old.backward()


def test_training_goes_on_as_if_nothing_had_been(rng):
    results = []
    gradients = rng.standard_normal((5, 2, 3)).astype(np.float32)
    for watched in (False, True):
        p = Parameter(np.ones((2, 3)))
        optimizer = optim.AdamW([p], lr=0.1)
        ema = optim.EMA(optimizer)
        for g in gradients:
            p.grad = g
            optimizer.step()
            if watched:
                ema.update()
                with ema.applied():
                    pass
        results.append(p.data.tobytes())
    assert results[0] == results[1]


def test_a_saved_state_continues_to_the_same_bits(rng):
    values = rng.standard_normal((6, 3)).astype(np.float32)

    def follow(ema, part):
        for value in part:
            ema.buffer.parameters[0].data = value
            ema.update()

    straight, before, after = (
        optim.EMA(optim.SGD([Parameter(np.zeros(3))], lr=1.0), decay=0.9) for _ in range(3)
    )
    follow(straight, values)
    follow(before, values[:3])
    after.load_state_dict(before.state_dict())
    follow(after, values[3:])
    assert after.updates == 6
    assert after.state_dict()["average"].tobytes() == straight.state_dict()["average"].tobytes()


def test_a_state_is_a_copy_and_a_strange_one_is_refused():
    ema, large = optim.EMA(layer()), optim.EMA(Linear(30, 20))
    state = ema.state_dict()
    state["average"][...] = 9
    assert (ema.state_dict()["average"] < 9).all()
    with pytest.raises(ValueError, match=r"EMA: expected the entries \['average', 'updates'\]"):
        ema.load_state_dict({"average": state["average"]})
    with pytest.raises(ValueError, match="EMA: the average has .* saved with another model"):
        large.load_state_dict(state)


def test_parameters_that_moved_are_noticed():
    model = layer()
    ema = optim.EMA(model)
    optim.SGD(model, lr=1.0)
    with pytest.raises(RuntimeError, match="make a new EMA"):
        ema.update()
    with pytest.raises(RuntimeError, match="make a new EMA"), ema.applied():
        pass


def test_a_model_must_have_its_optimiser_for_itself():
    first, second = layer(), layer()
    optimizer = optim.SGD([*first.parameters(), *second.parameters()], lr=1.0)
    with pytest.raises(ValueError, match="pass the optimiser instead"):
        optim.EMA(first)
    optim.EMA(optimizer).update()
    optim.SGD([first.weight], lr=1.0)
    with pytest.raises(ValueError, match="pass the optimiser instead"):
        optim.EMA(first)
    third = layer()
    optim.SGD([third.bias], lr=1.0)
    with pytest.raises(ValueError, match="pass the optimiser instead"):
        optim.EMA(third)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_impossible_decays_are_refused(decay):
    with pytest.raises(ValueError, match=f"EMA: expected 0 <= decay < 1, got {decay}"):
        optim.EMA(layer(), decay)


def test_blocks_are_allocated_not_buffers():
    p = Parameter(np.ones((1024, 1024), np.float32))  # 4 MB
    ema = optim.EMA(optim.SGD([p], lr=1.0))
    tracemalloc.start()
    try:
        for _ in range(2):
            ema.update()
            with ema.applied():
                pass
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < p.data.nbytes
    assert current < 2**15
