"""The configuration: one validated value."""

import json
from dataclasses import FrozenInstanceError

import pytest
from foundation_transformer import Transformer, TransformerConfig


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


def test_an_unknown_field_that_is_near_to_none():
    with pytest.raises(ValueError, match="unknown field 'xyzzy'; known: vocab_size, target_vocab"):
        TransformerConfig.from_dict({"vocab_size": 11, "xyzzy": 7})


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
        positions="learned",
        bias=False,
        tie_embeddings=False,
    )
    defaults = TransformerConfig(vocab_size=11).to_dict()
    values = config.to_dict()
    assert [n for n, v in values.items() if v == defaults[n]] == ["vocab_size"]  # all were set
    assert TransformerConfig.from_dict(json.loads(json.dumps(values))) == config
    model = Transformer(config)
    assert model.to_dict() == values
    assert Transformer.from_dict(values).config == config


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


def test_a_config_is_frozen():
    config = TransformerConfig(vocab_size=11)
    with pytest.raises(FrozenInstanceError):
        config.d_model = 7
