"""Groups of parameters: rates and decays of their own, for every optimiser."""

import inspect

import numpy as np
import pytest
from foundation_nn import MLP, Embedding, Linear, Parameter, Sequential, Tensor, optim, schedules
from foundation_nn.training import Callback, Trainer

MAKERS = {
    "SGD": lambda p, lr=0.1, **o: optim.SGD(p, lr, momentum=0.9, **o),
    "Adam": lambda p, lr=0.1, **o: optim.Adam(p, lr, **o),
    "AdamW": lambda p, lr=0.1, **o: optim.AdamW(p, lr, **o),
    "RMSprop": lambda p, lr=0.1, **o: optim.RMSprop(p, lr, **o),
    "Adagrad": lambda p, lr=0.1, **o: optim.Adagrad(p, lr, **o),
    "Lion": lambda p, lr=0.1, **o: optim.Lion(p, lr, **o),
    "Muon": lambda p, lr=0.1, **o: optim.Muon(p, lr, **o),
    "Adafactor": lambda p, lr=0.1, **o: optim.Adafactor(p, lr, **o),
}
SHAPES = [(5,), (7, 5), (3, 2), (2, 3, 5), (2,), (11, 7)]
BATCHES = np.random.default_rng(1).standard_normal((6, 4, 2)).astype(np.float32)


@pytest.fixture(params=MAKERS)
def kind(request):
    return request.param


def parameters(rng):
    return [Parameter(rng.standard_normal(shape), dtype=np.float32) for shape in SHAPES]


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def test_two_groups_are_two_optimisers_to_the_bit(kind, rng):
    ps = parameters(rng)
    twins = [Parameter(p.data) for p in ps]
    own = {} if kind == "Adam" else {"weight_decay": 0.3}
    rest = {} if kind == "Adam" else {"weight_decay": 0.1}
    together = MAKERS[kind](
        [{"params": ps[0:3], "lr": 0.025} | own, {"params": (p for p in ps[3:])}], **rest
    )
    apart = [MAKERS[kind](twins[:3], lr=0.025, **own), MAKERS[kind](twins[3:], **rest)]
    for _ in range(3):
        for p, q in zip(ps, twins, strict=True):
            p.grad = rng.standard_normal(p.shape).astype(np.float32)
            q.grad = p.grad.copy()
        together.step()
        for optimizer in apart:
            optimizer.step()
    for p, q in zip(ps, twins, strict=True):
        assert p.data.tobytes() == q.data.tobytes()


@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"Adam"}))
def test_a_group_without_decay_does_not_decay(kind):
    p, q = Parameter(np.ones((3, 2))), Parameter(np.ones((3, 2)))
    optimizer = MAKERS[kind]([{"params": p, "weight_decay": 0.0}, {"params": q}], weight_decay=0.3)
    for parameter in (p, q):
        parameter.grad = np.zeros((3, 2), np.float32)
    optimizer.step()
    assert (p.data == 1).all()
    assert (q.data < 1).all()


def test_rates_are_kept_as_ratios_that_a_schedule_moves():
    p, q, r = (Parameter([1.0]) for _ in range(3))
    optimizer = optim.SGD(
        [{"params": [p], "lr": 0.25}, {"params": q, "lr_scale": 3}, {"params": r}], lr=0.5
    )
    assert [group.lr_scale for group in optimizer.groups] == [0.5, 3, 1]
    optimizer.lr = 0.125
    for parameter in (p, q, r):
        parameter.grad = np.float32([1.0])
    optimizer.step()
    assert [x.item() for x in (p, q, r)] == [1 - 0.0625, 1 - 0.375, 1 - 0.125]
    optimizer.groups[1].lr_scale = 0
    optimizer.step()
    assert q.item() == 1 - 0.375


def test_a_trainer_with_a_schedule_moves_all_groups():
    def trained(scale):
        model = MLP([2, 3, 1], rng=np.random.default_rng(0))
        groups = [{"params": model[0], "lr_scale": scale}, {"params": model[2]}]
        trainer = Trainer(
            model, square, optim.SGD(groups, lr=1.0), schedule=schedules.linear(0.1, 4)
        )
        before = model.state_dict()
        trainer.fit(BATCHES, max_steps=1)
        after = model.state_dict()
        return {name: after[name] - before[name] for name in after}

    slow, fast = trained(0.25), trained(1.0)
    for name in ("0.weight", "0.bias"):
        np.testing.assert_allclose(slow[name], fast[name] / 4, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(slow["2.weight"], fast["2.weight"])


def test_embeddings_of_every_group_go_to_adamw():
    embedding, layer, head = Embedding(7, 3), Linear(3, 5), Linear(5, 7)
    optimizer = optim.Muon(
        [{"params": Sequential(embedding, layer), "lr_scale": 0.1}, {"params": head}],
        adamw=[head.weight],
    )
    assert optimizer.state["momentum"].size == 16  # the layer's, 3 · 5 and a number for alignment
    for_adamw = optimizer.state_of(optimizer.buffer.slices[1])["m"]
    assert for_adamw.size == embedding.weight.size


def make(kind, ps):
    return MAKERS[kind]([{"params": ps[:3], "lr_scale": 0.5}, {"params": ps[3:]}])


def test_a_run_with_groups_is_resumed_to_the_same_bits(kind, tmp_path):
    """With the numbers that the groups had in it, also those that were changed on the way."""

    class Slower(Callback):
        def on_step(self, trainer, step):
            if step.step == 2:
                trainer.optimizer.groups[1].lr_scale = 0.3

    def trainer(scale=0.1):
        model = MLP([2, 3, 1], rng=np.random.default_rng(0))
        groups = [{"params": model[0], "lr_scale": scale}, {"params": model[2]}]
        rng = np.random.default_rng(2)
        return Trainer(model, square, MAKERS[kind](groups), rng=rng, callbacks=[Slower()])

    whole, cut, resumed = trainer(), trainer(), trainer(scale=0.7)
    whole.fit(BATCHES, max_steps=5)
    cut.fit(BATCHES, max_steps=3)
    cut.save(tmp_path / "cut")
    resumed.resume(tmp_path / "cut")
    assert [group.lr_scale for group in resumed.optimizer.groups] == [0.1, 0.3]
    resumed.fit(BATCHES, max_steps=5)
    assert resumed.optimizer.buffer.data.tobytes() == whole.optimizer.buffer.data.tobytes()
    for name, array in whole.optimizer.state_dict().items():
        assert resumed.optimizer.state_dict()[name].tobytes() == array.tobytes(), name


def test_a_state_of_other_groups_is_refused(kind, rng):
    saved = make(kind, parameters(rng)).state_dict()
    message = f"{kind}: the state was saved with 2 groups of parameters, this optimiser has"
    with pytest.raises(ValueError, match=f"{message} 1, or other parameters"):
        MAKERS[kind](parameters(rng)).load_state_dict(saved)
    ps = parameters(rng)
    moved = MAKERS[kind]([{"params": ps[:2], "lr_scale": 0.5}, {"params": ps[2:]}])
    with pytest.raises(ValueError, match=f"{message} 2, or other parameters are in them; make it"):
        moved.load_state_dict(saved)
    with pytest.raises(ValueError, match="the state was saved with 1 groups of parameters"):
        make(kind, ps).load_state_dict(MAKERS[kind](parameters(rng)).state_dict())
    whole = make(kind, parameters(rng))
    whole.load_state_dict(saved)
    with pytest.raises(ValueError, match="saved with another model"):
        whole.load_state_dict(saved | {"updates": np.zeros(3, np.int64)})


def test_a_decay_that_follows_the_optimiser_is_saved_as_such(rng):
    p, q = Parameter(np.ones((2, 3))), Parameter(np.ones((2, 3)))
    groups = [{"params": p}, {"params": q, "weight_decay": 0.25}]
    saved = optim.AdamW(groups, weight_decay=0.5).state_dict()
    loaded = optim.AdamW([{"params": p}, {"params": q}], weight_decay=0.125)
    loaded.load_state_dict(saved)
    assert [group.weight_decay for group in loaded.groups] == [None, 0.25]
    assert repr(loaded.groups[1]) == "Group(6 numbers, lr_scale=1, weight_decay=0.25)"
    assert repr(loaded.groups[0]) == "Group(6 numbers, lr_scale=1)"


P, Q = Parameter([[1.0]]), Parameter([[2.0]])
WRONG = [
    ({"params": P}, TypeError, r"AdamW: groups are a list of dictionaries; write \[{'params': "),
    ([{"params": P}, Q], TypeError, "expected a dictionary for each group, got a Parameter for gr"),
    ([{"param": P}], TypeError, "AdamW, group 0: a group has no 'param'; did you mean 'params'?"),
    ([{"params": P}, {"params": Q, "betas": (0, 0)}], TypeError, "group 1: a group has no 'betas'"),
    ([{"lr": 0.1}], TypeError, "AdamW, group 0: 'params' is missing"),
    ([{"params": None}], TypeError, "AdamW, group 0: expected a module or parameters, got None"),
    ([{"params": [P]}, {"params": P}], ValueError, r"of shape \(1, 1\), is listed twice"),
    ([{"params": P, "lr": -1}], ValueError, "AdamW, group 0: expected lr >= 0, got -1"),
    ([{"params": P, "lr": "1"}], TypeError, "group 0: expected lr to be a number, got the str"),
    ([{"params": P, "lr_scale": -1}], ValueError, "group 0: expected lr_scale >= 0, got -1"),
    ([{"params": P, "weight_decay": -1}], ValueError, "group 0: expected weight_decay >= 0"),
    ([{"params": P, "lr": 1, "lr_scale": 1}], ValueError, "lr and lr_scale say the same thing"),
]


@pytest.mark.parametrize(("groups", "error", "message"), WRONG)
def test_what_is_no_group_is_refused_with_the_fix(groups, error, message):
    with pytest.raises(error, match=message):
        optim.AdamW(groups)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="a multiple of the optimiser's, which is 0; give lr_sc"):
        optim.SGD([{"params": P, "lr": 0.1}], lr=0)
    with pytest.raises(TypeError, match="Adam, group 0: has no weight_decay; AdamW has"):
        optim.Adam([{"params": P, "weight_decay": 0.1}])
    optimizer = optim.AdamW([{"params": P}])
    with pytest.raises(ValueError, match="AdamW, group 0: expected lr_scale >= 0, got nan"):
        optimizer.groups[0].lr_scale = np.nan


def test_siblings_take_the_rate_second_and_the_decay_last():
    for name in MAKERS:
        kind = getattr(optim, name)
        positional = [
            p.name
            for p in inspect.signature(kind).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert positional[:2] == ["model_or_params", "lr"], name
        assert positional[-1] == "weight_decay" or name == "Adam", name


HABITS = {
    ("Adam", "weight_decay"): r"Adam has no weight_decay=: .* write AdamW\(",
    ("Adam", "amsgrad"): "v̂ is that of Adam, not its maximum",
    ("SGD", "nesterov"): "SGD has no nesterov=: .*Muon has Nesterov's",
    ("SGD", "dampening"): "leave it out",
    ("SGD", "maximize"): r"negate the loss: \(-loss\).backward\(\)",
    ("RMSprop", "momentum"): r"write SGD\(momentum=...\)",
    ("RMSprop", "centered"): "leave it out",
    ("RMSprop", "rho"): "write alpha=...",
    ("Adagrad", "lr_decay"): "write a schedule",
    ("Lion", "learning_rate"): "Lion has no learning_rate=: write lr=...",
    ("AdamW", "beta1"): r"write betas=\(beta1, beta2\)",
    ("AdamW", "fused"): "one buffer that is walked once, leave it out",
    ("Muon", "adjust_lr_fn"): 'write scale="original"',
    ("Adafactor", "foreach"): "leave it out",
    ("AdamW", "params"): "pass the model or its parameters first, without a name",
}


@pytest.mark.parametrize(("name", "argument"), HABITS)
def test_arguments_of_other_libraries_are_answered(name, argument):
    with pytest.raises(TypeError, match=HABITS[name, argument]):
        getattr(optim, name)([P], lr=0.1, **{argument: 0.5})


def test_arguments_of_ones_own_stay():
    assert optim.Muon([P], nesterov=False).nesterov is False
    assert str(inspect.signature(optim.Adam)).startswith("(model_or_params: ")


def test_attributes_of_other_libraries_are_answered():
    optimizer = optim.AdamW([P])
    with pytest.raises(AttributeError, match=r"AdamW has no param_groups: write optimizer.lr = "):
        optimizer.param_groups[0]["lr"] = 0.1
    with pytest.raises(AttributeError, match="'AdamW' object has no attribute 'xyzzy'"):
        optimizer.xyzzy  # noqa: B018
    assert not hasattr(optimizer, "defaults")
