"""The configuration: one validated value."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from foundation_nn import init
from foundation_transformer import (
    CausalLM,
    RotaryScaling,
    TextEncoder,
    Transformer,
    TransformerConfig,
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": 10, "num_heads": 3}, "num_heads=3 does not divide d_model=10"),
        ({"num_heads": 8, "num_kv_heads": 3}, "num_kv_heads=3 does not divide num_heads=8"),
        ({"vocab_size": 0}, "vocab_size: expected a positive integer, got 0"),
        ({"vocab_size": 2.5}, "vocab_size: expected a positive integer, got 2.5"),
        ({"vocab_size": True}, "vocab_size: expected a positive integer, got True"),
        ({"max_len": -1}, "max_len: expected a positive"),
        ({"num_layers": 0}, "num_layers: expected a positive"),
        ({"num_decoder_layers": 0}, "num_decoder_layers: expected a positive"),
        ({"target_vocab_size": 0}, "target_vocab_size: expected a positive"),
        ({"d_ff": "64"}, "d_ff: expected a positive integer, got '64'"),
        ({"dropout": 1.0}, "expected 0 <= dropout < 1, got 1.0"),
        ({"dropout": -0.1}, "expected 0 <= dropout < 1, got -0.1"),
        ({"dropout": float("nan")}, "expected 0 <= dropout < 1, got nan"),
        ({"activation": "swish"}, r"activation: expected one of \('relu', .*got 'swish'"),
        ({"norm": "batch"}, r"norm: expected one of \('layer', 'rms'\), got 'batch'"),
        ({"positions": "rotary!"}, "positions: expected one of .*, got 'rotary!'"),
        ({"rotary_pairs": "both"}, "rotary_pairs: expected one of .*, got 'both'"),
        ({"rotary_base": 0.0}, "expected rotary_base > 0, got 0.0"),
        ({"rotary_base": float("inf")}, "expected a finite rotary_base > 0, got inf"),
        ({"norm_eps": -1e-5}, "expected norm_eps > 0, got -1e-05"),
        ({"norm_eps": float("inf")}, "expected a finite norm_eps > 0, got inf"),
        ({"norm_eps": float("nan")}, "expected norm_eps > 0, got nan"),
        ({"num_token_types": -2}, "num_token_types: expected a positive integer, got -2"),
        (
            {"positions": "rotary", "d_model": 12, "num_heads": 4},
            "turn pairs of the numbers of a head: expected an even number up to 3, got 3",
        ),
        ({"positions": "rotary", "rotary_width": 66}, "even number up to 64, got 66"),
        ({"positions": "rotary", "rotary_width": 5}, "even number up to 64, got 5"),
        ({"head_width": 0}, "head_width: expected a positive integer, got 0"),
        ({"qk_norm": "heads"}, r"qk_norm: expected one of \('head', .* got 'heads'"),
        ({"attention_bias": "some"}, "attention_bias: expected one of .* got 'some'"),
        ({"attention_scale": 0}, "expected attention_scale > 0, got 0"),
        ({"attention_cap": -1}, "expected attention_cap > 0, got -1"),
        ({"logit_cap": 0}, "expected logit_cap > 0, got 0"),
        ({"window": 5}, "window: no layer is local and needs it"),
        ({"layer_pattern": ("local",)}, "window: expected a number, for layer_pattern has local"),
        ({"layer_pattern": ()}, "layer_pattern: expected a tuple of global, local, no_positions"),
        ({"layer_pattern": "local"}, "layer_pattern: expected a tuple of .*, got 'local'"),
        ({"layer_pattern": ("locl",)}, r"layer_pattern: expected a tuple of .*, got \('locl',\)"),
        ({"layer_pattern": ("no_positions",)}, "leaves rotary positions out, and here positions="),
        ({"local_rotary_base": 1e4, "positions": "rotary"}, "local_rotary_base: no layer is local"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**({"vocab_size": 11} | options))


@pytest.mark.parametrize(
    ("name", "near"),
    [("dmodel", "d_model"), ("num_head", "num_heads"), ("vocabsize", "vocab_size")],
)
def test_an_unknown_field_proposes_the_nearest(name, near):
    for make in (TransformerConfig.from_dict, lambda d: TransformerConfig.tiny(**d)):
        with pytest.raises(ValueError, match=f"unknown field '{name}'; did you mean '{near}'"):
            make({"vocab_size": 11, name: 7})


@pytest.mark.parametrize("value", [1, "yes"])
def test_scaled_embeddings_are_a_yes_or_no(value):
    with pytest.raises(TypeError, match="scale_embeddings: expected True or False, got"):
        TransformerConfig(vocab_size=11, scale_embeddings=value)


def test_a_scaling_is_one():
    with pytest.raises(TypeError, match="rotary_scaling: expected a RotaryScaling, got 'yarn'"):
        TransformerConfig(vocab_size=11, positions="rotary", rotary_scaling="yarn")


def test_the_pattern_of_layers_is_repeated():
    config = TransformerConfig(
        vocab_size=11, num_layers=5, layer_pattern=["local", "global"], window=3
    )
    assert config.layer_pattern == ("local", "global")
    assert config.layer_kinds == ("local", "global", "local", "global", "local")


def test_an_unknown_field_that_is_near_to_none():
    with pytest.raises(ValueError, match="unknown field 'xyzzy'; there are vocab_size, ta"):
        TransformerConfig.from_dict({"vocab_size": 11, "xyzzy": 7})


@pytest.mark.parametrize(
    ("positions", "name", "value"),
    [
        ("rotary", "rotary_base", 5e5),
        ("rotary", "rotary_pairs", "neighbours"),
        ("sinusoidal", "sinusoid_pairs", "halves"),
        ("buckets", "num_buckets", 16),
        ("buckets", "max_distance", 64),
    ],
)
def test_what_positions_of_one_kind_alone_read(positions, name, value):
    config = TransformerConfig(vocab_size=11, positions=positions, **{name: value})
    assert getattr(config, name) == value
    with pytest.raises(ValueError, match=f"{name}: positions='learned' has no use for it"):
        TransformerConfig(vocab_size=11, positions="learned", **{name: value})


_OF_OTHER_POSITIONS = ["first_position", "sinusoid_pairs", "num_buckets", "max_distance"]


def test_there_and_back_through_json():
    config = TransformerConfig(
        vocab_size=11,
        target_vocab_size=13,
        max_len=17,
        d_model=12,
        num_heads=6,
        num_kv_heads=2,
        num_layers=1,
        num_decoder_layers=3,
        d_ff=19,
        dropout=0.25,
        activation="silu",
        norm="rms",
        norm_first=True,
        norm_eps=1e-6,
        positions="rotary",
        rotary_base=1e5,
        rotary_pairs="neighbours",
        rotary_width=2,
        rotary_scaling=RotaryScaling(kind="yarn", factor=4, original_max_len=5),
        layer_pattern=("local", "no_positions", "global"),
        window=3,
        local_rotary_base=1e3,
        head_width=4,
        qk_norm="head",
        attention_scale=0.5,
        attention_cap=50.0,
        attention_bias="qkv",
        norm_bias=True,
        scale_embeddings=True,
        logit_cap=30.0,
        norm_last=True,
        bias=False,
        tie_embeddings=False,
        share_embeddings=False,
        logit_scale=0.5,
        output_bias=True,
        num_token_types=3,
        embedding_norm=True,
        first_norm=False,
        pooler=True,
        pooler_activation="relu",
    )
    defaults = TransformerConfig(vocab_size=11).to_dict()
    values = config.to_dict()
    unset = [name for name, value in values.items() if value == defaults[name]]
    assert unset == ["vocab_size", *_OF_OTHER_POSITIONS]
    assert TransformerConfig.from_dict(json.loads(json.dumps(values))) == config


def test_what_is_left_out():
    config = TransformerConfig(vocab_size=11, d_model=16, num_layers=3)
    found = config.decoder_vocab_size, config.decoder_layers, config.feed_forward_width
    assert found == (11, 3, 64)
    config = TransformerConfig(vocab_size=11, target_vocab_size=7, num_decoder_layers=2, d_ff=5)
    found = config.decoder_vocab_size, config.decoder_layers, config.feed_forward_width
    assert found == (7, 2, 5)


def test_presets():
    base = TransformerConfig.vaswani_base(vocab_size=37000)
    shape = base.d_model, base.num_heads, base.num_layers, base.d_ff, base.dropout
    assert shape == (512, 8, 6, 2048, 0.1)
    assert (base.norm_first, base.positions, base.activation) == (False, "sinusoidal", "relu")
    tiny = TransformerConfig.tiny(vocab_size=11, num_layers=3)
    shape = tiny.d_model, tiny.num_heads, tiny.num_layers, tiny.norm_first
    assert shape == (128, 4, 3, True)


@pytest.mark.parametrize(
    ("preset", "model", "millions"),
    [  # as published
        (TransformerConfig.gpt2, CausalLM, 124.4),
        (TransformerConfig.bert, TextEncoder, 109.5),
    ],
)
def test_presets_have_the_published_number_of_parameters(preset, model, millions, monkeypatch):
    for draw in ("normal", "uniform", "gpt2_residual"):  # as many draws would take seconds
        monkeypatch.setattr(init, draw, lambda rng, shape, *_: np.zeros(shape, np.float32))
    one, two = (model(preset(num_layers=n)).num_parameters() for n in (1, 2))
    assert round((one + 11 * (two - one)) / 1e6, 1) == millions
    assert preset().num_layers == 12


def test_widths_of_gated_networks_are_those_of_llama():
    for d_model, d_ff in [(4096, 11008), (576, 1536), (128, 512)]:
        config = TransformerConfig.llama(d_model=d_model, num_heads=1)
        assert config.feed_forward_width == d_ff
    assert TransformerConfig.llama(d_ff=7).feed_forward_width == 7


def test_presets_take_overrides_and_refuse_what_they_do_not_know():
    for preset in (TransformerConfig.gpt2, TransformerConfig.llama, TransformerConfig.bert):
        assert preset(vocab_size=65, num_layers=4).num_layers == 4
        with pytest.raises(ValueError, match="unknown field 'num_layer'; did you mean 'num_layers"):
            preset(num_layer=4)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (Transformer, {"pooler": True}),
        (Transformer, {"num_token_types": 2}),
        (CausalLM, {"target_vocab_size": 7}),
        (CausalLM, {"embedding_norm": True}),
        (TextEncoder, {"num_decoder_layers": 2}),
    ],
)
def test_a_model_refuses_fields_it_would_ignore(model, options):
    config = TransformerConfig(vocab_size=11, d_model=8, num_heads=2, **options)
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{model.__name__} has no use for {name}={value}, whi"):
        model(config)


def test_a_config_is_frozen():
    config = TransformerConfig(vocab_size=11)
    with pytest.raises(FrozenInstanceError):
        config.d_model = 7
