"""Encoder and decoder layers and stacks of them."""

import numpy as np
import pytest
from foundation_attn import KVCache
from foundation_nn import Module, Tensor, causal_mask, gradcheck, no_grad, train_mode
from foundation_nn import functional as F
from foundation_transformer import (
    ALiBi,
    DecoderCache,
    RelativeBuckets,
    Rotary,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from foundation_transformer._feed_forward import swiglu

D, H, FF, B, T, S = 6, 3, 7, 3, 5, 4
SOURCE = np.arange(S) < np.array([[4], [1], [3]])
TARGET = np.arange(T) < np.array([[2], [5], [4]])

KINDS = [
    {},
    {"norm_first": True, "activation": "gelu"},
    {"norm_first": True, "activation": "silu", "norm": "rms", "bias": False, "num_kv_heads": 1},
    {"activation": "gelu", "bias": False},
    {"norm_first": True, "activation": "swiglu", "rotary": Rotary(D // H, 9)},
    {"norm": "rms", "relative": RelativeBuckets(H, 5, 6)},
    {"activation": "gelu_tanh", "slopes": ALiBi(H).slopes, "norm_eps": 1e-3},
]
ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, "tanh"),
    "silu": F.silu,
    "swiglu": swiglu,
}
every_kind = pytest.mark.parametrize("options", KINDS)


def randomised(module, rng):
    module.astype(np.float64)
    for p in module.parameters():  # biases and norms, too, are not zeros and ones
        p.data = rng.normal(0.3 if p.ndim == 1 else 0, 0.5, p.shape)
    return module


def encoder(rng, **options):
    return randomised(TransformerEncoder(2, D, H, FF, **options), rng)


def decoder(rng, **options):
    return randomised(TransformerDecoder(2, D, H, FF, **options), rng)


class Fixed(Module):
    """A module with some of its arguments fixed."""

    def __init__(self, module, **options):
        self.module = module
        self.options = options

    def forward(self, *inputs):
        return self.module(*inputs, **self.options)


# --- the formula


@every_kind
def test_an_encoder_layer_is_its_sublayers(rng, options):
    layer = randomised(TransformerEncoderLayer(D, H, FF, **options), rng)
    x = Tensor(rng.standard_normal((B, T, D)))
    y = layer(x)

    activate = ACTIVATIONS[options.get("activation", "relu")]

    def feed_forward(x):
        return layer.linear2(activate(layer.linear1(x)))

    if options.get("norm_first"):
        h = x + layer.self_attn(layer.norm1(x))
        expected = h + feed_forward(layer.norm2(h))
    else:
        h = layer.norm1(x + layer.self_attn(x))
        expected = layer.norm2(h + feed_forward(h))
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-13)


@every_kind
def test_a_decoder_layer_is_its_sublayers(rng, options):
    layer = randomised(TransformerDecoderLayer(D, H, FF, **options), rng)
    x, m = Tensor(rng.standard_normal((B, T, D))), Tensor(rng.standard_normal((B, S, D)))
    y = layer(x, m, memory_key_mask=SOURCE)

    activate = ACTIVATIONS[options.get("activation", "relu")]
    sublayers = (
        lambda x: layer.self_attn(x, mask=causal_mask(T)[None]),
        lambda x: layer.multihead_attn(x, m, key_mask=SOURCE),
        lambda x: layer.linear2(activate(layer.linear1(x))),
    )
    for norm, sublayer in zip((layer.norm1, layer.norm2, layer.norm3), sublayers, strict=True):
        x = x + sublayer(norm(x)) if options.get("norm_first") else norm(x + sublayer(x))
    np.testing.assert_allclose(y.data, x.data, rtol=1e-12)


@pytest.mark.parametrize("final_norm", [True, False])
def test_a_stack_is_its_layers_and_a_last_norm(rng, final_norm):
    x, m = Tensor(rng.standard_normal((B, T, D))), Tensor(rng.standard_normal((B, S, D)))
    enc, dec = encoder(rng, final_norm=final_norm), decoder(rng, final_norm=final_norm)
    h = enc.layers[1](enc.layers[0](x, TARGET), TARGET)
    expected = enc.norm(h) if final_norm else h
    np.testing.assert_array_equal(enc(x, TARGET).data, expected.data)
    h = dec.layers[1](dec.layers[0](x, m, TARGET, SOURCE), m, TARGET, SOURCE)
    expected = dec.norm(h) if final_norm else h
    np.testing.assert_array_equal(dec(x, m, TARGET, SOURCE).data, expected.data)
    assert ("norm.weight" in enc.state_dict()) == final_norm


def test_layers_of_a_stack_start_differently(rng):
    for stack in (TransformerEncoder(2, D, H, FF, rng=rng), TransformerDecoder(2, D, H, FF)):
        first, second = (layer.linear1.weight.data for layer in stack.layers)
        assert (first != second).all()


# --- finite differences


@every_kind
def test_gradcheck_of_an_encoder_layer(rng, options):
    layer = randomised(TransformerEncoderLayer(D, H, FF, **options), rng)
    assert gradcheck(Fixed(layer, key_mask=TARGET), rng.standard_normal((B, T, D)), max_elements=16)


@every_kind
def test_gradcheck_of_a_decoder_layer(rng, options):
    layer = randomised(TransformerDecoderLayer(D, H, FF, **options), rng)
    x, m = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    assert gradcheck(Fixed(layer, key_mask=TARGET, memory_key_mask=SOURCE), x, m, max_elements=16)


def test_gradcheck_with_dropout(rng):
    layer = randomised(TransformerDecoderLayer(D, H, FF, dropout=0.3, norm_first=True), rng)
    x, m = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    with train_mode(rng):
        assert gradcheck(layer, x, m, max_elements=12)


@pytest.mark.parametrize("length", [1, 0])
def test_gradcheck_of_thin_inputs(rng, length):
    x, m = rng.standard_normal((2, length, D)), rng.standard_normal((2, S, D))
    assert gradcheck(encoder(rng), x, max_elements=4)
    assert gradcheck(decoder(rng), x, m, max_elements=4)


# --- padding and causality


def run(module, arrays, options, weights):
    for p in module.parameters():
        p.grad = None
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = module(*tensors, **options)
    y.backward(weights)
    return y.data, [t.grad for t in tensors], [p.grad.copy() for p in module.parameters()]


def told(real, how):
    """Padding as the masks of a layer: by its own name, or by patterns that leave it out."""
    if how == "key_mask":
        return {"key_mask": real}
    apart = real[:, None] & real[:, :, None]  # it neither attends nor is attended to
    return {"mask": apart & causal_mask(real.shape[1]) if how == "causal" else apart}


HOW = ["key_mask", "pattern", "causal"]


@every_kind
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", HOW)
def test_padding_is_invisible(rng, same_bits, options, poison, dtype, how):
    x, m = (rng.standard_normal((B, n, D)).astype(dtype) for n in (T, S))
    bad_x, bad_m = x.copy(), m.copy()
    bad_x[~TARGET], bad_m[~SOURCE] = poison, poison
    enc, dec = encoder(rng, **options).astype(dtype), decoder(rng, **options).astype(dtype)
    for module, clean, bad, masks, real in (
        (enc, [m], [bad_m], told(SOURCE, how), SOURCE),
        (dec, [x, m], [bad_x, bad_m], {**told(TARGET, how), "memory_key_mask": SOURCE}, TARGET),
    ):
        weights = rng.standard_normal(clean[0].shape).astype(dtype)
        y, dx, dw = run(module, clean, masks, weights)
        y_bad, dx_bad, dw_bad = run(module, bad, masks, weights)
        same_bits(y_bad, y)
        for a, e in zip([*dx_bad, *dw_bad], [*dx, *dw], strict=True):
            same_bits(a, e)
        assert not dx_bad[0][~real].any()


@every_kind
def test_padding_and_a_pattern_that_leaves_it_out_agree(rng, options):
    x, m = Tensor(rng.standard_normal((B, T, D))), Tensor(rng.standard_normal((B, S, D)))
    enc, dec = encoder(rng, **options), decoder(rng, **options)
    first, *others = (dec(x, m, memory_key_mask=SOURCE, **told(TARGET, how)).data for how in HOW)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-12)
    np.testing.assert_allclose(
        enc(x, **told(TARGET, "pattern")).data, enc(x, TARGET).data, rtol=1e-12
    )


def test_a_readout_token_that_nobody_looks_at(rng):
    enc, n = encoder(rng), T - 1
    pattern = np.ones((1, T, T), bool)
    pattern[:, :, n] = False
    x = rng.standard_normal((B, T, D))
    y = enc(Tensor(x), mask=pattern).data
    # The others do without it, and it moves with what it holds itself.
    np.testing.assert_allclose(y[:, :n], enc(Tensor(x[:, :n])).data, rtol=1e-12)
    x[:, n] = rng.standard_normal((B, D))
    assert (enc(Tensor(x), mask=pattern).data[:, n] != y[:, n]).all()


def test_a_batch_of_as_many_rows_as_positions_changes_no_meaning(rng):
    dec, enc = decoder(rng), encoder(rng)
    x, m = Tensor(rng.standard_normal((T, T, D))), Tensor(rng.standard_normal((T, T, D)))
    causal = causal_mask(T)
    np.testing.assert_allclose(enc(x, mask=causal[None]).data, enc(x, causal=True).data, rtol=1e-12)
    padded = dec(x, m, causal, causal).data  # row b has b + 1 positions on both sides
    for b in range(T):
        one = np.s_[b : b + 1, : b + 1]
        np.testing.assert_allclose(padded[one], dec(x[one], m[one]).data, rtol=1e-12, atol=1e-13)
    for call in (lambda: enc(x, mask=causal), lambda: dec(x, m, mask=causal)):
        with pytest.raises(ValueError, match=r"layers\[0\]: mask: .*key_mask=.*mask\[None\]"):
            call()


@every_kind
def test_the_decoder_never_looks_ahead(rng, same_bits, options):
    dec = decoder(rng, **options)
    x, m = rng.standard_normal((B, T, D)), Tensor(rng.standard_normal((B, S, D)))
    before = dec(Tensor(x), m).data
    for t in range(1, T):
        changed = x.copy()
        changed[:, t:] = rng.standard_normal((B, T - t, D))
        after = dec(Tensor(changed), m).data
        same_bits(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any(axis=-1).all()


@every_kind
def test_batched_equals_one_by_one(rng, options):
    enc, dec = encoder(rng, **options), decoder(rng, **options)
    x, m = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    together = dec(Tensor(x), enc(Tensor(m), SOURCE), TARGET, SOURCE).data
    for b in range(B):
        t, s = TARGET[b].sum(), SOURCE[b].sum()
        alone = dec(Tensor(x[b : b + 1, :t]), enc(Tensor(m[b : b + 1, :s]))).data
        np.testing.assert_allclose(alone[0], together[b, :t], rtol=1e-12, atol=1e-12)


# --- caches


@every_kind
@pytest.mark.parametrize("steps", [[1] * T, [2, 1, 2], [T]])
def test_cached_equals_uncached(rng, options, steps):
    dec = decoder(rng, **options)
    x, m = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    m[~SOURCE] = np.nan
    whole = dec(Tensor(x), Tensor(m), memory_key_mask=SOURCE).data
    caches = dec.new_caches(S)
    end = 0
    for n in steps:
        with no_grad():
            y = dec(Tensor(x[:, end : end + n]), Tensor(m), memory_key_mask=SOURCE, caches=caches)
        np.testing.assert_allclose(y.data, whole[:, end : end + n], rtol=1e-12, atol=1e-12)
        end += n
    assert [(c.target.length, c.memory.length) for c in caches] == [(T, S)] * 2


def test_a_layer_with_a_cache(rng):
    layer = randomised(TransformerDecoderLayer(D, H, FF), rng)
    x, m = rng.standard_normal((B, T, D)), Tensor(rng.standard_normal((B, S, D)))
    whole = layer(Tensor(x), m).data
    cache = DecoderCache(KVCache(T), KVCache(S))
    with no_grad():
        for t in range(T):
            y = layer(Tensor(x[:, t : t + 1]), m, cache=cache).data
            np.testing.assert_allclose(y, whole[:, t : t + 1], rtol=1e-12, atol=1e-12)


# --- dropout and refusals


def test_dropout_in_train_mode_only(rng):
    quiet = encoder(rng)
    noisy = TransformerEncoder(2, D, H, FF, dropout=0.5).astype(np.float64)
    noisy.load_state_dict(quiet.state_dict())
    x = Tensor(rng.standard_normal((B, T, D)))
    np.testing.assert_array_equal(noisy(x).data, quiet(x).data)
    with train_mode(rng):
        assert (noisy(x).data != quiet(x).data).any()


def test_dropout_falls_on_both_branches_the_hidden_units_and_the_weights(rng):
    layer = TransformerEncoderLayer(D, H, FF, dropout=0.5, rng=rng).astype(np.float64)
    x = Tensor(rng.standard_normal((B, T, D)))
    with train_mode(np.random.default_rng(1)):
        y = layer(x).data
    with train_mode(np.random.default_rng(1)):  # the draws, in their order
        h = layer.norm1(x + F.dropout(layer.self_attn(x), 0.5))
        hidden = F.dropout(F.relu(layer.linear1(h)), 0.5)
        expected = layer.norm2(h + F.dropout(layer.linear2(hidden), 0.5)).data
    np.testing.assert_array_equal(y, expected)


def test_an_unknown_activation():
    with pytest.raises(ValueError, match="activation: expected one of .*'relu'.*got 'rleu'"):
        TransformerEncoderLayer(D, H, FF, activation="rleu")


def test_an_unknown_norm():
    with pytest.raises(ValueError, match="norm: expected one of .*got 'rsm'"):
        TransformerEncoderLayer(D, H, FF, norm="rsm")


@pytest.mark.parametrize("mask", [np.ones((B, T)), TARGET.astype(int), TARGET.tolist()])
def test_a_mask_that_is_not_boolean_names_the_layer_and_the_fix(rng, mask):
    x, m = Tensor(np.zeros((B, T, D))), Tensor(np.zeros((B, S, D)))
    with pytest.raises(TypeError, match=r"^layers\[0\]: key_mask: .*boolean.*ids != pad_id"):
        encoder(rng)(x, mask)
    with pytest.raises(TypeError, match=r"^layers\[0\]: mask: .*boolean.*ids != pad_id"):
        encoder(rng)(x, mask=mask)
    with pytest.raises(TypeError, match=r"^layers\[0\]: key_mask: .*boolean.*ids != pad_id"):
        decoder(rng)(x, m, mask)
    with pytest.raises(TypeError, match=r"^layers\[0\].multihead_attn: .*boolean.*ids != pad_id"):
        decoder(rng)(x, m, None, mask)


@pytest.mark.parametrize("shape", [(B, T + 1), (B + 1, T), (1, T), (T,), (B, T, T)])
def test_a_key_mask_of_the_wrong_shape_names_the_layer(rng, shape):
    x = Tensor(np.zeros((B, T, D)))
    with pytest.raises(ValueError, match=r"^layers\[0\]: key_mask: expected shape \(3, 5\)"):
        encoder(rng)(x, np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(B, T), (T, T), (T,), (B, T, T + 1), (B + 1, T, T)])
def test_a_mask_of_the_wrong_shape_names_the_layer(rng, shape):
    x = Tensor(np.zeros((B, T, D)))
    with pytest.raises(ValueError, match=r"^layers\[0\]: mask: expected a pattern of shape"):
        encoder(rng)(x, mask=np.ones(shape, bool))
    with pytest.raises(ValueError, match=r"^layers\[0\].self_attn: mask: expected a pattern"):
        encoder(rng)(x, mask=np.ones((B, H + 1, T, T), bool))  # of as many heads as it likes


def test_a_memory_of_the_wrong_width_names_the_layer(rng):
    x, m = Tensor(np.zeros((B, T, D))), Tensor(np.zeros((B, S, D + 1)))
    with pytest.raises(ValueError, match=r"^layers\[0\].multihead_attn: expected key of shape"):
        decoder(rng)(x, m)


def test_what_a_window_cuts_off_is_padding_to_the_layer_and_to_its_attention(rng):
    """Two positions that may look at each other alone, and are further apart than the window."""
    layer = TransformerEncoderLayer(12, 3, 17, window=2, rng=rng)
    mask = np.eye(5, dtype=bool)[None]
    mask[0, [0, 4], [0, 4]] = False
    mask[0, [0, 4], [4, 0]] = True
    x = rng.standard_normal((1, 5, 12), np.float32)
    x[:, [0, 4]] = 0
    expected = layer(Tensor(x), mask=mask).data
    x[:, [0, 4]] = np.nan
    found = layer(Tensor(x), mask=mask).data
    assert np.isfinite(found).all()
    assert found.tobytes() == expected.tobytes()
