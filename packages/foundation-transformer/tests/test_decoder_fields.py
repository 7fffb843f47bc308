"""What decoders since Llama have changed: each field, alone and together with the others."""

import json
import math

import numpy as np
import pytest
from foundation_nn import Module, Tensor, checkpoint, gradcheck, no_grad
from foundation_seq import generate
from foundation_transformer import (
    CausalLM,
    Rotary,
    RotaryScaling,
    Transformer,
    TransformerConfig,
    TransformerEncoder,
    _step,
)
from foundation_transformer._causal_lm import TextState
from foundation_transformer._feed_forward import geglu
from foundation_transformer._soft_cap import soft_cap
from foundation_transformer.cli._plan import model_table

SIZES = {
    "vocab_size": 31,
    "max_len": 40,
    "d_model": 12,
    "num_heads": 6,
    "num_kv_heads": 2,
    "num_layers": 3,
    "d_ff": 7,
}
LOCAL = {"layer_pattern": ("local", "global"), "window": 4}
#: Each of them changes the logits.
FIELDS = {
    "head_width": {"head_width": 6},
    "norms of heads": {"qk_norm": "head"},
    "norms over the width": {"qk_norm": "width"},
    "biases": {"attention_bias": "all"},
    "biases but one": {"attention_bias": "qkv"},
    "windows": LOCAL,
    "a second base": LOCAL | {"local_rotary_base": 50.0},
    "layers without positions": {"layer_pattern": ("global", "no_positions")},
    "a scale": {"attention_scale": 0.9},
    "a cap of scores": {"attention_cap": 0.3},
    "a cap of logits": {"logit_cap": 0.5},
    "scaled embeddings": {"scale_embeddings": True},
    "gelu": {"activation": "geglu"},
    "gelu by tanh": {"activation": "geglu_tanh"},
    "linear": {"rotary_scaling": RotaryScaling(kind="linear", factor=3)},
    "llama3": {
        "head_width": 8,
        "rotary_scaling": RotaryScaling(kind="llama3", factor=3, original_max_len=20),
    },
    "yarn": {
        "head_width": 8,
        "rotary_scaling": RotaryScaling(kind="yarn", factor=3, original_max_len=90),
    },
    "part of a head": {"head_width": 6, "rotary_width": 4},
    "part of a head, neighbours": {
        "head_width": 6,
        "rotary_width": 4,
        "rotary_pairs": "neighbours",
    },
    "norms of branches": {"norm_first": False, "norm_last": True},
    "norms on both sides": {"norm_last": True},
}
everything = {
    "head_width": 8,
    "rotary_width": 4,
    "qk_norm": "head",
    "attention_bias": "qkv",
    "layer_pattern": ("local", "global", "no_positions"),
    "window": 3,
    "local_rotary_base": 50.0,
    "rotary_scaling": RotaryScaling(kind="linear", factor=3),
    "attention_scale": 0.9,
    "attention_cap": 2.0,
    "logit_cap": 3.0,
    "scale_embeddings": True,
    "activation": "geglu_tanh",
    "norm_last": True,
}
every_field = pytest.mark.parametrize("name", [*FIELDS, "everything"])


def make(options, dtype=np.float64):
    model = CausalLM(
        TransformerConfig.llama(**(SIZES | options)), rng=np.random.default_rng(0)
    ).astype(dtype)
    rng = np.random.default_rng(1)
    for p in model.parameters():  # biases and norms, too
        p.data = p.data + rng.normal(0, 0.3, p.shape).astype(dtype)
    return model


def model_of(name, dtype=np.float64):
    return make(everything if name == "everything" else FIELDS[name], dtype)


class Fixed(Module):
    """A model of these ids: a function of its parameters alone."""

    def __init__(self, model, *ids):
        self.model = model
        self.ids = ids

    def forward(self):
        return self.model(*self.ids)


IDS = np.random.default_rng(2).integers(0, 31, (2, 11))


@every_field
def test_each_field_changes_the_logits(name):
    with no_grad():
        plain = make({})(IDS).data
        changed = model_of(name)(IDS).data
    assert np.isfinite(changed).all()
    assert np.abs(changed - plain).max() > 1e-3


@every_field
def test_gradients(name):
    assert gradcheck(Fixed(model_of(name), IDS[:, :7]), max_elements=3)


@every_field
@pytest.mark.parametrize("fast", [True, False])
def test_cached_equals_uncached(name, fast, monkeypatch):
    model = model_of(name)
    ids = np.concatenate([IDS, IDS[:, ::-1], IDS], axis=1)  # far beyond a window
    if not fast:
        monkeypatch.setattr("foundation_transformer._stacks.can_step", lambda *_: False)
    else:
        steps = []
        monkeypatch.setattr(
            _step, "_attend", lambda *args, f=_step._attend: steps.append(1) or f(*args)
        )
    with no_grad():
        expected = model(ids).data
    # One row begins later, so that there is padding on the left.
    logits, state = model.start(ids[:, :5], np.array([5, 3]), capacity=33)
    for t in range(5, ids.shape[1]):
        np.testing.assert_allclose(logits[0], expected[0, t - 1], rtol=1e-9, atol=1e-10)
        logits, state = model.step(state, ids[:, t])
    assert bool(fast) == (fast and len(steps) == 3 * 28)
    alone = np.concatenate([ids[1, :3], ids[1, 5:]])
    with no_grad():
        last = model(alone[None]).data[0, -1]
    np.testing.assert_allclose(logits[1], last, rtol=1e-9, atol=1e-10)


@every_field
def test_a_checkpoint_gives_the_same_model(name, tmp_path):
    model = model_of(name, np.float32)
    again = checkpoint.load(checkpoint.save(tmp_path / "model", model)).model
    assert again.config == model.config
    with no_grad():
        np.testing.assert_array_equal(again(IDS).data, model(IDS).data)


@every_field
def test_padding_is_invisible(name):
    model = model_of(name)
    real = np.arange(11) < np.array([[11], [6]])
    poisoned = np.where(real, IDS, 30)
    with no_grad():
        one, other = model(IDS, real).data, model(poisoned, real).data
    np.testing.assert_array_equal(one[real], other[real])


def test_a_window_by_hand():
    """What is out of reach of all windows changes nothing; what is within, does."""
    model = make({"layer_pattern": ("local",), "window": 3, "num_layers": 2})
    changed = IDS.copy()
    changed[:, 4] += 1  # two layers reach 2 · (3 - 1) = 4 positions back
    changed %= 31
    with no_grad():
        difference = np.abs(model(IDS).data - model(changed).data).max(axis=(0, 2))
    assert (difference > 1e-6).tolist() == [False] * 4 + [True] * 5 + [False] * 2


def test_where_norms_stand_by_hand():
    x = np.random.default_rng(3).standard_normal((2, 5, 12))
    for first in (False, True):
        for last in (False, True):
            options = {"norm_first": first, "norm_last": last, "num_layers": 1}
            layer = make(options).stack.layers[0]
            y = Tensor(x)
            branches = (
                (layer.norm1, layer.norm1_last, lambda h, a=layer.self_attn: a(h, causal=True)),
                (layer.norm2, layer.norm2_last, layer._feed_forward),
            )
            for norm, norm_last, branch in branches:
                if first and last:
                    y = y + norm_last(branch(norm(y)))
                elif first:
                    y = y + branch(norm(y))
                elif last:
                    y = y + norm(branch(y))
                else:
                    y = norm(y + branch(y))
            np.testing.assert_allclose(layer(Tensor(x), causal=True).data, y.data, rtol=1e-12)


@pytest.mark.parametrize("name", ["norms on both sides", "norms of branches", "norms of heads"])
def test_a_translator_has_them_too(name):
    config = TransformerConfig.from_dict(
        SIZES | {"positions": "rotary", "norm_first": True, "num_layers": 1} | FIELDS[name]
    )
    model = Transformer(config, rng=np.random.default_rng(0)).astype(np.float64)
    target = IDS[:, :5]
    with no_grad():
        memory = model.encode(IDS)
        expected = model.decode(target, memory).data
        caches = model.decoder.new_caches(IDS.shape[1])
        rows = []
        for t in range(5):
            x = model.embed(model.target_embedding, target[:, t : t + 1], t)
            rows.append(model.logits(model.decoder(x, memory, caches=caches)).data[:, 0])
    np.testing.assert_allclose(np.stack(rows, 1), expected, rtol=1e-10)
    assert gradcheck(Fixed(model, IDS[:, :4], target[:, :3]), max_elements=2)


def test_options_of_a_stack_may_differ_from_layer_to_layer():
    rotary = Rotary(2, 20)
    stack = TransformerEncoder(
        2, 12, 6, 7, window=[3, None], rotary=[None, rotary], rng=np.random.default_rng(0)
    )
    assert [layer.self_attn.window for layer in stack.layers] == [3, None]
    assert [layer.self_attn.rotary for layer in stack.layers] == [None, rotary]
    again = TransformerEncoder.from_dict(stack.to_dict())
    assert [layer.self_attn.window for layer in again.layers] == [3, None]


def test_positions_are_refused_where_no_layer_reads_them():
    model = make({"positions": "none"})
    state = TextState(model.stack.new_caches(), np.zeros(2, int))
    model.next_logits(state, IDS)
    with pytest.raises(ValueError, match="positions: this layer was made without rotary"):
        model.stack(Tensor(np.zeros((2, 1, 12))), caches=state.caches, positions=np.array([11]))


def test_generation_goes_on_beyond_the_window():
    model = model_of("windows", np.float32)
    written = generate(model, IDS[:1].tolist(), max_new_tokens=20)[0]
    ids = IDS[0].tolist()
    for token in written:
        with no_grad():
            assert model(np.array([ids])).data[0, -1].argmax() == token
        ids.append(token)


# --- the parts


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_geglu(rng, approximate):
    x = rng.standard_normal((3, 5, 10))
    a, b = x[..., :5], x[..., 5:]
    if approximate == "tanh":
        gate = a / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3)))
    else:
        gate = a / 2 * (1 + np.vectorize(math.erf)(a / math.sqrt(2)))
    np.testing.assert_allclose(geglu(Tensor(x), approximate).data, gate * b, rtol=1e-12)
    gradcheck(lambda x: geglu(x, approximate), x)


def test_soft_cap(rng):
    x = rng.standard_normal((4, 7)) * 10
    np.testing.assert_allclose(soft_cap(Tensor(x), 3.0).data, 3 * np.tanh(x / 3), rtol=1e-14)
    gradcheck(lambda x: soft_cap(x, 3.0), x)
    assert soft_cap(Tensor(x.astype(np.float32)), 3.0).dtype == np.float32


def test_a_part_of_a_head_is_turned(rng):
    x = rng.standard_normal((2, 3, 5, 6))
    positions = np.arange(5)
    turned = Rotary(6, 10, width=4)(Tensor(x), positions).data
    np.testing.assert_array_equal(turned[..., 4:], x[..., 4:])
    np.testing.assert_allclose(turned[..., :4], Rotary(4, 10)(Tensor(x[..., :4]), positions).data)
    for pairs in ("halves", "neighbours"):
        gradcheck(lambda x, p=pairs: Rotary(6, 10, pairs=p, width=4)(x, positions), x)


def test_scalings_by_hand():
    base, width, L = 10000.0, 8, 100
    usual = np.array([1, 0.1, 0.01, 0.001])
    linear = RotaryScaling(kind="linear", factor=4)
    np.testing.assert_allclose(linear.frequencies(base, width), usual / 4)
    # 15.9, 1.59, 0.16 and 0.016 turns: kept, between, slowed, slowed.
    llama = RotaryScaling(kind="llama3", factor=4, original_max_len=L)
    kept = (L * 0.1 / (2 * math.pi) - 1) / 3
    expected = [1, 0.1 * (kept + (1 - kept) / 4), 0.0025, 0.00025]
    np.testing.assert_allclose(llama.frequencies(base, width), expected)
    # Pairs 0 and 1.2 turn 15.9 and 1 times; rounded outwards, half of pair 1 is kept.
    yarn = RotaryScaling(kind="yarn", factor=4, original_max_len=L, fast=15.9)
    np.testing.assert_allclose(
        yarn.frequencies(base, width), [1, 0.1 * (0.5 + 0.5 / 4), 0.0025, 0.00025]
    )
    assert yarn.attention_factor == pytest.approx(0.1 * math.log(4) + 1)
    cos, sin = Rotary(8, 10, scaling=yarn).angles(np.array([1]), np.float64)
    np.testing.assert_allclose(np.hypot(cos, sin), yarn.attention_factor)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "ntk", "factor": 2}, "kind: expected one of .*'linear', 'llama3', 'yarn'.*'ntk'"),
        ({"kind": "linear", "factor": 0}, "RotaryScaling: expected factor > 0, got 0"),
        ({"kind": "linear", "factor": 2, "slow": 1}, "slow: kind='linear' has no use for it"),
        ({"kind": "yarn", "factor": 2}, "original_max_len: expected a number for kind='yarn'"),
        (
            {"kind": "llama3", "factor": 2, "original_max_len": 9, "attention_factor": 1.2},
            "attention_factor: kind='llama3' has no use for it",
        ),
        (
            {"kind": "llama3", "factor": 2, "original_max_len": 9, "slow": 5},
            "fast: expected more than slow=5.0, got 4.0",
        ),
    ],
)
def test_scalings_that_are_none(values, message):
    with pytest.raises(ValueError, match=message):
        RotaryScaling(**values)


def test_scalings_in_json():
    scaling = RotaryScaling(kind="yarn", factor=4, original_max_len=100)
    assert RotaryScaling.from_dict(scaling.to_dict()) == scaling
    with pytest.raises(ValueError, match="unknown field 'factr'; did you mean 'factor'"):
        RotaryScaling.from_dict({"kind": "linear", "factr": 2})
    with pytest.raises(ValueError, match="'factor' is missing"):
        RotaryScaling.from_dict({"kind": "linear"})


def test_the_table_of_a_model_says_it_in_words():
    table = model_table(TransformerConfig.llama(**(SIZES | everything)), "CausalLM")
    assert table["rotary_scaling"] == "linear, factor 3"
    assert table["layer_pattern"] == "local, global, no_positions"
    assert (table["head_width"], table["num_kv_heads"], table["window"]) == (8, 2, 3)
    assert json.loads(json.dumps(table)) == table
    # What other positions read, and what other models have, is not told.
    assert not {"num_buckets", "sinusoid_pairs", "target_vocab_size", "pooler"} & table.keys()
