"""What holds for every optimiser, whatever its formula."""

import tracemalloc

import numpy as np
import pytest
from foundation_nn import Embedding, Linear, Module, Parameter, checkpoint, optim
from foundation_nn.engine import _threads as threads

MAKERS = {
    "RMSprop": lambda p, **o: optim.RMSprop(p, lr=0.1, **o),
    "Adagrad": lambda p, **o: optim.Adagrad(p, lr=0.1, **o),
    "Lion": lambda p, **o: optim.Lion(p, lr=0.1, **o),
    "Muon": lambda p, **o: optim.Muon(p, lr=0.1, **o),
    "Adafactor": lambda p, **o: optim.Adafactor(p, lr=0.1, **o),
}
SHAPES = [(5,), (7, 5), (3, 2), (), (2, 3, 5), (2, 7)]


class Small(Module):
    """Enough to be saved."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.embedding = Embedding(7, 3, rng=rng)
        self.layer = Linear(3, 5, rng=rng)

    def to_dict(self):
        return {}

    @classmethod
    def from_dict(cls, config):
        return cls()


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def step_with(optimizer, gradients):
    for p, g in zip(optimizer.buffer.parameters, gradients, strict=True):
        p.grad = g.astype(p.dtype)
    optimizer.step()


def gradients_for(optimizer, rng, count):
    shapes = [p.shape for p in optimizer.buffer.parameters]
    return [[np.asarray(rng.standard_normal(s)) for s in shapes] for _ in range(count)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_saved_state_continues_to_the_same_bits(make, dtype, rng):
    values = [np.asarray(rng.standard_normal(shape)) for shape in SHAPES]
    straight = make([Parameter(v, dtype=dtype) for v in values], weight_decay=0.1)
    before = make([Parameter(v, dtype=dtype) for v in values], weight_decay=0.1)
    gradients = gradients_for(straight, rng, 6)
    for g in gradients:
        step_with(straight, g)
    for g in gradients[:3]:
        step_with(before, g)
    after = make([Parameter(p.data) for p in before.buffer.parameters], weight_decay=0.1)
    after.load_state_dict(before.state_dict())
    assert after.steps == 3
    for g in gradients[3:]:
        step_with(after, g)
    assert after.buffer.data.dtype == dtype
    assert {a.dtype for a in after.state.values()} == {np.dtype(dtype)}
    assert after.buffer.data.tobytes() == straight.buffer.data.tobytes()
    forgetful = make([Parameter(p.data) for p in before.buffer.parameters], weight_decay=0.1)
    for g in gradients[3:]:
        step_with(forgetful, g)
    assert forgetful.buffer.data.tobytes() != straight.buffer.data.tobytes()


@pytest.mark.parametrize("tail", [True, False])
def test_a_checkpoint_holds_the_state(make, tail, tmp_path, rng):
    model = Small()
    optimizer = make(model if tail else [model.layer.weight])
    step_with(optimizer, gradients_for(optimizer, rng, 1)[0])
    checkpoint.save(tmp_path / "here", model, optimizer)
    loaded = checkpoint.load(tmp_path / "here", classes=[Small])
    other = make(loaded.model if tail else [loaded.model.layer.weight])
    other.load_state_dict(loaded.optimizer)
    assert {k: v.tobytes() for k, v in other.state_dict().items()} == {
        k: v.tobytes() for k, v in optimizer.state_dict().items()
    }
    assert other.steps == 1


def test_a_state_of_another_model_is_refused(make):
    small, large = make([Parameter(np.ones((2, 3)))]), make([Parameter(np.ones((70, 30)))])
    with pytest.raises(ValueError, match="saved with another model"):
        large.load_state_dict(small.state_dict())
    with pytest.raises(ValueError, match="expected the entries"):
        large.load_state_dict(optim.SGD([Parameter([1.0])], lr=0.1).state_dict())


def test_decay_is_for_matrices_only(make):
    lengths = {}
    for decay in (0.0, 0.2):
        parameters = [Parameter(np.ones(shape)) for shape in SHAPES]
        optimizer = make(parameters, weight_decay=decay)
        for _ in range(2):
            step_with(optimizer, [np.zeros(p.shape) for p in optimizer.buffer.parameters])
        lengths[decay] = [p.data.mean() for p in parameters]
    for shape, without, decayed in zip(SHAPES, lengths[0.0], lengths[0.2], strict=True):
        assert without == 1
        assert (decayed < 0.97) if len(shape) > 1 else (decayed == 1), shape


def test_a_step_allocates_blocks_not_buffers(make, threads):
    threads(1)  # a second one may keep its first block only while the memory is watched
    p = Parameter(np.ones((512, 2048)), dtype=np.float32)  # 4 MB
    optimizer = make([p], weight_decay=0.1)
    p.grad = np.ones(p.shape, np.float32)
    optimizer.step()
    tracemalloc.start()
    try:
        for _ in range(3):
            optimizer.step()
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < p.data.nbytes
    assert current < 2**15


def test_one_thread_and_two(make, threads, rng):
    value, gradient = rng.standard_normal((2, 700, 800)).astype(np.float32)
    results = []
    for n in (1, 2):
        threads(n)
        p, q = Parameter(value), Parameter(value.ravel())
        optimizer = make([p, q], weight_decay=0.1)
        for _ in range(2):
            p.grad, q.grad = gradient, gradient.ravel()
            optimizer.step()
        results.append((p.numpy(), q.numpy()))
    for one, two in zip(*results, strict=True):
        if isinstance(optimizer, optim.Muon):  # the products are the BLAS library's affair
            np.testing.assert_allclose(one, two, atol=1e-3)
        else:
            assert one.tobytes() == two.tobytes()


def test_gradients_are_left_as_they_are(make, rng):
    optimizer = make([Parameter(np.ones(shape)) for shape in SHAPES], weight_decay=0.1)
    (gradients,) = gradients_for(optimizer, rng, 1)
    step_with(optimizer, gradients)
    for p, g in zip(optimizer.buffer.parameters, gradients, strict=True):
        np.testing.assert_array_equal(p.grad, g)


def test_empty_and_single_axes(make):
    parameters = [Parameter(np.ones(shape)) for shape in ((0,), (0, 3), (1, 5), (5, 1), (1,), ())]
    optimizer = make(parameters)
    step_with(optimizer, [np.ones(p.shape) for p in optimizer.buffer.parameters])
    for p in parameters:
        assert (p.data < 1).all()
        assert np.isfinite(p.data).all()


def test_an_old_graph_is_refused_after_a_step(make):
    p = Parameter(np.ones((2, 3)))
    optimizer = make([p])
    loss = (p * p).sum()
    loss.backward()
    old = (p * p).sum()
    optimizer.step()
    with pytest.raises(RuntimeError):
        old.backward()


def test_without_decay_a_step_is_one_call_and_with_it_two():
    parts = []

    class Watched(optim.SGD):
        def update_in_blocks(self, part, grad, settings):
            parts.append((part, settings.weight_decay))
            super().update_in_blocks(part, grad, settings)

    optimizer = Watched([Parameter(np.ones((2, 8))), Parameter(np.ones(16))], lr=0.5)
    optimizer.step()
    assert parts == [(slice(0, 32), 0.0)]

    parts.clear()
    optimizer.weight_decay = 0.1  # changed between steps
    optimizer.step()
    assert parts == [(slice(0, 16), 0.1), (slice(16, 32), 0.0)]

    parts.clear()
    optimizer.groups[0].weight_decay = 0.0  # of the group, where it has one of its own
    optimizer.step()
    assert parts == [(slice(0, 32), 0.0)]


def test_decoupled_decay_comes_before_one_update_of_all_and_is_for_matrices():
    calls = []

    class Shrinking(optim.Optimizer):
        decoupled_decay = True

        def update_block(self, w, g, settings):
            calls.append(w.copy())
            w -= settings.lr * g

    matrix, vector = Parameter([[1.0, -2.0]], dtype=float), Parameter([4.0], dtype=float)
    optimizer = Shrinking([vector, matrix], lr=0.5, weight_decay=0.5)
    matrix.grad, vector.grad = np.array([[1.0, 1.0]]), np.array([2.0])
    optimizer.step()
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0], [0.75, -1.5, 0, 0, 0, 0, 0, 0, 4])  # 0: alignment
    np.testing.assert_array_equal(matrix.data, [[0.25, -2.0]])
    np.testing.assert_array_equal(vector.data, [3.0])

    matrix.requires_grad = False
    vector.grad = np.array([2.0])
    optimizer.step()
    np.testing.assert_array_equal(matrix.data, [[0.25, -2.0]])  # frozen: it does not shrink, either
    np.testing.assert_array_equal(vector.data, [2.0])


@pytest.mark.parametrize("kind", [optim.AdamW, optim.Lion])
def test_decay_within_blocks_that_hold_matrices_and_vectors(kind, monkeypatch):
    """The border between what decays and what does not lies anywhere in a block."""
    monkeypatch.setattr(threads, "BLOCK_BYTES", 100)

    def stepped(lr, weight_decay):
        rng = np.random.default_rng(0)
        parameters = [Parameter(rng.normal(size=shape)) for shape in ((5, 7), (3,), (2, 3), (11,))]
        optimizer = kind(parameters, lr=lr, weight_decay=weight_decay)
        for p in parameters:
            p.grad = rng.normal(size=p.shape)
        before = [p.numpy() for p in parameters]
        optimizer.step()
        return before, [p.data for p in parameters]

    before, without = stepped(0.1, 0.0)
    _, with_decay = stepped(0.1, 0.5)
    for w, plain, decayed in zip(before, without, with_decay, strict=True):
        share = 0.1 * 0.5 if w.ndim > 1 else 0.0
        np.testing.assert_allclose(decayed, plain - share * w, rtol=1e-12)
