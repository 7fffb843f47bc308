"""Every module that a package exports is saved by ``checkpoint.save`` and loaded as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import foundation_attn as fa
import foundation_nn as fn
import foundation_seq as fs
import foundation_transformer as ft
import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 8)).astype(np.float32)
IDS = RNG.integers(0, 7, (2, 3))
SMALL = {"d_model": 8, "num_heads": 2, "num_layers": 2, "d_ff": 12, "vocab_size": 7, "max_len": 9}
ROTARY = ft.Rotary(4, 9, base=500.0, pairs="neighbours")
SLOPES = ft.ALiBi(2).slopes

#: A module with options that are not the default, and what it is called with.
MODULES: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "BatchNorm1d": (lambda: fn.BatchNorm1d(3, eps=0.1, momentum=0.2), (X,)),
    "Dropout": (lambda: fn.Dropout(0.25), (X,)),
    "Embedding": (lambda: fn.Embedding(7, 5, std=0.1), (IDS,)),
    "GELU": (lambda: fn.GELU("tanh"), (X,)),
    "Identity": (fn.Identity, (X,)),
    "LayerNorm": (lambda: fn.LayerNorm(8, eps=0.1, bias=False), (X,)),
    "Linear": (lambda: fn.Linear(8, 3, bias=False), (X,)),
    "MLP": (lambda: fn.MLP([8, 5, 2], fn.Tanh), (X,)),
    "ModuleDict": (lambda: fn.ModuleDict({"a": fn.Linear(2, 3)}), ()),
    "ModuleList": (lambda: fn.ModuleList([fn.Linear(2, 3), fn.ReLU()]), ()),
    "RMSNorm": (lambda: fn.RMSNorm(8, eps=0.1), (X,)),
    "ReLU": (fn.ReLU, (X,)),
    "Sequential": (lambda: fn.Sequential(fn.Linear(8, 5), fn.functional.silu), (X,)),
    "SiLU": (fn.SiLU, (X,)),
    "Sigmoid": (fn.Sigmoid, (X,)),
    "Tanh": (fn.Tanh, (X,)),
    "GRU": (lambda: fs.GRU(8, 5, num_layers=2, dropout=0.25), (X,)),
    "GRUCell": (lambda: fs.GRUCell(8, 5), (X[:, 0],)),
    "LSTM": (lambda: fs.LSTM(8, 5, bidirectional=True), (X,)),
    "LSTMCell": (lambda: fs.LSTMCell(8, 5), (X[:, 0],)),
    "RNN": (lambda: fs.RNN(8, 5, nonlinearity="relu"), (X,)),
    "RNNCell": (lambda: fs.RNNCell(8, 5), (X[:, 0],)),
    "MaskedLM": (lambda: ft.MaskedLM(ft.TextEncoder(ft.TransformerConfig(**SMALL))), (IDS,)),
    "RecurrentLM": (lambda: fs.RecurrentLM(7, 5, 6, 2, 0.25), (IDS,)),
    "Seq2Seq": (lambda: fs.Seq2Seq(7, 7, 5, 6), (IDS, IDS)),
    "SequenceClassifier": (lambda: fs.SequenceClassifier(7, 3, 5, 6, bidirectional=True), (IDS,)),
    "AttentionDecoder": (lambda: fa.AttentionDecoder(7, 5, 6, 8, "additive", 0.25), ()),
    "AttentionSeq2Seq": (lambda: fa.AttentionSeq2Seq(7, 7, 5, 6, score="dot"), (IDS, IDS)),
    "MultiHeadAttention": (
        lambda: fa.MultiHeadAttention(8, 2, 1, 0.25, False, rotary=ROTARY, window=2, cap=5.0),
        (fn.Tensor(X),),
    ),
    "SelfAttention": (lambda: fa.SelfAttention(8), (fn.Tensor(X),)),
    "CausalLM": (lambda: ft.CausalLM(ft.TransformerConfig(**SMALL)), (IDS,)),
    "FeedForward": (lambda: ft.FeedForward(8, 12, "swiglu", 0.25, False), (fn.Tensor(X),)),
    "LearnedPositions": (lambda: ft.LearnedPositions(8, 9), (fn.Tensor(X),)),
    "RelativeBuckets": (lambda: ft.RelativeBuckets(2, 8, 16, both_sides=False), (3,)),
    "Rotary": (lambda: ROTARY, (fn.Tensor(X[:, None, :, :4]), np.arange(3))),
    "SinusoidalPositions": (lambda: ft.SinusoidalPositions(8, 9), (fn.Tensor(X),)),
    "SwiGLU": (lambda: ft.SwiGLU(8, 12, 0.25, bias=True), (fn.Tensor(X),)),
    "TextClassifier": (
        lambda: ft.TextClassifier(
            ft.CausalLM(ft.TransformerConfig(**SMALL)), ("no", "yes"), "sigmoid", "mean"
        ),
        (IDS,),
    ),
    "TextEncoder": (lambda: ft.TextEncoder(ft.TransformerConfig(**SMALL)), (IDS,)),
    "Transformer": (lambda: ft.Transformer(ft.TransformerConfig(**SMALL)), (IDS, IDS)),
    "TransformerDecoder": (
        lambda: ft.TransformerDecoder(2, 8, 2, 12, final_norm=False, rotary=ROTARY, norm="rms"),
        (fn.Tensor(X), fn.Tensor(X)),
    ),
    "TransformerDecoderLayer": (
        lambda: ft.TransformerDecoderLayer(8, 2, 12, 0.25, "gelu", norm_first=True, norm_eps=0.1),
        (fn.Tensor(X), fn.Tensor(X)),
    ),
    "TransformerEncoder": (
        lambda: ft.TransformerEncoder(2, 8, 2, 12, slopes=SLOPES, bias=False),
        (fn.Tensor(X),),
    ),
    "TransformerEncoderLayer": (
        lambda: ft.TransformerEncoderLayer(8, 2, 12, num_kv_heads=1, slopes=SLOPES),
        (fn.Tensor(X),),
    ),
}


def test_every_exported_module_is_here():
    exported = {
        name
        for package in (fn, fs, fa, ft)
        for name in package.__all__
        if isinstance(getattr(package, name), type)
        and issubclass(getattr(package, name), fn.Module)
    }
    assert exported - {"Module"} == set(MODULES)


def arrays(output):
    """All arrays of what a module returns."""
    if isinstance(output, tuple):
        return [array for part in output for array in arrays(part)]
    return [output.data]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_saved_and_loaded_as_it_is(name, tmp_path):
    make, inputs = MODULES[name]
    model = make()
    fn.checkpoint.check(model)
    loaded = fn.checkpoint.load(fn.checkpoint.save(tmp_path / "run", model)).model
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    state = model.state_dict()
    assert list(loaded.state_dict()) == list(state)
    for key, value in loaded.state_dict().items():
        assert value.tobytes() == state[key].tobytes()
    if inputs:
        with fn.train_mode(np.random.default_rng(1)):  # the rates of dropout, too
            expected = arrays(model(*inputs))
        with fn.train_mode(np.random.default_rng(1)):
            given = arrays(loaded(*inputs))
        for array, other in zip(expected, given, strict=True):
            np.testing.assert_array_equal(array, other)
