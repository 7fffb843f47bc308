"""What optimisers, clipping and averages refuse, and what they recover from."""

import math

import numpy as np
import pytest
from foundation_nn import MLP, Linear, Parameter, Tensor, optim, schedules

FAILING = {
    "SGD": lambda p: optim.SGD(p, lr=0.5),
    "SGD with decay": lambda p: optim.SGD(p, lr=0.5, weight_decay=0.0),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.5, alpha=0.0, eps=1.0),
    "Adam": lambda p: optim.Adam(p, lr=0.5, betas=(0.0, 0.0), eps=1.0),
    "Lion": lambda p: optim.Lion(p, lr=0.5, betas=(0.0, 0.0)),
    "Muon": lambda p: optim.Muon(p, lr=0.5, momentum=0.0),
}


@pytest.mark.parametrize("kind", FAILING)
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_what_remembers_nothing_recovers_from_a_bad_gradient(kind, bad):
    results = []
    for gradients in ([3.0], [bad, 3.0]):
        w = Parameter([[1.0, 2.0]])
        optimizer = FAILING[kind](w)
        for g in gradients:
            w.data = [[1.0, 2.0]]
            w.grad = np.full((1, 2), g, np.float32)
            with np.errstate(invalid="ignore"):
                optimizer.step()
        results.append(w.numpy())
    np.testing.assert_allclose(results[1], results[0], rtol=1e-6)
    assert np.isfinite(results[0]).all()


def test_plain_descent_keeps_nothing():
    w = Parameter([[1.0, 2.0]])
    optimizer = optim.SGD(w, lr=0.5)
    assert optimizer.state == {}
    w.grad = np.float32([[4.0, -2.0]])
    optimizer.step()
    np.testing.assert_array_equal(w.data, [[-1.0, 3.0]])
    assert set(optimizer.state_dict()) == {"steps", "updates", "shapes", "group_of", "groups"}
    assert set(optim.SGD(w, lr=0.5, momentum=0.5).state) == {"velocity"}


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_first_average_is_a_copy_to_the_bit_and_forgets_infinity(decay):
    p = Parameter([1e8, math.inf])
    ema = optim.EMA(optim.SGD(p, lr=1.0), decay=decay)
    p.data = [1.0, 2.0]  # 1e8 + (1 - 1e8) is 0 in float32
    ema.update()
    with ema.applied():
        assert p.data.tolist() == [1.0, 2.0]
    if decay == 0:
        p.data = [math.inf, 1.0]
        ema.update()
        p.data = [3.0, 4.0]
        ema.update()
        with ema.applied():
            assert p.data.tolist() == [3.0, 4.0]


def two():
    p, q = Parameter([3.0]), Parameter([[4.0]])
    p.grad, q.grad = np.float32([3.0]), np.float32([[4.0]])
    return p, q


def test_a_parameter_that_is_listed_twice_is_clipped_once():
    p, q = two()
    assert optim.clip_grad_norm([p, q, p], 1.0) == 5.0
    np.testing.assert_allclose(p.grad, [0.6], rtol=1e-6)
    np.testing.assert_allclose(q.grad, [[0.8]], rtol=1e-6)


def test_clipping_takes_a_parameter_a_list_a_generator_a_module_and_an_optimiser():
    w = Parameter([3.0, 4.0])
    w.grad = np.float32([3.0, 4.0])
    assert optim.clip_grad_norm(w, 1.0) == 5
    np.testing.assert_allclose(w.grad, [0.6, 0.8], rtol=1e-6)
    for kind in ("list", "generator", "optimiser"):
        p, q = two()
        target = {"list": [p, q], "generator": (x for x in (p, q))}.get(kind)
        target = optim.SGD([p, q], lr=1.0) if target is None else target
        assert optim.clip_grad_norm(target, 1.0) == 5
        np.testing.assert_allclose([p.grad[0], q.grad[0, 0]], [0.6, 0.8], rtol=1e-6)


MODEL = Linear(2, 1, rng=np.random.default_rng(0))
WRONG = [
    (MODEL.named_parameters(), r"got a tuple; named_parameters\(\) gives pairs, pass model.par"),
    (list(MODEL.named_parameters()), r"got a tuple; named_parameters\(\) gives pairs"),
    (dict(MODEL.named_parameters()), "got a dictionary; pass model.parameters()"),
    (MODEL.state_dict(), "got a dictionary; pass model.parameters()"),
    (MODEL.parameters, "got the function parameters; call it; pass the model, or model.par"),
    (Linear, "got the class Linear; pass the model"),
    ([MODEL, MODEL], r"got a Linear; pass the parameters of several modules as \[\*a.par"),
    ([Tensor([1.0], requires_grad=True)], r"got a Tensor; wrap what is to be learnt in Param"),
    (0.1, "got the float 0.1; pass the model, or model.parameters()"),
    ("weights", "got the str 'weights'; pass the model"),
    (None, "got None; pass the model"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_no_parameter_is_refused_with_the_fix(given, message):
    given = list(given) if hasattr(given, "__next__") else given
    with pytest.raises(TypeError, match=f"clip_grad_norm: expected .*{message}"):
        optim.clip_grad_norm(given, 1.0)
    for make in (optim.AdamW, lambda p: optim.SGD(p, lr=0.1), optim.Muon):
        with pytest.raises(TypeError, match=f"(AdamW|SGD|Muon): expected .*{message}"):
            make(given)


def test_clipping_knows_no_groups():
    for groups in ([{"params": [MODEL.weight], "lr": 0.1}], {"params": [MODEL.weight]}):
        with pytest.raises(TypeError, match="clip_grad_norm: .*; groups belong to optimisers"):
            optim.clip_grad_norm(groups, 1.0)


def test_an_average_of_something_else_is_refused():
    with pytest.raises(TypeError, match="EMA: expected an Optimizer or a Module, got a list"):
        optim.EMA([Parameter([1.0])])


@pytest.mark.parametrize(
    ("lr", "error", "message"),
    [
        (schedules.constant(0.1), TypeError, r"lr is a number, got the function.*schedule=.*opt"),
        ("0.1", TypeError, "expected lr to be a number, got the str '0.1'"),
        (None, TypeError, "expected lr to be a number, got None"),
        (True, TypeError, "expected lr to be a number, got the bool True"),
        (1 + 2j, TypeError, "expected lr to be a number, got a complex"),
        ([0.1], TypeError, "expected lr to be a number, got a list"),
        (-0.1, ValueError, "expected lr >= 0, got -0.1"),
        (math.nan, ValueError, "expected lr >= 0, got nan"),
        (math.inf, ValueError, "expected a finite lr >= 0, got inf"),
    ],
)
def test_a_rate_is_a_number_also_when_it_is_set_later(lr, error, message):
    with pytest.raises(error, match=f"SGD: {message}"):
        optim.SGD([Parameter([1.0])], lr=lr)
    optimizer = optim.AdamW([Parameter([1.0])])
    with pytest.raises(error, match=f"AdamW: {message}"):
        optimizer.lr = lr
    assert optimizer.lr == 1e-3


@pytest.mark.parametrize("lr", [np.float32(0.25), np.float64(0.25), np.array(0.25), 0.25])
def test_numbers_of_numpy_are_numbers(lr):
    w = Parameter([1.0])
    optimizer = optim.SGD(w, lr=lr)
    w.grad = np.float32([2.0])
    optimizer.step()
    assert (w.data.item(), w.dtype, optimizer.lr) == (0.5, np.float32, 0.25)


NAN = math.nan


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda p: optim.Adam(p, eps=NAN), ValueError, "Adam: expected eps > 0, got nan"),
        (lambda p: optim.RMSprop(p, eps=NAN), ValueError, "RMSprop: expected eps > 0, got nan"),
        (lambda p: optim.Adagrad(p, eps=math.inf), ValueError, "expected a finite eps > 0, got"),
        (lambda p: optim.Adam(p, betas=0.9), TypeError, "betas to be a pair, got the float 0.9"),
        (lambda p: optim.Adam(p, betas=(0.9,)), TypeError, "Adam: expected betas to be a pair"),
        (lambda p: optim.Lion(p, betas=("a", 0)), TypeError, "betas.* number, got the str 'a'"),
        (lambda p: optim.Adafactor(p, eps=1e-3), TypeError, "Adafactor: expected eps to be a pai"),
        (lambda p: optim.SGD(p, 0.1, weight_decay="0"), TypeError, "weight_decay to be a number"),
        (lambda p: optim.Muon(p, ns_steps=2.5), ValueError, "ns_steps to be a whole number"),
        (lambda p: optim.Muon(p, nesterov="no"), TypeError, "nesterov to be True or False, got"),
        (lambda p: optim.EMA(optim.SGD(p, 0.1), decay=NAN), ValueError, "0 <= decay < 1, got nan"),
        (lambda p: optim.clip_grad_norm(p, "1"), TypeError, "max_norm to be a number, got the str"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build([Parameter([[1.0]])])


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (), (3, 2), (1, 2, 3)])
def test_a_gradient_of_another_shape_is_refused(shape):
    message = r"a gradient of shape .* was assigned to a parameter of shape \(2, 3\)"
    w = Parameter(np.zeros((2, 3)))
    w.grad = np.ones(shape, np.float32)
    for act in (
        lambda: optim.clip_grad_norm(w, 1.0),
        lambda: optim.SGD(w, lr=1.0),
    ):
        with pytest.raises(ValueError, match=message):
            act()
    w.grad = None
    optimizer = optim.SGD(w, lr=1.0)
    w.grad = np.ones(shape, np.float32)
    for act in (optimizer.step, lambda: optim.clip_grad_norm(optimizer, 1.0)):
        with pytest.raises(ValueError, match=message):
            act()
    assert not w.data.any()
    assert optimizer.steps == 0


def test_an_optimiser_of_ones_own_is_a_formula_for_a_block(rng):
    class Momentum(optim.Optimizer):
        def __init__(self, model_or_params, lr, weight_decay=0.0):
            super().__init__(model_or_params, lr, weight_decay, state=("velocity",))

        def update_block(self, w, g, settings, velocity):
            velocity *= 0.5
            velocity += g + settings.weight_decay * w
            w -= settings.lr * velocity

    ours, theirs = (MLP([3, 700, 501], rng=np.random.default_rng(0)) for _ in range(2))
    own = Momentum(ours, lr=0.1, weight_decay=0.2)
    library = optim.SGD(theirs, lr=0.1, momentum=0.5, weight_decay=0.2)
    for _ in range(3):
        for p, q in zip(own.buffer.parameters, library.buffer.parameters, strict=True):
            p.grad = q.grad = rng.standard_normal(p.shape).astype(np.float32)
        own.step()
        library.step()
    np.testing.assert_array_equal(own.buffer.data, library.buffer.data)
    assert set(own.state_dict()) - set(optim.SGD(theirs, lr=0.1).state_dict()) == {"velocity"}
    with pytest.raises(NotImplementedError, match=r"Optimizer defines no update_block\(\)"):
        optim.Optimizer(Parameter([1.0]), lr=0.1).step()
