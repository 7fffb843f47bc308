"""Looking at the weights of the layers of a model."""

import math

import numpy as np
import pytest
from foundation_attn import AttentionMap, MultiHeadAttention, capture_attention
from foundation_nn import Module, Tensor, no_grad, train_mode


class Model(Module):
    def __init__(self, rng, **options):
        self.first = MultiHeadAttention(12, 6, rng=rng, **options)
        self.layers = [MultiHeadAttention(12, 6, 2, rng=rng, **options)]

    def forward(self, x, memory, key_mask=None, memory_key_mask=None):
        x = self.first(x, key_mask=key_mask, causal=True)
        return self.layers[0](x, memory, key_mask=memory_key_mask)


@pytest.fixture
def model(rng):
    model = Model(rng).astype(np.float64)
    for p in model.parameters():
        p.data = rng.normal(0, 0.5, p.shape)
    return model


@pytest.fixture
def inputs(rng):
    return Tensor(rng.standard_normal((3, 5, 12))), Tensor(rng.standard_normal((3, 7, 12)))


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3), (2, 3, 0)], ids=["B=0", "T=0", "S=0"])
def test_empty_maps_have_all_axes(model, shape):
    B, T, S = shape
    x, memory = Tensor(np.ones((B, T, 12))), Tensor(np.ones((B, S, 12)))
    with capture_attention() as maps:
        model(x, memory)
    assert [m.weights.shape for m in maps] == [(B, 6, T, T), (B, 6, T, S)]


def test_names_kinds_and_order(model, inputs):
    with capture_attention(model) as maps:
        model(*inputs)
    assert [(m.name, m.kind, m.weights.shape) for m in maps] == [
        ("first", "self", (3, 6, 5, 5)),
        ("layers.0", "cross", (3, 6, 5, 7)),
    ]


@pytest.mark.parametrize(
    ("path", "kind", "title"),
    [
        ("decoder.layers.1.multihead_attn", "cross", "decoder layer 2, attention to the source"),
        ("decoder.layers.1.self_attn", "self", "decoder layer 2, self-attention"),
        ("encoder.layers.0.self_attn", "self", "encoder layer 1, self-attention"),
        ("model.encoder.layers.9.self_attn", "self", "encoder layer 10, self-attention"),
        ("stack.layers.0.self_attn", "self", "layer 1"),
        ("layers.11", "self", "layer 12"),
        ("layers.0", "cross", "layer 1, attention to the source"),
        ("blocks.2.heads.0", "self", "block 3 head 1"),
        ("0", "self", "layer 1"),
        ("decoder", "cross", "decoder, attention to the source"),
        ("own_attention", "self", "own attention"),
    ],
)
def test_titles_of_layers_count_from_one(path, kind, title):
    assert AttentionMap(path, kind, np.ones((1, 1, 1, 1))).title == title


def test_names_without_a_model(model, inputs):
    with capture_attention() as maps:
        model(*inputs)
        model(*inputs)
    assert [m.title for m in maps] == [
        "self attention 1",
        "cross attention 2",
        "self attention 3",
        "cross attention 4",
    ]
    assert [m.kind for m in maps] == ["self", "cross"] * 2


@pytest.mark.parametrize("masked", [False, True])
def test_weights_are_those_of_the_formula(model, inputs, masked):
    x, memory = inputs
    mask = np.arange(5) < np.array([[5], [2], [3]]) if masked else None
    memory_mask = np.arange(7) < np.array([[4], [7], [0]]) if masked else None
    with capture_attention(model) as maps:
        model(x, memory, mask, memory_mask)
    first, second = (m.weights for m in maps)

    layer = model.first
    q, k = np.split(x.data @ layer.in_proj_weight.data.T + layer.in_proj_bias.data, 3, -1)[:2]
    for h in range(6):
        part = slice(2 * h, 2 * h + 2)
        e = np.exp(q[..., part] @ k[..., part].swapaxes(1, 2) / math.sqrt(2)) * np.tri(5)
        if masked:
            e = e * mask[:, None]
        real = np.ones((3, 5), bool) if mask is None else mask  # the queries that are no padding
        expected = e / e.sum(-1, keepdims=True)
        np.testing.assert_allclose(first[:, h], expected * real[..., None], 1e-12, 1e-14)

    layer, h2 = model.layers[0], model.first(x, key_mask=mask, causal=True).data
    W, b = layer.in_proj_weight.data, layer.in_proj_bias.data
    q, k = h2 @ W[:12].T + b[:12], memory.data @ W[12:16].T + b[12:16]
    for h in range(6):
        shared = slice(2 * (h // 3), 2 * (h // 3) + 2)
        e = np.exp(q[..., 2 * h : 2 * h + 2] @ k[..., shared].swapaxes(1, 2) / math.sqrt(2))
        if masked:
            e = e * memory_mask[:, None]
        expected = e / np.maximum(e.sum(-1, keepdims=True), 1e-300)
        np.testing.assert_allclose(second[:, h], expected, 1e-12, 1e-14)


def test_rows_sum_to_one_or_are_zero(model, inputs):
    memory_mask = np.arange(7) < np.array([[4], [7], [0]])
    with capture_attention(model) as maps:
        model(*inputs, memory_key_mask=memory_mask)
    first, second = (m.weights for m in maps)
    np.testing.assert_allclose(first.sum(-1), 1, rtol=1e-12)
    assert not first[..., ~np.tri(5, dtype=bool)].any()  # exactly
    np.testing.assert_allclose(second[:2].sum(-1), 1, rtol=1e-12)
    assert not second[2].any()
    assert not second[0, :, :, 4:].any()


def test_nothing_is_recorded_outside(model, inputs):
    model(*inputs)
    with capture_attention(model) as maps:
        assert maps == []
    model(*inputs)
    assert maps == []


def test_the_inner_context_records_and_the_outer_goes_on(model, inputs):
    with capture_attention(model) as outer:
        with capture_attention(model) as inner:
            model(*inputs)
        assert (len(outer), len(inner)) == (0, 2)
        model(*inputs)
    assert (len(outer), len(inner)) == (2, 2)


def test_an_error_ends_the_recording(model, inputs):
    with pytest.raises(ZeroDivisionError), capture_attention(model) as maps:
        raise ZeroDivisionError
    model(*inputs)
    assert maps == []


def test_capturing_changes_no_output_and_no_gradient(rng, model, inputs, same_bits):
    def run():
        for p in model.parameters():
            p.grad = None
        y = model(*inputs)
        y.backward(np.ones(y.shape))
        return [y.data, *(p.grad for p in model.parameters())]

    plain = run()
    with capture_attention(model):
        captured = run()
    for a, e in zip(captured, plain, strict=True):
        same_bits(a, e)


def test_weights_are_those_before_dropout(rng, inputs):
    model = Model(rng, dropout=0.5).astype(np.float64)
    with capture_attention(model) as quiet:
        model(*inputs)
    with capture_attention(model) as noisy, no_grad(), train_mode(rng):
        model(*inputs)
    np.testing.assert_array_equal(noisy[0].weights, quiet[0].weights)


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_padding_is_invisible(model, inputs, poison, same_bits):
    x, memory = inputs
    memory_mask = np.arange(7) < np.array([[4], [7], [2]])
    bad = memory.numpy()
    bad[~memory_mask] = poison
    found = []
    for m in (memory, Tensor(bad)):
        with capture_attention(model) as maps:
            model(x, m, memory_key_mask=memory_mask)
        found.append(maps[1].weights)
    same_bits(found[1], found[0])
