"""Window, slopes, cap, bias by distance and rotary positions against the plain formula.

Also with a cache.
"""

import contextlib
import math
from unittest import mock

import numpy as np
import pytest
from foundation_attn import (
    KVCache,
    MultiHeadAttention,
    _blocks,
    attention,
    attention_weights,
    capture_attention,
)
from foundation_attn.masks import row_blocks
from foundation_nn import Module, Parameter, Tensor, gradcheck, no_grad
from foundation_nn import functional as F
from hypothesis import given
from hypothesis import strategies as st

one_and_many = pytest.mark.parametrize("block", [None, 16], ids=["one block", "many blocks"])
both_causal = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])


def block_rows(rows):
    """Blocks of so many rows, and none of their weights kept; None: all in one."""
    small = {"BLOCK_ROWS": rows, "BLOCK_BYTES": 1, "KEPT_BYTES": 0}
    return mock.patch.multiple(_blocks, **small) if rows else contextlib.nullcontext()


def turn(x, positions):
    """Rotary positions from small operations: pairs (i, i + K/2) as clock hands."""
    half = x.shape[-1] // 2
    angle = np.asarray(positions)[..., None] / 10.0 ** (np.arange(half) / half)
    if angle.ndim == 3:  # (B, T, K/2): beside the heads
        angle = angle[:, None]
    a, b = x[..., :half], x[..., half:]
    cos, sin = np.cos(angle), np.sin(angle)
    return F.concat([a * cos - b * sin, b * cos + a * sin], axis=-1)


class ByDistance(Module):
    """A bias for each distance up to nine, (H, 19), of which a layer is given what it needs."""

    def __init__(self, num_heads, rng):
        self.weight = Parameter(rng.standard_normal((num_heads, 19)))

    def forward(self, length):
        return self.weight[:, 10 - length : 9 + length]


def plain(q, k, v, relative_bias=None, mask=None, causal=False, window=None, slopes=None, cap=None):
    """The formula, one query and key at a time where it decides who may attend."""
    T, S = q.shape[-2], k.shape[-2]
    s = (q @ k.swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
    if cap is not None:
        s = F.tanh(s / cap) * cap
    if slopes is not None:
        distance = np.abs(np.arange(S - T, S)[:, None] - np.arange(S))
        s = s - np.asarray(slopes)[:, None, None] * distance
    if relative_bias is not None:
        distance = np.arange(S) - np.arange(S - T, S)[:, None]  # of the key from the query
        s = s + relative_bias[..., max(T, S) - 1 + distance]
    allowed = np.ones(s.shape, bool) if mask is None else np.broadcast_to(mask, s.shape).copy()
    for t in range(T):
        for j in range(S):
            distance = t + S - T - j
            if causal and distance < 0:
                allowed[..., t, j] = False
            if window is not None and abs(distance) >= window:
                allowed[..., t, j] = False
    top = np.where(allowed, s.data, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    e = (s - np.where(np.isneginf(top), 0, top)).exp() * allowed.astype(s.dtype)
    return (e / (e.sum(axis=-1, keepdims=True) + ~allowed.any(-1, keepdims=True))) @ v


def value_and_gradients(function, arrays, weight):
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    y.backward(weight)
    return [y.data, *(t.grad for t in tensors)]


def compare(rng, T, S, **options):
    arrays = [rng.standard_normal((2, 3, n, K)) for n, K in ((T, 5), (S, 5), (S, 2))]
    weight = rng.standard_normal((2, 3, T, 2))
    compare_on(arrays, weight, **options)


def compare_on(arrays, weight, **options):
    """Of queries, keys, values and perhaps a bias by distance."""

    def fused(q, k, v, bias=None):
        return attention(q, k, v, relative_bias=bias, **options)

    for a, e in zip(
        value_and_gradients(fused, arrays, weight),
        value_and_gradients(lambda *x: plain(*x, **options), arrays, weight),
        strict=True,
    ):
        np.testing.assert_allclose(a, e, rtol=1e-11, atol=1e-12)


# --- the formula

OPTIONS = [
    {"window": 1},
    {"window": 4},
    {"window": 100},
    {"slopes": np.array([0.5, 0.25, 2.0])},
    {"cap": 0.7},
    {"window": 7, "slopes": np.array([1.0, 0.1, 0.3]), "cap": 1.5},
]


@pytest.mark.parametrize("options", OPTIONS, ids="+".join)
@one_and_many
@both_causal
@pytest.mark.parametrize(("T", "S"), [(37, 37), (5, 29), (1, 23), (21, 18)])
def test_equals_the_plain_formula(rng, options, block, causal, T, S):
    with block_rows(block):
        compare(rng, T, S, causal=causal, **options)
        compare(rng, T, S, causal=causal, mask=rng.random((2, 1, T, S)) < 0.6, **options)


@pytest.mark.parametrize("options", [{}, *OPTIONS[-2:]], ids="+".join)
@one_and_many
@both_causal
@pytest.mark.parametrize(("T", "S"), [(37, 37), (5, 29), (1, 23), (21, 18)])
def test_a_bias_by_distance_equals_the_plain_formula(rng, options, block, causal, T, S):
    arrays = [rng.standard_normal((2, 3, n, K)) for n, K in ((T, 5), (S, 5), (S, 2))]
    weight = rng.standard_normal((2, 3, T, 2))
    mask = rng.random((2, 1, T, S)) < 0.6
    for lead in [(), (3,), (2, 1)]:
        bias = rng.standard_normal((*lead, 2 * max(T, S) - 1))
        with block_rows(block):
            compare_on([*arrays, bias], weight, causal=causal, mask=mask, **options)


@given(st.integers(0, 20), st.integers(0, 20), st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_a_bias_by_distance_of_any_length(T, S, causal, many, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((2, 3, n, K)) for n, K in ((T, 5), (S, 5), (S, 2))]
    bias = rng.standard_normal((3, 2 * max(T, S, 1) - 1))
    weight = rng.standard_normal((2, 3, T, 2))
    with block_rows(16 if many else None):
        compare_on([*arrays, bias], weight, causal=causal)


def test_a_bias_by_distance_by_hand():
    q = k = Tensor(np.zeros((2, 1)))
    v = Tensor(np.array([[0.0], [4.0]]))
    bias = Tensor(np.log([3.0, 1.0, 1 / 7]))  # of an earlier key, the same, a later one
    y = attention(q, k, v, relative_bias=bias)
    np.testing.assert_allclose(y.data[:, 0], [4 / 8, 4 / 4])
    weights = attention_weights(q.data, k.data, relative_bias=bias.data)
    np.testing.assert_allclose(weights, [[7 / 8, 1 / 8], [3 / 4, 1 / 4]])


@one_and_many
def test_gradcheck_of_a_bias_by_distance(rng, block):
    arrays = [rng.standard_normal((3, n, 2)) for n in (17, 19, 19)]  # three heads
    bias = rng.standard_normal((3, 37))
    with block_rows(block):
        assert gradcheck(
            lambda q, k, v, b: attention(q, k, v, causal=True, relative_bias=b), *arrays, bias
        )


def test_a_bias_for_other_distances_is_refused():
    q, k = Tensor(np.zeros((2, 3, 4, 5))), Tensor(np.zeros((2, 3, 7, 5)))
    for shape in [(3, 12), (2, 13), (13, 3), (1, 2, 3, 13), ()]:
        with pytest.raises(ValueError, match=r"relative_bias: expected shape \(3, 13\), a number"):
            attention(q, k, k, relative_bias=Tensor(np.zeros(shape)))


def test_layers_share_a_bias_by_distance(rng):
    relative = ByDistance(2, rng)
    layers = [MultiHeadAttention(4, 2, relative=relative, rng=rng).astype(float) for _ in range(2)]
    x = rng.standard_normal((1, 5, 4))

    def both(weight):
        relative.weight = weight
        return layers[1](layers[0](Tensor(x)))

    assert gradcheck(both, relative.weight.data)
    with pytest.raises(ValueError, match="relative: expected self-attention"):
        layers[0](Tensor(x), Tensor(x))


@given(
    st.integers(0, 20),
    st.integers(0, 20),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_windows_of_any_size(T, S, window, causal, many, seed):
    rng = np.random.default_rng(seed)
    with block_rows(16 if many else None):
        compare(rng, T, S, causal=causal, window=window)


@pytest.mark.parametrize("options", OPTIONS, ids="+".join)
@one_and_many
def test_gradcheck(rng, options, block):
    arrays = [rng.standard_normal((3, n, 2)) for n in (17, 19, 19)]  # three heads
    with block_rows(block):
        assert gradcheck(lambda *x: attention(*x, causal=True, **options), *arrays)


def test_a_window_by_hand():
    q, k = Tensor(np.zeros((4, 1))), Tensor(np.zeros((4, 1)))
    v = Tensor(np.array([[1.0], [3.0], [8.0], [0.0]]))
    assert attention(q, k, v, causal=True, window=2).data[:, 0].tolist() == [1, 2, 5.5, 4]
    assert attention(q, k, v, window=2).data[:, 0].tolist() == [2, 4, 11 / 3, 4]
    assert attention(q, k, v, window=1).data[:, 0].tolist() == [1, 3, 8, 0]


def test_slopes_by_hand():
    q, k = Tensor(np.zeros((1, 1, 1))), Tensor(np.zeros((1, 2, 1)))
    y = attention(q, k, Tensor(np.array([[[1.0], [5.0]]])), slopes=np.array([math.log(3)]))
    np.testing.assert_allclose(y.data, [[[4.0]]], rtol=1e-15)  # weights ¼ and ¾


def test_a_cap_by_hand():
    q, k = np.array([[1.0]]), np.array([[0.0], [1e6]])
    p = attention_weights(q, k, cap=math.log(3))  # scores 0 and log 3
    np.testing.assert_allclose(p, [[0.25, 0.75]], rtol=1e-15)


def test_what_lies_outside_the_window_is_never_computed():
    def keys(T, S, causal=False, window=None):
        return [(k.start, k.stop) for _, k in row_blocks(T, S, causal, window, 16)]

    assert keys(48, 48, causal=True, window=5) == [(0, 16), (12, 32), (28, 48)]
    assert keys(48, 48, window=5) == [(0, 20), (12, 36), (28, 48)]
    assert keys(1, 48, causal=True, window=5) == [(43, 48)]  # a step beside a cache


@pytest.mark.parametrize("poison", [np.nan, 1e30])
@both_causal
def test_keys_outside_every_window_are_not_looked_at(rng, same_bits, poison, causal):
    q, k, v = (rng.standard_normal((2, n, 3)) for n in (3, 11, 11))
    bad_k, bad_v = k.copy(), v.copy()
    bad_k[:, :5] = bad_v[:, :5] = poison  # the first query, at 8, sees 5 to 8
    weight = rng.standard_normal((2, 3, 3))

    def run(*x):
        return attention(*x, causal=causal, window=4)

    for a, e in zip(
        value_and_gradients(run, (q, bad_k, bad_v), weight),
        value_and_gradients(run, (q, k, v), weight),
        strict=True,
    ):
        same_bits(a, e)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "expected window >= 1, got 0"),
        ({"cap": 0.0}, "expected cap > 0, got 0.0"),
        ({"cap": math.nan}, "expected cap > 0, got nan"),
    ],
)
def test_refusals(options, message):
    x = Tensor(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=message):
        attention(x, x, x, **options)
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(12, 6, **options)


# --- the layer

LAYERS = [
    {"rotary": turn},
    {"slopes": 0.5 ** np.arange(6)},
    {"window": 3},
    {"cap": 0.8},
    {"relative": ByDistance(6, np.random.default_rng(1))},
    {"rotary": turn, "slopes": np.array([1, 0, 2, 0, 3, 0]), "window": 4, "cap": 1.1},
]
every_layer = pytest.mark.parametrize("options", LAYERS, ids="+".join)
grouped = pytest.mark.parametrize("kv_heads", [6, 2, 1])


def make(rng, kv_heads, options):
    layer = MultiHeadAttention(24, 6, kv_heads, rng=rng, **options).astype(np.float64)
    for p in layer.parameters():
        p.data = rng.normal(0, 0.5, p.shape)
    return layer


def by_hand(layer, x, positions, options, mask=None):
    """Heads apart and repeated, then the plain formula."""
    G, K = layer.num_kv_heads, 4
    y = x @ layer.in_proj_weight.data.T + layer.in_proj_bias.data
    heads = y.reshape(*x.shape[:2], -1, K).swapaxes(1, 2)
    q, k, v = heads[:, :6], heads[:, 6 : 6 + G], heads[:, 6 + G :]
    k, v = (np.repeat(a, 6 // G, axis=1) for a in (k, v))
    if "rotary" in options:
        q, k = (turn(Tensor(a), positions).data for a in (q, k))
    rule = {name: value for name, value in options.items() if name not in ("rotary", "relative")}
    if "relative" in options:
        rule["relative_bias"] = options["relative"](x.shape[1])
    out = plain(*map(Tensor, (q, k, v)), mask=mask, causal=True, **rule).data
    merged = out.swapaxes(1, 2).reshape(x.shape)
    return merged @ layer.out_proj.weight.data.T + layer.out_proj.bias.data


@every_layer
@grouped
def test_the_layer_is_the_formula(rng, options, kv_heads):
    layer = make(rng, kv_heads, options)
    x = rng.standard_normal((2, 7, 24))
    y = layer(Tensor(x), causal=True).data
    np.testing.assert_allclose(y, by_hand(layer, x, np.arange(7), options), rtol=1e-11, atol=1e-12)


@every_layer
@grouped
@pytest.mark.parametrize("steps", [[1] * 7, [3, 1, 1, 2]])
@pytest.mark.parametrize("max_len", [7, None])
def test_cached_equals_uncached(rng, options, kv_heads, steps, max_len):
    layer = make(rng, kv_heads, options)
    x = rng.standard_normal((2, 7, 24))
    whole = layer(Tensor(x), causal=True).data
    cache, end = KVCache(max_len), 0
    for n in steps:
        with no_grad():
            y = layer(Tensor(x[:, end : end + n]), causal=True, cache=cache).data
        np.testing.assert_allclose(y, whole[:, end : end + n], rtol=1e-11, atol=1e-12)
        end += n


@every_layer
@grouped
def test_ragged_prompts_padded_on_the_left(rng, options, kv_heads):
    layer = make(rng, kv_heads, options)
    lengths, new = np.array([2, 5, 3]), 3
    rows = [rng.standard_normal((n + new, 24)) for n in lengths]
    x = np.full((3, 5, 24), np.nan)  # what stands before a prompt is nobody's concern
    for b, n in enumerate(lengths):
        x[b, 5 - n :] = rows[b][:n]
    start = 5 - lengths[:, None]
    real = np.arange(5 + new) >= start
    at = np.maximum(np.arange(5 + new) - start, 0)
    later = np.stack([row[-new:] for row in rows])  # one position each, side by side
    cache, ys = KVCache(), []
    for part in (x, *np.split(later, new, axis=1)):
        here = slice(cache.length, cache.length + part.shape[1])
        with no_grad():
            y = layer(
                Tensor(part),
                key_mask=real[:, : here.stop],
                causal=True,
                cache=cache,
                positions=at[:, here] if "rotary" in options else None,
            )
        ys.append(y.data)
    together = np.concatenate(ys, axis=1)
    for b, n in enumerate(lengths):
        alone = layer(Tensor(rows[b][None]), causal=True).data[0]
        np.testing.assert_allclose(together[b, 5 - n :], alone, rtol=1e-11, atol=1e-12)


@every_layer
def test_packed_texts_do_not_see_each_other(rng, options):
    layer = make(rng, 2, options)
    x = rng.standard_normal((1, 9, 24))
    text = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    mask = (text[:, None] == text)[None]
    at = np.array([[0, 1, 2, 3, 0, 1, 2, 3, 4]]) if "rotary" in options else None
    y = layer(Tensor(x), mask=mask, causal=True, positions=at).data
    for part in (slice(0, 4), slice(4, 9)):
        alone = layer(Tensor(x[:, part]), causal=True).data
        np.testing.assert_allclose(y[:, part], alone, rtol=1e-11, atol=1e-12)


@every_layer
@pytest.mark.parametrize("kv_heads", [6, 2])
def test_beams_move(rng, options, kv_heads):
    layer = make(rng, kv_heads, options)
    x = rng.standard_normal((3, 6, 24))
    rows, cache = np.array([2, 2, 0]), KVCache()
    with no_grad():
        layer(Tensor(x[:, :4]), causal=True, cache=cache)
        cache.reorder(rows)
        y = layer(Tensor(x[:, 4:]), causal=True, cache=cache).data
    whole = layer(Tensor(np.concatenate([x[rows, :4], x[:, 4:]], axis=1)), causal=True).data
    np.testing.assert_allclose(y, whole[:, 4:], rtol=1e-11, atol=1e-12)


@every_layer
@pytest.mark.parametrize("kv_heads", [6, 2])
def test_gradcheck_of_the_layer(rng, options, kv_heads):
    class Causal(Module):
        def __init__(self):
            self.layer = make(rng, kv_heads, options)

        def forward(self, x):
            real = np.arange(x.shape[1]) < np.array([[5], [3]])
            return self.layer(x, key_mask=real, causal=True)

    assert gradcheck(Causal(), rng.standard_normal((2, 5, 24)), max_elements=16)


@every_layer
def test_captured_weights_follow_the_rules(rng, options):
    layer = make(rng, 2, options)
    x = rng.standard_normal((2, 7, 24))
    with capture_attention() as maps:
        y = layer(Tensor(x), causal=True).data
    v = (x @ layer.in_proj_weight.data.T + layer.in_proj_bias.data)[..., -8:]
    v = np.repeat(v.reshape(2, 7, 2, 4).swapaxes(1, 2), 3, axis=1)
    merged = (maps[0].weights @ v).swapaxes(1, 2).reshape(x.shape)
    expected = merged @ layer.out_proj.weight.data.T + layer.out_proj.bias.data
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)


def test_rotary_looks_at_differences_alone(rng):
    layer = make(rng, 2, {"rotary": turn})
    x = Tensor(rng.standard_normal((2, 7, 24)))
    moved = layer(x, causal=True, positions=np.arange(7) + 1000).data
    np.testing.assert_allclose(moved, layer(x, causal=True).data, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("positions", "error", "message"),
    [
        (np.zeros((3, 5), int), ValueError, r"positions: expected shape \(T=5,\) or \(B=2, T\)"),
        (np.zeros(4, int), ValueError, r"got \(4,\)"),
        (np.zeros(5), TypeError, "positions: expected an array of integers, got float64"),
        ([0, 1, 2, 3, 4], TypeError, "positions: expected an array of integers, got list"),
    ],
)
def test_positions_that_do_not_fit(positions, error, message):
    layer = MultiHeadAttention(24, 6, rotary=turn)
    with pytest.raises(error, match=message):
        layer(Tensor(np.zeros((2, 5, 24), np.float32)), positions=positions)


def test_positions_that_nobody_reads():
    x = Tensor(np.zeros((2, 5, 24), np.float32))
    with pytest.raises(ValueError, match="made without rotary"):
        MultiHeadAttention(24, 6)(x, positions=np.arange(5))
    with pytest.raises(ValueError, match="rotary: expected self-attention"):
        MultiHeadAttention(24, 6, rotary=turn)(x, Tensor(np.zeros((2, 3, 24), np.float32)))


# --- room


def test_room_doubles_and_what_was_held_stays(rng):
    cache, rows, rooms = KVCache(), [], set()
    for _ in range(100):
        rows.append(rng.standard_normal((2, 3, 1, 4)))
        keys, values = cache.append(rows[-1], -rows[-1])
        rooms.add(cache._keys.shape[-2])
        np.testing.assert_array_equal(keys, np.concatenate(rows, axis=2))
        np.testing.assert_array_equal(values, -keys)
    assert len(rooms) <= 4  # 100 positions were moved a few times, not 99


def test_room_of_a_known_length_is_made_once(rng):
    cache = KVCache(9)
    cache.append(np.zeros((2, 3, 1, 4)), np.zeros((2, 3, 1, 4)))
    first = cache._keys
    for _ in range(8):
        cache.append(np.zeros((2, 3, 1, 4)), np.zeros((2, 3, 1, 4)))
    assert cache._keys is first
