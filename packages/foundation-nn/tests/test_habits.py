"""What hands that know PyTorch reach for is answered with what to write."""

import copy
import inspect
import json
import re

import foundation_nn
import numpy as np
import pytest
from foundation_nn import (
    BatchNorm1d,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    Parameter,
    ReLU,
    Tensor,
    explains_keywords,
    init,
    optim,
    schedules,
)
from foundation_nn import functional as F
from foundation_nn.engine import _habit_tables
from foundation_nn.engine._habit_tables import (
    KEYWORDS,
    OF_A_MODULE,
    OF_A_TENSOR,
    OF_A_TRAINER,
    OF_AN_OPTIMIZER,
    OF_FUNCTIONS,
    OF_INIT,
    OF_OPTIM,
    OF_THE_PACKAGE,
    TRAINING_KEYWORDS,
)
from foundation_nn.training import Checkpoints, EarlyStopping, Trainer, batches, evaluate

X = Tensor([[1.0, 2.0]])


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("view", r"write x\.reshape"),
        ("permute", r"write x\.transpose"),
        ("unsqueeze", r"functional\.expand_dims\(x, axis\)"),
        ("masked_fill", r"functional\.where\(mask, value, x\)"),
        ("clone", r"write x \* 1"),
        ("dim", r"write x\.ndim"),
        ("to", r"write x\.astype\(dtype\)"),
        ("cuda", "on the CPU"),
        ("cpu", "leave it out"),
        ("numel", r"write x\.size"),
        ("requires_grad_", r"write x\.requires_grad = True"),
        ("softmax", r"write foundation_nn\.functional\.softmax\(x, \.\.\.\)"),
        ("log_softmax", r"write foundation_nn\.functional\.log_softmax\(x, \.\.\.\)"),
        ("gather", r"write foundation_nn\.functional\.take_along_axis"),
        ("add_", "nothing is changed in place.* write x = x"),
        ("clamp_", "nothing is changed in place"),
        ("zero_", "nothing is changed in place"),
        ("softmax_", "nothing is changed in place"),
    ],
)
def test_habits_of_tensors(name, instead):
    with pytest.raises(AttributeError, match=rf"^Tensor has no {name}: .*{instead}"):
        getattr(Tensor([1.0]), name)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("train", r"with foundation_nn\.train_mode\(rng\): \.\.\."),
        ("eval", r"within foundation_nn\.train_mode\(rng\)"),
        ("to", r"write model\.astype\(dtype\)"),
        ("cuda", "on the CPU"),
        ("cpu", "leave it out"),
        ("zero_grad", r"write optimizer\.zero_grad\(\)"),
        ("modules", r"write model\.named_modules\(\)"),
        ("apply", r"for name, module in model\.named_modules\(\)"),
        ("register_buffer", r"self\.name = foundation_nn\.Buffer\(array\)"),
        ("requires_grad_", r"write model\.freeze\(\) or model\.unfreeze\(\)"),
    ],
)
def test_habits_of_modules(name, instead):
    with pytest.raises(AttributeError, match=rf"^Linear has no {name}: .*{instead}"):
        getattr(Linear(2, 3), name)


def test_other_names_are_missing_as_always():
    for owner in (Tensor([1.0]), Linear(2, 3)):
        assert not hasattr(owner, "no_such_thing")
        with pytest.raises(AttributeError, match="object has no attribute 'no_such_thing'"):
            owner.no_such_thing  # noqa: B018


def test_answers_do_not_make_every_attribute_slow():
    """With a ``__getattr__``, Python looks up all attributes of a class in a slower way."""
    for kind in (Tensor, Parameter, Linear, optim.AdamW, Trainer):
        assert not hasattr(kind, "__getattr__")


def test_what_answers_may_be_taken_by_a_module_for_itself():
    class Own(Linear):
        eval = 5

    layer = Own(2, 3)
    layer.train = 7
    assert (layer.eval, layer.train) == (5, 7)
    assert not hasattr(Linear(2, 3), "train")
    assert not hasattr(Linear, "train")


def test_a_copy_finds_what_it_looks_for():
    layer = Linear(2, 3)
    assert copy.deepcopy(layer).weight.data.tolist() == layer.weight.data.tolist()


@pytest.mark.parametrize(
    ("name", "instead"),
    [("cat", "concat"), ("logsigmoid", "log_sigmoid"), ("huber", "huber_loss"), ("l1", "l1_loss")],
)
def test_habits_of_functions(name, instead):
    with pytest.raises(
        AttributeError, match=rf"^foundation_nn\.functional has no {name}: .*{instead}"
    ):
        getattr(F, name)


def test_the_size_is_a_number_that_says_so_when_it_is_called():
    assert (X.size, X.size + 1, json.dumps(X.size), repr(X.size)) == (2, 3, "2", "2")
    with pytest.raises(TypeError, match=r"no size\(\): .*write x\.shape, or x\.shape\[0\]"):
        X.size(0)


def test_a_tensor_is_not_changed_in_place():
    with pytest.raises(TypeError, match=r"functional\.where\(mask, value, x\)"):
        X[0] = 1.0


class Mine(Module):
    def __init__(self, width, scale=1.0):
        self.layer = Linear(width, width)
        self.scale = scale

    def forward(self, x, key_mask=None):
        return self.layer(x) * self.scale


class Later(Mine):
    """Without a constructor of its own."""


KEYWORD_CALLS = {
    "softmax.dim": lambda: F.softmax(X, dim=1),
    "sum.dim": lambda: X.sum(dim=1),
    "sum.keepdim": lambda: F.sum(X, 1, keepdim=True),
    "var.unbiased": lambda: X.var(unbiased=True),
    "concat.dim": lambda: F.concat([X, X], dim=1),
    "norm.p": lambda: X.norm(p=1),
    "pad.pad": lambda: F.pad(X, pad=(1, 1)),
    "pad.value": lambda: F.pad(X, 1, value=7.0),
    "relu.inplace": lambda: F.relu(X, inplace=True),
    "ReLU.inplace": lambda: ReLU(inplace=True),
    "dropout.training": lambda: F.dropout(X, 0.5, training=True),
    "softmax.input": lambda: F.softmax(input=X),
    "Linear.input": lambda: Linear(2, 3)(input=X),
    "Linear.device": lambda: Linear(2, 3, device="cuda"),
    "Linear.dtype": lambda: Linear(2, 3, dtype=np.float64),
    "Embedding.padding_idx": lambda: Embedding(2, 3, padding_idx=0),
    "LayerNorm.elementwise_affine": lambda: LayerNorm(2, elementwise_affine=False),
    "BatchNorm1d.track_running_stats": lambda: BatchNorm1d(2, track_running_stats=False),
    "Dropout.inplace": lambda: Dropout(0.5, inplace=True),
    "Mine.device": lambda: Mine(2, device="cpu"),
    "Mine.key_padding_mask": lambda: Mine(2)(X, key_padding_mask=None),
    "Tensor.device": lambda: Tensor([1.0], device="cpu"),
    "backward.retain_graph": lambda: X.backward(retain_graph=True),
    "argsort.descending": lambda: X.argsort(descending=True),
    "topk.largest": lambda: X.topk(1, largest=False),
    "cross_entropy.size_average": lambda: F.cross_entropy(X, [0], size_average=True),
}


@pytest.mark.parametrize("call", KEYWORD_CALLS)
def test_keywords_are_answered(call):
    name, keyword = call.split(".")
    sentence = KEYWORDS.get(call) or KEYWORDS[keyword]
    with pytest.raises(TypeError, match=f"^{name} has no {keyword}=: {re.escape(sentence)}$"):
        KEYWORD_CALLS[call]()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Linear(in_feature=2), "Linear has no in_feature=; did you mean 'in_features'"),
        (lambda: Mine(width=2, scales=2), "Mine has no scales=; did you mean 'scale'"),
        (lambda: F.cross_entropy(X, target=[0]), "cross_entropy has no target=; did you mean 't"),
        (lambda: F.gelu(X, xyzzy=1), "gelu has no xyzzy=; there are x, approximate"),
        (lambda: Trainer(1, 2, 3, xyzzy=3), "Trainer has no xyzzy=; there are model, loss,"),
        (lambda: optim.AdamW(X, lrr=0.1), "AdamW has no lrr=; did you mean 'lr'"),
        (
            lambda: Checkpoints("x", maximise=True),
            "Checkpoints has no maximise=; did you mean 'maximize'",
        ),
        (lambda: Later(2, device="cpu"), "Later has no device=: everything is computed on the CPU"),
    ],
)
def test_of_other_keywords_the_nearest_is_named(call, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        call()


def test_the_path_of_the_layer_stands_before_it():
    class Outer(Module):
        def __init__(self):
            self.layers = [Mine(2)]

        def forward(self, x):
            return self.layers[0](x, attn_mask=None)

    with pytest.raises(TypeError, match=r"^layers\[0\]: Mine has no attn_mask=: write mask="):
        Outer()(X)


TRAINING_CALLS = {
    "Trainer.epochs": lambda: Trainer(1, 2, 3, epochs=3),
    "Trainer.scheduler": lambda: Trainer(1, 2, 3, scheduler=3),
    "fit.epochs": lambda: trainer().fit([X], epochs=3),
    "fit.batch_size": lambda: trainer().fit([X], batch_size=3),
    "batches.shuffle": lambda: batches(X, batch_size=1, shuffle=True),
    "batches.seed": lambda: batches(X, batch_size=1, seed=1),
    "cosine.T_max": lambda: schedules.cosine(0.1, T_max=10),
    "step.step_size": lambda: schedules.step(0.1, step_size=10),
    "EarlyStopping.monitor": lambda: EarlyStopping(3, monitor="val_loss"),
    "Checkpoints.save_best_only": lambda: Checkpoints("x", save_best_only=True),
}


def trainer():
    model = Linear(2, 1)

    def loss(model, x):
        return model(x).sum(), 1

    return Trainer(model, loss, optim.SGD(model, lr=0.1))


@pytest.mark.parametrize("call", TRAINING_CALLS)
def test_keywords_of_training_are_answered(call):
    name, keyword = call.split(".")
    sentence = TRAINING_KEYWORDS.get(call) or TRAINING_KEYWORDS[keyword]
    with pytest.raises(TypeError, match=f"^{name} has no {keyword}=: {re.escape(sentence)}$"):
        TRAINING_CALLS[call]()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trainer().fit(X, X), r"^fit takes batches without a name, and was given 1 more: .*"
            r"fit\(batches\(X, y, batch_size=32\), max_epochs=10\)"),
        (lambda: trainer().optimizer.zero_grad(True), r"write optimizer\.zero_grad\(\)$"),
        (lambda: trainer().optimizer.step(lambda: 1), r"call its backward\(\) before, then write"),
        (lambda: F.softmax(X, 1, 2), "^softmax takes x and axis without a name, and was given 1 "),
        (lambda: Mine(2)(X, None, X, X), "^Mine takes x and key_mask without a name, and was"),
        (lambda: Linear(2, 3, True, 0), "Linear takes .* was given 1 more: pass .* by name: rng=$"),
    ],
)  # fmt: skip
def test_too_many_arguments_are_told_which_have_names(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (foundation_nn, "tensor", r"foundation_nn\.Tensor\(data\)"),
        (foundation_nn, "save", r"foundation_nn\.checkpoint\.save\(path, model\)"),
        (foundation_nn, "CrossEntropyLoss", r"functional\.cross_entropy"),
        (foundation_nn, "Liner", "did you mean 'Linear'"),
        (optim, "clip_grad_norm_", r"write clip_grad_norm\(optimizer, max_norm\)"),
        (optim, "lr_scheduler", r"schedules\.cosine\(lr, steps\)"),
        (
            init,
            "xavier_uniform_",
            r"weight\.data = init\.xavier_uniform\(rng, layer\.weight",
        ),
        (init, "kaiming_normal", "write he_normal"),
    ],
)
def test_names_of_other_libraries_are_answered(module, name, message):
    with pytest.raises(AttributeError, match=f"^(module '|){module.__name__}'? has no .*{message}"):
        getattr(module, name)


@pytest.mark.parametrize("name", OF_A_TRAINER)
def test_habits_of_trainers(name):
    sentence = re.escape(OF_A_TRAINER[name])
    with pytest.raises(AttributeError, match=f"^Trainer has no {name}: {sentence}$"):
        getattr(trainer(), name)


def test_a_setting_of_a_parameter_is_taken():
    frozen = Parameter([1.0], requires_grad=False)
    assert not frozen.requires_grad
    assert (X * frozen).requires_grad is False


def test_a_reduction_is_not_taken_for_a_class():
    with pytest.raises(TypeError, match="ignore_index to be a class.*write reduction='sum'"):
        F.cross_entropy(X, [0], "sum")


def test_a_model_is_no_tensor():
    with pytest.raises(TypeError, match="a Tensor holds numbers, got a Linear$"):
        F.relu(Linear(2, 3))


def test_columns_are_no_batches_in_an_evaluation_either():
    with pytest.raises(ValueError, match=r"^evaluate: expected batches .* or \[\(X, y\)\]"):
        evaluate(Linear(2, 3), None, (np.zeros((5, 2)), np.zeros(5, int)))


def test_a_plus_changes_nothing():
    x = Tensor([1.0, -2.0], requires_grad=True)
    (+x * 3).sum().backward()
    assert (+x).tolist() == [1.0, -2.0]
    assert x.grad.tolist() == [3.0, 3.0]


def test_an_error_from_elsewhere_stays_as_it_is():
    def other(x):
        return x

    class Outer(Module):
        def forward(self, x, scale=1):
            return other(x, dim=scale)

    @explains_keywords
    def anything(x, **options):
        return other(x, **options)

    with pytest.raises(TypeError, match=r"other\(\) got an unexpected keyword argument 'dim'"):
        Outer()(X, scale=2)
    with pytest.raises(TypeError, match=r"other\(\) got an unexpected keyword argument 'dim'"):
        anything(X, dim=1)


def test_what_answers_keywords_keeps_its_signature():
    assert list(inspect.signature(Linear).parameters) == [
        "in_features",
        "out_features",
        "bias",
        "rng",
    ]
    assert list(inspect.signature(Mine).parameters) == ["width", "scale"]
    assert str(inspect.signature(F.concat)).endswith("axis: 'int' = 0) -> 'Tensor'")
    assert "axis" in inspect.signature(Tensor.sum).parameters


def test_no_name_is_both_ours_and_a_habit():
    assert not [name for name in OF_A_TENSOR if hasattr(Tensor, name)]
    assert not set(OF_FUNCTIONS) & set(F.__all__)
    assert not [name for name in OF_A_MODULE if hasattr(Module, name)]
    assert not [name for name in OF_A_TRAINER if hasattr(Trainer, name)]
    assert not [name for name in OF_AN_OPTIMIZER if hasattr(optim.Optimizer, name)]
    ours = {foundation_nn: OF_FUNCTIONS | OF_THE_PACKAGE, optim: OF_OPTIM, init: OF_INIT}
    for module, habits in ours.items():
        assert not set(habits) & set(module.__all__)


def test_what_the_tables_say_to_write_exists():
    source = inspect.getsource(_habit_tables)
    for name in re.findall(r"foundation_nn\.functional\.(\w+)\(", source):
        if name != "{name}":
            assert name in F.__all__
