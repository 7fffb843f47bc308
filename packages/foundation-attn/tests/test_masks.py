"""Padding and patterns: every combination means what the plain lines of ``plain_masks`` say."""

import numpy as np
import pytest
from foundation_attn import KVCache, MultiHeadAttention, SelfAttention, attention
from foundation_attn.masks import real_positions
from foundation_nn import Tensor, no_grad
from hypothesis import given
from hypothesis import strategies as st
from plain_masks import (
    allowed_pairs,
    leaf,
    plain_attention,
    plain_layer,
    poisoned,
    real_rows,
)

KINDS = ["self", "self with a value", "cross", "cross with a value"]
POISONS = st.sampled_from([np.nan, np.inf, 1e30])
HEADS = st.sampled_from([(1, 1), (2, 2), (2, 1), (4, 2)])


@st.composite
def some_masks(draw, B, H, T, S):
    """Masks of one layer: none, one of them or both, axes of length 1 included."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    chance = draw(st.sampled_from([0.2, 0.5, 0.9]))
    masks = {}
    if draw(st.booleans()):
        masks["key_mask"] = rng.random((B, S)) < draw(st.sampled_from([0.5, 0.9]))
    if draw(st.booleans()):
        shape = [draw(st.sampled_from([1, n])) for n in (B, H, T, S)]
        if draw(st.booleans()):
            del shape[1]
        masks["mask"] = rng.random(shape) < chance
    if draw(st.booleans()):
        masks["causal"] = True
    return masks


def make(rng, heads, kv_heads, window=None):
    layer = MultiHeadAttention(8, heads, kv_heads, window=window, rng=rng).astype(np.float64)
    for p in layer.parameters():
        p.data = rng.normal(0, 0.5, p.shape)
    return layer


def inputs_of(rng, kind, B, T, S):
    """Query, key and value; key and value None where they are left out."""
    query, key, value = (rng.standard_normal((B, n, 8)) for n in (T, S, S))
    if kind == "self":
        return query, None, None
    if kind == "self with a value":
        return query, None, value
    return query, key, value if kind == "cross with a value" else None


def run(function, layer, arrays, weight):
    """The output, and the gradients of all inputs and parameters."""
    for p in layer.parameters():
        p.grad = None
    tensors = [None if a is None else leaf(a) for a in arrays]
    y = function(*tensors)
    y.backward(weight)
    gradients = [t.grad for t in tensors if t is not None]
    return [y.data, *gradients, *(p.grad.copy() for p in layer.parameters())]


@given(st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_every_combination_is_the_plain_formula_and_hides_padding(same_bits, kind, data):
    itself = kind.startswith("self")
    heads, kv_heads = data.draw(HEADS)
    B, T = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    S = T if itself else data.draw(st.integers(1, 5))
    window = data.draw(st.sampled_from([None, 1, 3]))
    masks = data.draw(some_masks(B, heads, T, S))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    layer = make(rng, heads, kv_heads, window)
    query, key, value = arrays = inputs_of(rng, kind, B, T, S)
    weight = rng.standard_normal((B, T, 8))

    allowed = allowed_pairs(B, heads, T, S, window=window, itself=itself, **masks)

    def plain(query, key, value):
        key = query if key is None else key
        return plain_layer(layer, query, key, key if value is None else value, allowed, itself)

    actual = run(lambda *x: layer(*x, **masks), layer, arrays, weight)
    for a, e in zip(actual, run(plain, layer, arrays, weight), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-11)

    attends, seen = real_rows(allowed, itself)
    poison = data.draw(POISONS)
    bad = [
        poisoned(query, attends, poison),
        *(None if x is None else poisoned(x, seen, poison) for x in (key, value)),
    ]
    for a, e in zip(run(lambda *x: layer(*x, **masks), layer, bad, weight), actual, strict=True):
        same_bits(a, e)


@given(st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_cached_is_uncached_and_hides_padding(same_bits, kind, data):
    itself = kind.startswith("self")
    heads, kv_heads = data.draw(HEADS)
    B, T = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    S = T if itself else data.draw(st.integers(1, 5))
    masks = data.draw(some_masks(B, heads, T, S))
    masks["causal"] = itself
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    layer = make(rng, heads, kv_heads)
    query, key, value = inputs_of(rng, kind, B, T, S)
    ends = sorted({*data.draw(st.lists(st.integers(1, T), max_size=3)), T})

    def step_by_step(query, key, value):
        cache, start, ys = KVCache(), 0, []
        for end in ends:
            rows = slice(start, end)
            given = dict(masks)
            if "mask" in masks and masks["mask"].shape[-2] > 1:
                given["mask"] = masks["mask"][..., rows, :]
            if itself:  # the masks of the positions so far
                if "mask" in masks and masks["mask"].shape[-1] > 1:
                    given["mask"] = given["mask"][..., :end]
                if "key_mask" in masks:
                    given["key_mask"] = masks["key_mask"][:, :end]
            cut = value if value is None or not itself else value[:, rows]
            arrays = (query[:, rows], key, cut)
            with no_grad():
                tensors = [None if a is None else Tensor(a) for a in arrays]
                ys.append(layer(*tensors, **given, cache=cache).data)
            start = end
        return np.concatenate(ys, axis=1)

    tensors = [None if a is None else Tensor(a) for a in (query, key, value)]
    whole = layer(*tensors, **masks).data
    actual = step_by_step(query, key, value)
    np.testing.assert_allclose(actual, whole, rtol=1e-10, atol=1e-11)

    attends, seen = real_rows(allowed_pairs(B, heads, T, S, itself=itself, **masks), itself)
    poison = data.draw(st.sampled_from([np.nan, 1e30]))
    bad = step_by_step(
        poisoned(query, attends, poison),
        *(None if x is None else poisoned(x, seen, poison) for x in (key, value)),
    )
    same_bits(bad, actual)


@given(st.data())
def test_the_function_is_the_plain_formula_and_hides_padding(same_bits, data):
    lead = data.draw(st.sampled_from([(), (2,), (3, 2), (2, 2, 3)]))
    shared = data.draw(st.booleans()) and len(lead) > 1  # one key head for all
    T, S = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
    window = data.draw(st.sampled_from([None, 1, 3]))
    causal = data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    key_lead = (*lead[:-1], 1) if shared else lead
    q = rng.standard_normal((*lead, T, 3))
    k, v = rng.standard_normal((2, *key_lead, S, 3))
    weight = rng.standard_normal((*lead, T, 3))
    masks = {}
    if data.draw(st.booleans()):
        shape = [data.draw(st.sampled_from([1, n])) for n in (*lead, T, S)]
        masks["mask"] = rng.random(shape) < 0.6
    if data.draw(st.booleans()):
        masks["key_mask"] = rng.random((*lead[:1], S)) < 0.7

    allowed = allowed_pairs(1, 1, T, S, causal=causal, window=window)[0, 0]
    allowed = np.broadcast_to(allowed, (*lead, T, S)) & masks.get("mask", True)
    if "key_mask" in masks:
        keys = masks["key_mask"]
        allowed = allowed & keys.reshape(*lead[:1], *(1,) * len(lead[1:]), 1, S)

    def outcome(function, *arrays):
        tensors = [leaf(a) for a in arrays]
        y = function(*tensors)
        y.backward(weight)
        return [y.data, *(t.grad for t in tensors)]

    def ours(*x):
        return attention(*x, causal=causal, window=window, **masks)

    actual = outcome(ours, q, k, v)
    expected = outcome(lambda *x: plain_attention(*x, allowed), q, k, v)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-11)

    seen = allowed.any(axis=-2)
    if shared:
        seen = seen.any(axis=-2, keepdims=True)
    poison = data.draw(POISONS)
    bad = outcome(
        ours,
        poisoned(q, allowed.any(axis=-1), poison),
        poisoned(k, seen, poison),
        poisoned(v, seen, poison),
    )
    for a, e in zip(bad, actual, strict=True):
        same_bits(a, e)


# --- by hand


@pytest.fixture
def square(rng):
    """A layer and a batch of as many rows as positions, in which shapes tell nothing."""
    return make(rng, 2, 1), rng.standard_normal((3, 3, 8))


def test_a_causal_pattern_is_causality_also_where_the_batch_is_square(square):
    layer, x = square
    causal = np.tri(3, dtype=bool)
    expected = layer(Tensor(x), causal=True).data
    np.testing.assert_array_equal(layer(Tensor(x), mask=causal[None]).data, expected)
    with pytest.raises(ValueError, match=r"got \(3, 3\); two axes.*key_mask=.*mask\[None\]"):
        layer(Tensor(x), mask=causal)
    # As padding the same array says that row b has b + 1 positions.
    padded = layer(Tensor(x), key_mask=causal).data
    for b in range(3):
        alone = layer(Tensor(x[b : b + 1, : b + 1])).data
        np.testing.assert_allclose(padded[b, : b + 1], alone[0], rtol=1e-12, atol=1e-13)


def test_a_readout_token_looks_at_the_others_while_nobody_looks_at_it(square):
    layer, x = square
    pattern = np.ones((1, 3, 3), bool)
    pattern[:, :, 2] = False  # the last position is seen by nobody, itself included
    y = layer(Tensor(x), mask=pattern).data
    expected = layer(Tensor(x), Tensor(x[:, :2])).data
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    moved = x.copy()
    moved[:, 2] += 1
    after = layer(Tensor(moved), mask=pattern).data
    np.testing.assert_array_equal(after[:, :2], y[:, :2])
    assert (after[:, 2] != y[:, 2]).all()


def test_strict_causality(square):
    layer, x = square
    y = layer(Tensor(x), mask=np.tri(3, k=-1, dtype=bool)[None]).data
    np.testing.assert_array_equal(y[:, 0], np.tile(layer.out_proj.bias.data, (3, 1)))
    for t in (1, 2):  # the last row, too, which nobody looks at
        expected = layer(Tensor(x[:, t : t + 1]), Tensor(x[:, :t])).data
        np.testing.assert_allclose(y[:, t], expected[:, 0], rtol=1e-12)


def test_both_masks_at_once(square):
    layer, x = square
    real = np.array([[True, True, False], [True, True, True], [True, False, True]])
    pattern = np.tri(3, dtype=bool)[None]
    expected = layer(Tensor(x), key_mask=real, causal=True).data
    np.testing.assert_array_equal(layer(Tensor(x), key_mask=real, mask=pattern).data, expected)


def test_what_padding_alone_would_see_may_be_nan_in_a_cache(square, same_bits):
    layer, x = square
    real = np.array([[False, True, False]] * 3)
    pattern = np.array([[[True], [False], [True]]])  # the real one attends to nothing
    found = []
    for bad in (0.5, np.nan):
        value = x.copy()
        value[:, 1] = bad
        with no_grad():
            y = layer(Tensor(x), value=Tensor(value), key_mask=real, mask=pattern, cache=KVCache())
        found.append(y.data)
    same_bits(found[1], found[0])


def test_what_is_padding():
    def real(**masks):
        found = real_positions((1, 3), **masks)
        return None if found is None else found[0].tolist()

    assert real() is None
    assert real(key_mask=np.array([[True, False, True]])) == [True, False, True]
    apart = np.eye(3, dtype=bool)[None]
    assert real(mask=apart) is None
    lonely = np.array([[[1, 1, 0], [1, 1, 0], [0, 0, 0]]], bool)
    assert real(mask=lonely) == [True, True, False]
    assert real(mask=lonely[:, None]) == [True, True, False]
    # It looks only at padding, and only padding looks at it: that makes it padding, too.
    chain = np.array([[[1, 0, 0], [0, 0, 1], [0, 1, 0]]], bool)
    assert real(mask=chain) is None
    assert real(mask=chain, key_mask=np.array([[True, True, False]])) == [True, False, False]
    # The only pair lies ahead.
    ahead = np.array([[[1, 0, 0], [0, 0, 1], [0, 0, 0]]], bool)
    assert real(mask=ahead) is None
    assert real(mask=ahead, causal=True) == [True, False, False]
    # Beside a cache somebody may look later.
    cache = KVCache()
    assert real_positions((1, 3), mask=lonely, cache=cache) is None
    cache.append(np.zeros((1, 1, 2, 4)), np.zeros((1, 1, 2, 4)))
    found = real_positions((1, 1), mask=np.zeros((1, 1, 3), bool), cache=cache)
    assert found is None
    found = real_positions((1, 1), np.array([[True, True, False]]), cache=cache)
    assert found.tolist() == [[False]]


@given(st.data())
def test_one_head_is_the_plain_formula_and_hides_padding(same_bits, data):
    B, T = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    masks = data.draw(some_masks(B, 1, T, T))
    if "mask" in masks and masks["mask"].ndim == 4:
        masks["mask"] = masks["mask"][:, 0]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    layer = SelfAttention(6, rng=rng).astype(np.float64)
    x, weight = rng.standard_normal((2, B, T, 6))
    allowed = allowed_pairs(B, 1, T, T, itself=True, **masks)
    real, _ = real_rows(allowed, itself=True)

    def plain(x):
        x = x * real[..., None].astype(float)
        return plain_attention(layer.query(x), layer.key(x), layer.value(x), allowed[:, 0])

    def ours(x):
        return layer(x, **masks)

    actual = run(ours, layer, [x], weight)
    for a, e in zip(actual, run(plain, layer, [x], weight), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-11)
    bad = poisoned(x, real, data.draw(POISONS))
    for a, e in zip(run(ours, layer, [bad], weight), actual, strict=True):
        same_bits(a, e)
