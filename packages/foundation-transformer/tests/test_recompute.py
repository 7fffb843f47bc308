"""Stacks that recompute their layers give the same bits in less memory."""

import gc
import tracemalloc

import numpy as np
import pytest
from foundation_nn import functional as F
from foundation_nn import train_mode
from foundation_transformer import (
    CausalLM,
    TextEncoder,
    Transformer,
    TransformerConfig,
    recompute_layers,
)

SIZES = {"d_model": 12, "num_heads": 3, "num_layers": 3, "dropout": 0.2}


def gpt(rng):
    model = CausalLM(TransformerConfig.gpt2(vocab_size=13, max_len=7, **SIZES), rng=rng)
    ids = rng.integers(13, size=(2, 7))
    return model, lambda: F.cross_entropy(model(ids[:, :-1]), ids[:, 1:])


def llama(rng):
    model = CausalLM(TransformerConfig.llama(vocab_size=13, max_len=7, **SIZES), rng=rng)
    ids = rng.integers(13, size=(2, 7))
    key_mask = np.arange(7) < np.array([[7], [5]])
    return model, lambda: F.cross_entropy(model(ids, key_mask), np.where(key_mask, ids, -1), -1)


def bert(rng):
    model = TextEncoder(TransformerConfig.bert(vocab_size=13, max_len=7, **SIZES), rng=rng)
    ids = rng.integers(13, size=(2, 7))
    return model, lambda: F.mse_loss(model.pool(model(ids)), np.ones((2, 12), np.float32))


def translator(rng):
    model = Transformer(TransformerConfig(vocab_size=13, max_len=7, **SIZES), rng=rng)
    source, target = rng.integers(13, size=(2, 5)), rng.integers(13, size=(2, 7))
    mask = np.arange(5) < np.array([[5], [3]])
    return model, lambda: F.cross_entropy(model(source, target[:, :-1], mask), target[:, 1:])


@pytest.mark.parametrize("layers", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("make", [gpt, llama, bert, translator])
@pytest.mark.parametrize("frozen", [False, True])
def test_losses_and_gradients_are_the_same_bits(make, layers, frozen):
    seen = []
    for recomputes in (False, True):
        model, loss = make(np.random.default_rng(1))
        if frozen:  # as beneath a head or an adapter: the first layer, and one matrix of the last
            is_translator = isinstance(model, Transformer)
            (model.source_embedding if is_translator else model.embedding).freeze()
            stack = model.encoder if is_translator else model.stack
            stack.layers[0].freeze()
            stack.layers[2].linear1.freeze()
        with train_mode(np.random.default_rng(2)):
            if not recomputes:
                value = loss()
            elif layers is None:
                with recompute_layers():
                    value = loss()
            else:
                with recompute_layers(layers):
                    value = loss()
        value.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        seen.append([value.data, *gradients])
    assert len(seen[0]) == len(seen[1]) > 10
    assert all(np.array_equal(one, other) for one, other in zip(*seen, strict=True))


def test_less_memory():
    config = TransformerConfig.gpt2(
        vocab_size=13, d_model=32, num_heads=4, num_layers=8, max_len=64
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(13, size=(8, 64))
    peaks = {}
    for layers in (8, 1):  # the first keeps everything, and runs it twice
        gc.collect()
        tracemalloc.start()
        with recompute_layers(layers):
            model(ids).sum().backward()
        peaks[layers] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[1] < 0.35 * peaks[8]


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="recompute_layers: expected layers >= 1, got 0"):
        recompute_layers(0).__enter__()
