"""Optimisers and clipping."""

import math
import tracemalloc

import numpy as np
import pytest
from foundation_nn import Linear, Parameter, ReLU, Tensor, get_num_threads, optim
from foundation_nn.engine._threads import BLOCK_BYTES

MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.2),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def step_with(optimizer, gradients):
    for p, g in zip(optimizer.buffer.parameters, gradients, strict=True):
        p.grad = np.full(p.shape, g, p.dtype)
    optimizer.step()


def test_clipping_by_hand():
    p = Parameter([3.0, 4.0])
    optimizer = optim.SGD([p], lr=1.0)
    (p * p * 0.5).sum().backward()  # the gradient is p itself, of norm 5
    assert optim.clip_grad_norm(optimizer, 1.0) == pytest.approx(5.0)
    optimizer.step()
    np.testing.assert_allclose(p.data, [3 - 0.6, 4 - 0.8], rtol=1e-6)


def test_clipping_counts_for_a_gradient_that_was_assigned():
    p = Parameter([3.0, 4.0])
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = np.array([3.0, 4.0], np.float32)
    assert optim.clip_grad_norm(optimizer, 1.0) == pytest.approx(5.0)
    optimizer.step()
    np.testing.assert_allclose(p.data, [3 - 0.6, 4 - 0.8], rtol=1e-6)


def test_a_leaf_that_is_no_parameter_is_refused_with_the_fix():
    with pytest.raises(TypeError, match="Parameter"):
        optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.1)


def test_a_parameter_taken_by_another_optimiser_is_refused():
    p = Parameter([1.0])
    first, second = optim.SGD([p], lr=1.0), optim.SGD([p], lr=1.0)
    p.sum().backward()
    with pytest.raises(RuntimeError, match="another optimiser"):
        first.step()
    np.testing.assert_array_equal(p.data, [1.0])
    second.step()
    np.testing.assert_array_equal(p.data, [0.0])


@pytest.mark.parametrize("kind", ["module", "parameters"])
def test_clipping_without_an_optimiser(kind):
    layer = Linear(2, 1, rng=np.random.default_rng(0))
    layer.weight.grad, layer.bias.grad = np.float32([[2, 3]]), np.float32([6])
    target = layer if kind == "module" else layer.parameters()
    assert optim.clip_grad_norm(target, 3.5) == 7
    np.testing.assert_array_equal(layer.weight.grad, [[1, 1.5]])
    np.testing.assert_array_equal(layer.bias.grad, [3])


def test_clipping_counts_for_a_scalar_parameter():
    p = Parameter(2.0)
    (p * p * p).backward()
    assert optim.clip_grad_norm([p], 3) == 12
    assert p.grad == 3


def test_clipping_leaves_alone_what_is_short_infinite_or_absent():
    p, absent = Parameter([3.0, 4.0]), Parameter([1.0])
    p.grad = np.float32([3, 4])
    assert optim.clip_grad_norm([p, absent], 5.0) == 5
    assert optim.clip_grad_norm([p, absent], math.inf) == 5
    np.testing.assert_array_equal(p.grad, [3, 4])
    assert optim.clip_grad_norm([absent], 1.0) == 0
    p.grad = np.float32([np.inf, 4])
    assert optim.clip_grad_norm([p], 1.0) == math.inf
    np.testing.assert_array_equal(p.grad, [np.inf, 4])
    for bad in (0, -1, math.nan):
        with pytest.raises(ValueError, match="expected max_norm > 0"):
            optim.clip_grad_norm([p], bad)


def test_large_finite_gradients_are_clipped_too():
    # Their squares are beyond float32, the norm 5e30 is not.
    p = Parameter([1.0, 1.0])
    p.grad = np.float32([3e30, 4e30])
    assert optim.clip_grad_norm([p], 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(p.grad, [0.6, 0.8], rtol=1e-6)


def test_the_first_step_by_hand():
    cases = {
        "SGD": 1 - 0.1 * 4,
        "momentum": 1 - 0.1 * (4 + 0.2 * 1),
        "Adam": 1 - 0.1,  # m̂ / √v̂ = 1
        "AdamW": 1 - 0.1 * 0.2 - 0.1,
    }
    for name, expected in cases.items():
        p = Parameter([[1.0]], dtype=np.float64)
        step_with(MAKERS[name]([p]), [4])
        assert p.data.item() == pytest.approx(expected, abs=1e-8), name


def test_decay_is_for_matrices_only():
    shapes = [(3,), (2, 3), (), (2, 3, 5), (7,), (1, 1)]
    for make in (MAKERS["momentum"], MAKERS["AdamW"]):
        parameters = [Parameter(np.ones(shape)) for shape in shapes]
        step_with(make(parameters), [0] * len(shapes))
        for p, shape in zip(parameters, shapes, strict=True):
            # Without a gradient only the decay acts: 1 - 0.1 · 0.2.
            np.testing.assert_allclose(p.data, np.full(shape, 0.98 if len(shape) > 1 else 1))


def test_only_vectors_or_only_matrices(make):
    for shape in ((5,), (2, 3)):
        p = Parameter(np.ones(shape))
        step_with(make([p]), [1])
        assert (p.data < 1).all()


def test_a_parameter_without_gradient_counts_as_zero():
    p, q = Parameter([1.0]), Parameter([1.0])
    optimizer = optim.SGD([p, q], lr=1.0)
    p.sum().backward()
    optimizer.step()
    assert (p.data.item(), q.data.item()) == (0, 1)
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.data.item() == 0


def test_a_saved_state_continues_to_the_same_bits(make, rng):
    shapes = [(7, 5), (5,), (3, 2)]
    gradients = rng.standard_normal((6, len(shapes)))
    values = [rng.standard_normal(shape) for shape in shapes]
    straight = make([Parameter(v) for v in values])
    for g in gradients:
        step_with(straight, g)
    before = make([Parameter(v) for v in values])
    for g in gradients[:3]:
        step_with(before, g)
    after = make([Parameter(p.data) for p in before.buffer.parameters])
    after.load_state_dict(before.state_dict())
    assert after.steps == 3
    for g in gradients[3:]:
        step_with(after, g)
    assert after.buffer.data.tobytes() == straight.buffer.data.tobytes()


def test_a_state_is_a_copy_and_one_of_another_kind_or_model_is_refused():
    sgd, adam = MAKERS["SGD"]([Parameter([1.0])]), MAKERS["Adam"]([Parameter([1.0])])
    larger = MAKERS["Adam"]([Parameter(np.ones(99, np.float32))])
    state = adam.state_dict()
    state["m"][...] = 9
    assert not adam.state["m"].any()
    with pytest.raises(ValueError, match=r"SGD: expected the entries .*'updates'\], got .*'v'\]"):
        sgd.load_state_dict(state)
    with pytest.raises(ValueError, match="Adam: the state was saved with another model"):
        larger.load_state_dict(state)
    assert not larger.state["m"].any()


def test_a_step_allocates_blocks_not_buffers(make):
    p = Parameter(np.ones((1024, 1024)), dtype=np.float32)  # 4 MB
    optimizer = make([p])
    step_with(optimizer, [1])
    tracemalloc.start()
    try:
        for _ in range(3):
            optimizer.step()
        current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < p.data.nbytes
    # What stays is a block of intermediate results for each thread.
    assert current < get_num_threads() * BLOCK_BYTES + 2**15


def test_large_buffers_are_updated_alike_on_one_thread_and_on_two(make, threads, rng):
    value, gradient = rng.standard_normal((2, 700, 800)).astype(np.float32)
    results = []
    for n in (1, 2):
        threads(n)
        p = Parameter(value)
        optimizer = make([p])
        for _ in range(2):
            p.grad = gradient
            optimizer.step()
        results.append(p.data.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: optim.SGD(p, lr=-1), "SGD: expected lr >= 0, got -1"),
        (lambda p: optim.SGD(p, lr=math.nan), "SGD: expected lr >= 0, got nan"),
        (lambda p: optim.SGD(p, 0.1, momentum=1.0), "SGD: expected 0 <= momentum < 1, got 1.0"),
        (
            lambda p: optim.AdamW(p, weight_decay=math.inf),
            "AdamW: expected a finite weight_decay >= 0",
        ),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), r"Adam: expected 0 <= betas\[1\] < 1, got 1.0"),
        (lambda p: optim.Adam(p, eps=0), "Adam: expected eps > 0, got 0"),
        (lambda p: optim.Adam([]), "at least one parameter, got none"),
        (lambda p: optim.Adam(ReLU()), "Adam: a ReLU has no parameters to learn; those of a modu"),
        (lambda p: optim.Adam(p + p), "listed twice"),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build([Parameter([1.0])])


def test_a_tied_parameter_of_a_module_is_updated_once():
    layer = Linear(2, 2, bias=False, rng=np.random.default_rng(0))
    layer.twin = layer.weight
    before = layer.weight.numpy()
    layer.weight.sum().backward()
    optim.SGD(layer, lr=1.0).step()
    np.testing.assert_array_equal(layer.weight.data, before - 1)
