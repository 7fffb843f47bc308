"""What is frozen has no gradient, and nothing that trains or averages touches it."""

import copy
import pickle  # noqa: TID251  (users do, between processes of their own)

import numpy as np
import pytest
from foundation_nn import (
    MLP,
    Embedding,
    LayerNorm,
    Linear,
    Parameter,
    RMSNorm,
    Sequential,
    Tensor,
    checkpoint,
    no_grad,
    optim,
    summary,
    trace,
)
from foundation_nn import functional as F
from foundation_nn.checkpoint import CheckpointError
from foundation_nn.functional import _linear, _normalization
from foundation_nn.training import Callback, Trainer

MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.3),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1, weight_decay=0.3),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, weight_decay=0.3),
    "Lion": lambda p: optim.Lion(p, lr=0.1, weight_decay=0.3),
    "Muon": lambda p: optim.Muon(p, lr=0.1, weight_decay=0.3),
    "Adafactor": lambda p: optim.Adafactor(p, lr=0.1, weight_decay=0.3),
}
SHAPES = [(5,), (7, 5), (3, 2), (2, 3, 5), (2,), (11, 7)]
WITHOUT_GRADIENT = [2, 4]  # a matrix and a vector, between others
BATCHES = np.random.default_rng(1).standard_normal((6, 4, 2)).astype(np.float32)


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def parameters(rng):
    return [Parameter(rng.standard_normal(shape), dtype=np.float32) for shape in SHAPES]


def give(ps, gradients):
    for p, g in zip(ps, gradients, strict=True):
        p.grad = None if g is None else g.copy()


def gradients_for(rng, steps):
    return [[rng.standard_normal(s).astype(np.float32) for s in SHAPES] for _ in range(steps)]


def square(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), len(batch)


def test_the_product_of_a_frozen_weight_is_not_computed(monkeypatch):
    products = []
    product = _linear.product

    def counted(a, b):
        products.append((a.shape, b.shape))
        return product(a, b)

    monkeypatch.setattr(_linear, "product", counted)
    model = Sequential(Linear(3, 5), Linear(5, 7), Linear(7, 2))
    x = Tensor(np.ones((11, 3), np.float32))
    # The shapes of both factors, for each layer. Of the first there is no dx, as x wants none.
    dx = [None, ((11, 7), (7, 5)), ((11, 2), (2, 7))]
    dw = [((5, 11), (11, 3)), ((7, 11), (11, 5)), ((2, 11), (11, 7))]
    expected = {
        (): [dx[2], dw[2], dx[1], dw[1], dw[0]],
        (1,): [dx[2], dw[2], dx[1], dw[0]],
        (0, 1): [dw[2]],
        (1, 2): [dx[2], dx[1], dw[0]],
    }
    for frozen, shapes in expected.items():
        model.unfreeze()
        for index in frozen:
            model[index].freeze()
        y = model(x).sum()
        products.clear()
        y.backward()
        assert sorted(products) == sorted(shapes), frozen
        for index in range(3):
            for p in model[index].parameters():
                assert (p.grad is None) == (index in frozen)
                p.grad = None


def test_a_trace_counts_no_flops_for_what_is_frozen():
    model = Sequential(Linear(3, 5), Linear(5, 7))
    x = np.ones((11, 3), np.float32)

    def flops():
        records = [record for record in trace(model, x) if record.phase == "backward"]
        return [record.flops for record in records if record.operation == "linear"]

    assert flops() == [2 * 2 * 11 * 5 * 7, 2 * 11 * 3 * 5]
    model[1].freeze()
    assert flops() == [2 * 11 * 5 * 7, 2 * 11 * 3 * 5]
    model[1].unfreeze()
    model[0].freeze()
    assert flops() == [2 * 11 * 5 * 7]


@pytest.mark.parametrize("rows", [3, 5000])  # in one block, and in several
@pytest.mark.parametrize("make_norm", [LayerNorm, RMSNorm])
def test_nothing_is_added_up_for_a_frozen_norm(make_norm, rows, monkeypatch, rng):
    norm = make_norm(31)
    x = Tensor(rng.standard_normal((rows, 31)), requires_grad=True, dtype=np.float32)
    weights = rng.standard_normal((rows, 31)).astype(np.float32)
    (norm(x) * weights).sum().backward()
    expected = x.grad.copy()
    x.grad = None
    norm.freeze()
    monkeypatch.setattr("foundation_nn.functional._rows.column_sum", None)  # sums of dw and db
    (norm(x) * weights).sum().backward()
    assert x.grad.tobytes() == expected.tobytes()
    assert all(p.grad is None for p in norm.parameters())


def test_only_what_is_wanted_is_computed_of_a_norm(monkeypatch, rng):
    def refuse(*_):
        raise AssertionError("dx was computed")

    norm = LayerNorm(31)
    x = rng.standard_normal((7, 31)).astype(np.float32)
    y = norm(Tensor(x)).sum()
    monkeypatch.setattr(_normalization, "row_dot", refuse)
    y.backward()  # x is a constant
    np.testing.assert_array_equal(norm.bias.grad, np.full(31, 7))


def test_gradients_flow_through_frozen_layers_to_the_same_bits(rng):
    model = Sequential(Embedding(7, 5), Linear(5, 11), LayerNorm(11), Linear(11, 3)).unfreeze()
    ids = rng.integers(0, 7, (2, 13))

    def gradients():
        F.cross_entropy(model(ids), ids % 3).backward()
        found = {name: p.grad for name, p in model.named_parameters()}
        for p in model.parameters():
            p.grad = None
        return found

    whole = gradients()
    model[1].freeze()
    model[2].freeze()
    part = gradients()
    assert [name for name, g in part.items() if g is None] == [
        *("1.weight", "1.bias", "2.weight", "2.bias"),
    ]
    for name, g in part.items():
        assert g is None or g.tobytes() == whole[name].tobytes()


def test_a_model_that_is_frozen_as_a_whole_says_so():
    model = MLP([2, 3, 1]).freeze()
    assert not model(Tensor(BATCHES[0])).requires_grad
    with pytest.raises(RuntimeError, match=r"requires_grad=True \(is every layer frozen\?\)"):
        model(Tensor(BATCHES[0])).sum().backward()


def test_what_is_frozen_after_the_forward_pass_gets_no_gradient():
    model = MLP([2, 3, 1])
    loss = model(Tensor(BATCHES[0])).sum()
    model[0].freeze()
    loss.backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]


def test_freezing_forgets_the_gradient_and_its_part_in_the_norm():
    p, q = Parameter([3.0]), Parameter([4.0])
    optimizer = optim.SGD([p, q], lr=1.0)
    (p * 3 + q * 4).sum().backward()
    q.requires_grad = False
    assert q.grad is None
    assert optim.clip_grad_norm(optimizer, 1e9) == 3
    assert optim.clip_grad_norm([p, q], 1e9) == 3
    q.grad = np.float32([np.nan])  # of somebody's own making
    assert optim.clip_grad_norm(optimizer, 1e9) == 3
    assert optim.clip_grad_norm([p, q], 1.0) == 3
    assert (p.grad[0], np.isnan(q.grad[0])) == (1, True)
    optimizer.step()
    assert (p.item(), q.item()) == (2, 4)


@pytest.mark.parametrize("awkward", [-0.0, np.inf, np.nan, 1e-45])
def test_optimisers_leave_it_alone_bit_for_bit(make, awkward, rng):
    """The others move as if it were not there: those of an optimiser that never saw it."""
    ps = parameters(rng)
    others = [i for i in range(len(ps)) if i not in WITHOUT_GRADIENT]
    twins = [Parameter(ps[i].data) for i in others]
    optimizer, twin = make(ps), make(twins)
    first, *later = gradients_for(rng, 4)
    give(ps, first)
    give(twins, [first[i] for i in others])
    optimizer.step()  # there is momentum now
    twin.step()
    for i in WITHOUT_GRADIENT:
        ps[i].data = np.full(ps[i].shape, awkward)
        ps[i].requires_grad = False
    before = {name: array.copy() for name, array in optimizer.state.items()}
    values = [ps[i].data.tobytes() for i in WITHOUT_GRADIENT]
    for gradients in later:
        give(ps, gradients)  # also to the frozen ones, where they are to be ignored
        give(twins, [gradients[i] for i in others])
        optimizer.step()
        twin.step()
    assert [ps[i].data.tobytes() for i in WITHOUT_GRADIENT] == values
    for i, q in zip(others, twins, strict=True):
        assert ps[i].data.tobytes() == q.data.tobytes()
    if not isinstance(optimizer, optim.Adafactor | optim.Muon):  # their state has another layout
        index = [id(p) for p in optimizer.buffer.parameters].index(id(ps[2]))
        part = optimizer.buffer.slices[index]
        for name, array in optimizer.state.items():
            assert array[part].tobytes() == before[name][part].tobytes()


def test_what_is_unfrozen_later_begins_like_any_other(make, rng):
    """Bias corrections count its own steps, not those of the run."""
    ps = parameters(rng)
    late = [ps[i] for i in WITHOUT_GRADIENT]
    twins = [Parameter(p.data) for p in late]
    optimizer, twin = make(ps), make(twins)
    for p in late:
        p.requires_grad = False
    for number, gradients in enumerate(gradients_for(rng, 7)):
        if number == 3:
            for p in late:
                p.requires_grad = True
        give(ps, gradients)
        optimizer.step()
        if number >= 3:
            give(twins, [gradients[i] for i in WITHOUT_GRADIENT])
            twin.step()
    assert optimizer.steps == 7
    for p, q in zip(late, twins, strict=True):
        assert p.data.tobytes() == q.data.tobytes()


def test_an_optimiser_of_frozen_parameters_alone_does_nothing(make, rng):
    ps = parameters(rng)
    for p in ps:
        p.requires_grad = False
    optimizer = make(ps)
    before = optimizer.buffer.data.tobytes()
    give(ps, gradients_for(rng, 1)[0])
    assert optim.clip_grad_norm(optimizer, 1.0) == 0
    optimizer.step()
    assert optimizer.buffer.data.tobytes() == before
    assert not any(array.any() for array in optimizer.state.values())


def test_what_was_frozen_before_the_optimiser_was_made_is_in_its_buffer(make, rng):
    model = MLP([2, 3, 1])
    model[0].freeze()
    optimizer = make(model)
    assert len(optimizer.buffer.parameters) == 4
    assert all(p._buffer is optimizer.buffer for p in model.parameters())


@pytest.mark.parametrize("value", [-0.0, -np.inf, 3.0])
def test_the_average_of_a_frozen_parameter_is_its_value(value):
    p, q = Parameter([value, 1.0]), Parameter([4.0])
    optimizer = optim.SGD([p, q], lr=1.0)
    p.requires_grad = False
    ema = optim.EMA(optimizer, decay=0.5)
    for number in (8.0, 16.0):
        q.data = [number]
        ema.update()
    p.data = [value, 2.0]  # whoever sets it means it
    with ema.applied():
        assert p.data.tobytes() == np.float32([value, 2.0]).tobytes()
        assert q.item() == 12
    assert ema.state_dict()["average"][:2].tobytes() == np.float32([value, 2.0]).tobytes()


def test_only_a_leaf_is_told_and_only_true_or_false():
    x = Tensor([1.0])
    x.requires_grad = True
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0]
    x.requires_grad = np.bool_(False)
    assert (x.grad, x.requires_grad) == (None, False)
    for wrong in (1, None, "False", np.array([True])):
        with pytest.raises(TypeError, match="requires_grad is True or False, got "):
            Parameter([1.0]).requires_grad = wrong
    x.requires_grad = True
    with pytest.raises(ValueError, match=r"only a leaf .*; x.detach\(\) is the same value"):
        (x * 2).requires_grad = False
    with pytest.raises(TypeError, match="only floating tensors can have gradients, got dtype int"):
        Tensor([1]).requires_grad = True


def test_a_part_of_a_model_is_frozen_and_counted():
    model = MLP([2, 8, 1])
    assert model[0].freeze() is model[0]
    assert model.num_parameters() == 33
    assert model.num_parameters(trainable=True) == 9
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    table = summary(model).splitlines()
    assert table[0].split() == ["layer", "kind", "parameters", "frozen"]
    assert [line.split()[-2:] for line in table[1:4]] == [["24", "24"], ["9", "0"], ["33", "24"]]
    assert table[4] == "trainable: 9 of 33 parameters"
    with_costs = summary(model, BATCHES[0]).splitlines()
    assert with_costs[0].split() == [
        *("layer", "kind", "parameters", "frozen", "output", "FLOPs", "bytes")
    ]
    assert model.unfreeze() is model
    assert "frozen" not in summary(model)


def test_state_dicts_do_not_know_of_it():
    model, frozen = MLP([2, 3, 1]), MLP([2, 3, 1]).freeze()
    frozen.load_state_dict(model.state_dict())
    for name, value in frozen.state_dict().items():
        np.testing.assert_array_equal(value, model.state_dict()[name])
    assert not any(p.requires_grad for p in frozen.parameters())
    assert not any(p.requires_grad for p in frozen.astype(np.float64).parameters())


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_frozen_where_the_originals_are(twin_of):
    model = MLP([2, 3, 1])
    model[2].freeze()
    optimizer = optim.AdamW(model)
    twin, of_twin = twin_of((model, optimizer))
    assert [p.requires_grad for p in twin.parameters()] == [True, True, False, False]
    twin.unfreeze()
    assert not model[2].weight.requires_grad
    assert [len(group.parameters) for group in of_twin.groups] == [4]
    assert of_twin.groups[0].parameters[0] is twin[0].weight


def test_a_checkpoint_says_what_is_frozen(tmp_path):
    model = MLP([2, 3, 1])
    model[0].freeze()
    checkpoint.save(tmp_path / "one", model)
    loaded = checkpoint.load(tmp_path / "one").model
    assert [p.requires_grad for p in loaded.parameters()] == [False, False, True, True]
    for p, q in zip(loaded.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    checkpoint.save(tmp_path / "one", model.unfreeze())
    assert all(p.requires_grad for p in checkpoint.load(tmp_path / "one").model.parameters())


@pytest.mark.parametrize("names", [["0.weights"], [["0.weight"]], "0.weight", {"0.weight": 1}, 3])
def test_a_checkpoint_that_freezes_what_is_not_there_is_refused(names, tmp_path, monkeypatch):
    monkeypatch.setattr(MLP, "named_parameters", lambda self: iter([]), raising=False)
    checkpoint.save(tmp_path / "one", MLP([2, 1]))
    monkeypatch.undo()
    description = checkpoint._checkpoint.read_folder
    monkeypatch.setattr(
        checkpoint._checkpoint,
        "read_folder",
        lambda *args: (found := description(*args))[:1] + (found[1] | {"frozen": names}, found[2]),
    )
    with pytest.raises(CheckpointError, match="'frozen' is no list of names of the model's"):
        checkpoint.load(tmp_path / "one")


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_run_that_freezes_and_unfreezes_is_resumed_to_the_same_bits(kind, stop, tmp_path):
    """Cut before, between and after: frozen from step 3 on, learnt again from step 5 on."""

    class Thaw(Callback):
        def on_step(self, trainer, step):
            if step.step == 3:
                trainer.model[0].freeze()
            if step.step == 5:
                trainer.model[0].unfreeze()

    def trainer():
        model = MLP([2, 3, 1], rng=np.random.default_rng(0))
        optimizer = MAKERS[kind](model)
        return Trainer(
            model,
            square,
            optimizer,
            clip_norm=0.3,
            ema=optim.EMA(optimizer, decay=0.5),
            callbacks=[Thaw()],
            rng=np.random.default_rng(2),
        )

    whole, cut, resumed = trainer(), trainer(), trainer()
    whole.fit(BATCHES, max_steps=9)
    cut.fit(BATCHES, max_steps=stop)
    cut.save(tmp_path / "cut")
    resumed.resume(tmp_path / "cut")
    assert resumed.model[0].weight.requires_grad == (stop != 4)
    resumed.fit(BATCHES, max_steps=9)
    assert resumed.optimizer.buffer.data.tobytes() == whole.optimizer.buffer.data.tobytes()
    assert resumed.ema._average.tobytes() == whole.ema._average.tobytes()
    for name, array in whole.optimizer.state_dict().items():
        assert resumed.optimizer.state_dict()[name].tobytes() == array.tobytes(), name


def test_while_nothing_is_frozen_the_walk_is_that_of_two_stretches(rng):
    """The buffer is not visited parameter by parameter."""
    calls = []

    class Watching(optim.SGD):
        def update_in_blocks(self, part, grad, settings):
            calls.append((part.start, part.stop, settings.weight_decay))
            super().update_in_blocks(part, grad, settings)

    ps = [Parameter(np.ones((16, 2))) for _ in range(5)] + [Parameter(np.ones(16))] * 1
    optimizer = Watching(ps, lr=0.1, weight_decay=0.5)
    optimizer.step()
    assert calls == [(0, 160, 0.5), (160, 176, 0.0)]
    calls.clear()
    ps[1].requires_grad = False
    optimizer.step()
    assert calls == [(0, 32, 0.5), (64, 160, 0.5), (160, 176, 0.0)]


def test_inference_with_frozen_weights_is_inference(rng):
    model = MLP([2, 3, 1]).freeze()
    with no_grad():
        expected = model(Tensor(BATCHES[0])).data
    np.testing.assert_array_equal(model(Tensor(BATCHES[0])).data, expected)
