"""Attention by hand, against the plain formula, and against finite differences."""

import contextlib
import math
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, _blocks, _fused, attention, attention_weights
from foundation_attn._rule import Rule
from foundation_nn import Tensor, causal_mask, gradcheck, no_grad, train_mode
from hypothesis import given
from hypothesis import strategies as st


def block_rows(rows):
    """Blocks of so many rows, and none of their weights kept; None: all in one."""
    small = {"BLOCK_ROWS": rows, "BLOCK_BYTES": 1, "KEPT_BYTES": 0}
    return mock.patch.multiple(_blocks, **small) if rows else contextlib.nullcontext()


def plain(q, k, v, mask=None, causal=False, scale=None):
    """softmax(scale · Q Kᵀ) V from small differentiable operations: the oracle."""
    T, S, K = q.shape[-2], k.shape[-2], q.shape[-1]
    scores = (q @ k.swapaxes(-1, -2)) * (1 / math.sqrt(K) if scale is None else scale)
    allowed = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    if causal:
        allowed = allowed & np.tri(T, S, S - T, dtype=bool)
    top = np.where(allowed, scores.data, -np.inf).max(-1, keepdims=True, initial=-np.inf)
    e = (scores - np.where(np.isneginf(top), 0, top)).exp() * allowed.astype(scores.dtype)
    nothing = ~allowed.any(-1, keepdims=True)
    return (e / (e.sum(axis=-1, keepdims=True) + nothing)) @ v


def leaves(rng, *shapes):
    return [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def value_and_gradients(function, arrays, weight):
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    y.backward(weight)
    return [y.data, *(t.grad for t in tensors)]


def compare_with_plain(rng, q, k, v, **options):
    arrays = [rng.standard_normal(shape) for shape in (q, k, v)]
    lead = np.broadcast_shapes(q[:-2], k[:-2])
    weight = rng.standard_normal((*lead, q[-2], v[-1]))
    actual = value_and_gradients(lambda *x: attention(*x, **options), arrays, weight)
    expected = value_and_gradients(lambda *x: plain(*x, **options), arrays, weight)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-12)


# --- by hand


def test_weights_one_quarter_and_three_quarters():
    q, k = Tensor([[1.0]]), Tensor([[0.0], [math.log(3)]])
    y = attention(q, k, Tensor([[1.0], [5.0]]))
    np.testing.assert_allclose(y.data, [[4.0]], rtol=1e-6)


def test_the_scale_is_one_over_the_root_of_the_width():
    q = np.array([[2.0, 0, 0, 0]])
    k = np.array([[0, 7.0, 0, 0], [math.log(2), 0, 0, 7]])  # scores 0 and log 2
    v = np.array([[3.0], [6.0]])
    y = attention(Tensor(q), Tensor(k), Tensor(v))
    np.testing.assert_allclose(y.data, [[5.0]], rtol=1e-15)
    y = attention(Tensor(q), Tensor(k), Tensor(v), scale=1.0)  # scores 0 and 2 log 2
    np.testing.assert_allclose(y.data, [[5.4]], rtol=1e-15)


def test_causal_queries_are_the_last_positions():
    def means(T, S):  # equal scores: the mean of what may be seen
        v = np.array([[1.0], [3.0], [8.0], [0.0]])[:S]
        y = attention(Tensor(np.zeros((T, 2))), Tensor(np.zeros((S, 2))), Tensor(v), causal=True)
        return y.data[:, 0].tolist()

    assert means(4, 4) == [1, 2, 4, 3]
    assert means(2, 4) == [4, 3]
    assert means(1, 4) == [3]
    assert means(3, 2) == [0, 1, 2]  # the first query stands before all keys
    assert means(4, 1) == [0, 0, 0, 1]


def test_a_mask_takes_keys_away():
    mask = np.array([[True, False, True], [False, False, True], [False, False, False]])
    q, k, v = np.zeros((3, 1)), np.zeros((3, 1)), np.array([[1.0], [2.0], [7.0]])
    y = attention(Tensor(q), Tensor(k), Tensor(v), mask)
    assert y.data[:, 0].tolist() == [4, 7, 0]
    y = attention(Tensor(q), Tensor(k), Tensor(v), mask[:1])  # one row for all queries
    assert y.data[:, 0].tolist() == [4, 4, 4]
    y = attention(Tensor(q), Tensor(k), Tensor(v), key_mask=mask[0])
    assert y.data[:, 0].tolist() == [4, 4, 4]
    y = attention(Tensor(q), Tensor(k), Tensor(v), mask, causal=True)
    assert y.data[:, 0].tolist() == [1, 0, 0]


def test_gradients_by_hand():
    q = Tensor([[0.0]], requires_grad=True)
    k = Tensor([[2.0], [5.0]], requires_grad=True)
    v = Tensor([[1.0], [3.0]], requires_grad=True)
    attention(q, k, v).backward([[1.0]])
    # P = ½, ½;  D = 2;  dS = ½ (1 - 2), ½ (3 - 2);  dQ = -½ · 2 + ½ · 5
    np.testing.assert_allclose(v.grad, [[0.5], [0.5]])
    np.testing.assert_allclose(q.grad, [[1.5]])
    np.testing.assert_allclose(k.grad, [[0.0], [0.0]])


def test_huge_scores_do_not_overflow():
    q, k = Tensor([[1e4]]), Tensor([[1e4], [-1e4]])
    y = attention(q, k, Tensor([[2.0], [3.0]]))
    assert y.data.tolist() == [[2.0]]


def test_weights_are_the_plain_formula(rng):
    q, k = rng.standard_normal((2, 3, 5, 7)), rng.standard_normal((2, 3, 11, 7))
    mask = rng.random((2, 1, 5, 11)) < 0.5
    mask[1, :, 2] = False
    identity = np.broadcast_to(np.eye(11), (2, 3, 11, 11))
    for causal in (False, True):
        p = attention_weights(q, k, mask, causal)
        expected = plain(Tensor(q), Tensor(k), Tensor(identity), mask, causal).data
        np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-15)
        assert not p[~np.broadcast_to(mask, p.shape)].any()


# --- the twin

SHAPES = [
    ((2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13)),
    ((5, 7), (11, 7), (11, 2)),
    ((3, 5, 7), (3, 5, 7), (3, 5, 7)),
    ((2, 3, 37, 5), (2, 3, 41, 5), (2, 3, 41, 7)),
    ((2, 1, 53, 3), (2, 1, 19, 3), (2, 1, 19, 2)),
    ((2, 3, 2, 19, 5), (2, 3, 1, 17, 5), (2, 3, 1, 17, 7)),  # heads that share keys
    ((2, 3, 19, 5), (17, 5), (17, 7)),
    ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1)),
]
every_shape = pytest.mark.parametrize(("q", "k", "v"), SHAPES)
one_and_many = pytest.mark.parametrize("block", [None, 16], ids=["one block", "many blocks"])
both_causal = pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])


@every_shape
@one_and_many
@both_causal
def test_equals_the_plain_formula(rng, q, k, v, block, causal):
    with block_rows(block):
        compare_with_plain(rng, q, k, v, causal=causal)


def masks(rng, B, H, T, S):
    keys = rng.random((B, 1, 1, S)) < 0.6
    keys[0] = False  # a sentence of nothing but padding
    rows = rng.random((T, S)) < 0.5
    rows[T // 2] = False
    full = rng.random((B, 1, T, S)) < 0.5
    full[-1, :, 1] = False
    per_head = rng.random((B, H, T, S)) < 0.3
    return {
        "111S": keys[1:2],
        "11TS": rows[None, None],
        "B11S": keys,
        "B1TS": full,
        "BHTS": per_head,
    }


@pytest.mark.parametrize("kind", ["111S", "11TS", "B11S", "B1TS", "BHTS"])
@one_and_many
@both_causal
@pytest.mark.parametrize(("T", "S"), [(37, 23), (18, 41), (1, 5), (29, 29)])
def test_masked_equals_the_plain_formula(rng, kind, block, causal, T, S):
    B, H, K = 2, 3, 5
    mask = masks(rng, B, H, max(T, 2), S)[kind]
    if mask.shape[-2] > 1:
        mask = mask[..., :T, :]
    with block_rows(block):
        compare_with_plain(
            rng, (B, H, T, K), (B, H, S, K), (B, H, S, 7), mask=mask, causal=causal, scale=0.7
        )


@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(0, 35),
    st.integers(0, 35),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_equals_the_plain_formula_at_any_size(B, H, T, S, K, masked, causal, many, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((B, 1, T, S)) < 0.4 if masked else None
    with block_rows(16 if many else None):
        compare_with_plain(rng, (B, H, T, K), (B, H, S, K), (B, H, S, 2), mask=mask, causal=causal)


@one_and_many
@both_causal
def test_a_query_that_may_attend_to_nothing(rng, block, causal):
    T, S = 35, 38
    mask = np.ones((2, 1, T, S), bool)
    mask[0, :, [0, 17, 34]] = False
    mask[1] = False
    q, k, v = leaves(rng, (2, 3, T, 5), (2, 3, S, 5), (2, 3, S, 5))
    with block_rows(block):
        y = attention(q, k, v, mask, causal)
        y.backward(rng.standard_normal(y.shape))
    assert not y.data[0, :, [0, 17, 34]].any()
    assert not y.data[1].any()
    assert y.data[0, :, 1].all()
    assert not q.grad[0, :, [0, 17, 34]].any()
    assert not q.grad[1].any()
    assert not k.grad[1].any()
    assert not v.grad[1].any()
    for grad in (q.grad, k.grad, v.grad):
        assert np.isfinite(grad).all()
        assert grad[0].any()


def test_a_causal_block_stops_at_its_diagonal():
    # What lies right of it is not masked but never computed.
    def blocks(T, S, causal):
        found = _blocks.row_blocks(T, S, causal, None, 16)
        return [(rows.stop, keys.stop) for rows, keys in found if keys.start == 0]

    assert blocks(37, 37, causal=True) == [(16, 16), (32, 32), (37, 37)]
    assert blocks(37, 41, causal=True) == [(16, 20), (32, 36), (37, 41)]
    assert blocks(37, 20, causal=True) == [(16, 0), (32, 15), (37, 20)]
    assert blocks(37, 20, causal=False) == [(16, 20), (32, 20), (37, 20)]


# --- finite differences


@pytest.mark.parametrize(
    ("q", "k", "v"),
    [
        ((2, 3, 5, 2), (2, 3, 7, 2), (2, 3, 7, 3)),
        ((2, 1, 3), (2, 7, 3), (2, 7, 2)),
        ((5, 3), (1, 3), (1, 2)),
        ((1, 1), (1, 1), (1, 1)),
        ((0, 3), (5, 3), (5, 2)),
        ((5, 3), (0, 3), (0, 2)),
        ((0, 2, 5, 3), (0, 2, 7, 3), (0, 2, 7, 2)),
        ((2, 3, 2, 5, 2), (2, 3, 1, 7, 2), (2, 3, 1, 7, 2)),
        ((2, 3, 5, 2), (2, 1, 7, 2), (2, 1, 7, 2)),
    ],
)
@both_causal
def test_gradcheck(rng, q, k, v, causal):
    arrays = [rng.standard_normal(shape) for shape in (q, k, v)]
    assert gradcheck(lambda *x: attention(*x, causal=causal), *arrays)


def test_gradcheck_masked_in_many_blocks(rng):
    arrays = [rng.standard_normal(shape) for shape in ((2, 2, 21, 3), (2, 2, 18, 3), (2, 2, 18, 2))]
    mask = masks(rng, 2, 2, 21, 18)["B1TS"]
    with block_rows(16):
        assert gradcheck(lambda *x: attention(*x, mask=mask, causal=True), *arrays)


def test_gradcheck_with_dropout(rng):
    arrays = [rng.standard_normal(shape) for shape in ((2, 19, 3), (2, 7, 3), (2, 7, 2))]
    for block in (16, None):
        with block_rows(block), train_mode(rng):
            assert gradcheck(lambda *x: attention(*x, dropout=0.4), *arrays)


# --- padding


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, 1e30, -3e38])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@one_and_many
@both_causal
def test_keys_that_nobody_may_attend_to_are_not_looked_at(
    rng, same_bits, poison, dtype, block, causal
):
    B, H, T, S, K = 2, 3, 19, 23, 5
    for mask in (
        np.arange(S) < np.array([11, 23])[:, None, None, None],  # (B, 1, 1, S)
        np.broadcast_to(np.arange(S) != 7, (1, 1, T, S)),
        (np.arange(S) < np.array([3, 20])[:, None, None, None])
        & (rng.random((B, H, T, S)) < 0.9),  # (B, H, T, S)
    ):
        unseen = ~np.broadcast_to(mask, (B, H, T, S)).any(axis=-2)  # (B, H, S)
        assert unseen.any()
        q, k, v = (rng.standard_normal((B, H, n, K)).astype(dtype) for n in (T, S, S))
        weight = rng.standard_normal((B, H, T, K)).astype(dtype)
        bad_k, bad_v = k.copy(), v.copy()
        bad_k[unseen] = bad_v[unseen] = poison
        with block_rows(block):

            def run(*x, mask=mask):
                return attention(*x, mask=mask, causal=causal)

            clean = value_and_gradients(run, (q, k, v), weight)
            poisoned = value_and_gradients(run, (q, bad_k, bad_v), weight)
        for a, e in zip(poisoned, clean, strict=True):
            same_bits(a, e)
        assert not poisoned[2][unseen].any()
        assert not poisoned[3][unseen].any()


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@one_and_many
def test_queries_that_may_attend_to_nothing_are_not_looked_at(rng, same_bits, poison, block):
    B, H, T, S, K = 2, 3, 19, 7, 5
    mask = np.ones((B, 1, T, S), bool)
    mask[0, :, 11:] = False
    q, k, v = (rng.standard_normal((B, H, n, K)).astype(np.float32) for n in (T, S, S))
    weight = rng.standard_normal((B, H, T, K)).astype(np.float32)
    bad = q.copy()
    bad[0, :, 11:] = poison
    with block_rows(block):
        clean = value_and_gradients(lambda *x: attention(*x, mask=mask), (q, k, v), weight)
        poisoned = value_and_gradients(lambda *x: attention(*x, mask=mask), (bad, k, v), weight)
    for a, e in zip(poisoned, clean, strict=True):
        same_bits(a, e)


def test_keys_that_are_behind_every_query_that_the_mask_lets_see_them(rng, same_bits):
    # The mask alone shows key 3 to query 0, causality to queries 3 and 4: nobody sees it.
    mask = np.ones((5, 5), bool)
    mask[3:, 3] = False
    q, k, v = (rng.standard_normal((5, 3)) for _ in range(3))
    bad_k, bad_v = k.copy(), v.copy()
    bad_k[3] = bad_v[3] = np.nan
    weight = rng.standard_normal((5, 3))

    def run(*x):
        return attention(*x, mask=mask, causal=True)

    for a, e in zip(
        value_and_gradients(run, (q, bad_k, bad_v), weight),
        value_and_gradients(run, (q, k, v), weight),
        strict=True,
    ):
        same_bits(a, e)


def test_heads_that_share_a_key_see_it_if_one_of_them_does(rng):
    mask = np.ones((1, 2, 3, 5), bool)
    mask[:, 0, :, 4] = False
    q, k, v = (rng.standard_normal(s) for s in ((1, 2, 3, 5), (1, 1, 5, 5), (1, 1, 5, 2)))
    actual = attention(Tensor(q), Tensor(k), Tensor(v), mask)
    np.testing.assert_allclose(
        actual.data, plain(Tensor(q), Tensor(k), Tensor(v), mask).data, rtol=1e-12
    )


def test_weights_do_not_look_at_keys_that_nobody_may_attend_to(rng, same_bits):
    q, k = rng.standard_normal((3, 5)), rng.standard_normal((7, 5))
    real = np.arange(7) < 4
    bad = k.copy()
    bad[4:] = np.nan
    clean = attention_weights(q, k, real[None])
    same_bits(attention_weights(q, bad, real[None]), clean)
    same_bits(attention_weights(q, bad, key_mask=real), clean)


# --- invariants


def test_the_dtype_stays(rng):
    for dtype in (np.float32, np.float64):
        q, k, v = (Tensor(rng.standard_normal((2, 5, 3)).astype(dtype), True) for _ in range(3))
        y = attention(q, k, v, causal=True, scale=np.float64(0.5))
        y.backward(np.ones(y.shape))
        assert {y.dtype, q.grad.dtype, k.grad.dtype, v.grad.dtype} == {np.dtype(dtype)}


def test_inputs_are_left_as_they_are(rng):
    arrays = [rng.standard_normal((2, 3, 19, 5)) for _ in range(3)]
    mask = causal_mask(19)
    g = rng.standard_normal((2, 3, 19, 5))
    before = [a.copy() for a in (*arrays, mask, g)]
    with block_rows(16):
        _, backward = _fused.fused_attention.kernel(
            *arrays, None, Rule((mask[None, None],), causal=True), None
        )
        backward(g)
    for a, b in zip((*arrays, mask, g), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"causal": True},
        {"dropout": 0.2, "causal": True},
        {"key_mask": np.arange(1800) < 1700},
        {"window": 100},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
@pytest.mark.parametrize("T", [1800, 1500])
def test_a_long_sequence_never_holds_a_matrix_of_all_pairs(rng, options, T):
    S, K = 1800, 8
    q, k, v = (Tensor(rng.standard_normal((n, K)).astype(np.float32), True) for n in (T, S, S))
    matrix = T * S  # bytes, one for each pair: not even a mask
    with block_rows(32), train_mode(rng):
        tracemalloc.start()
        try:
            y = attention(q, k, v, **options)
            held, _ = tracemalloc.get_traced_memory()
            y.backward(np.ones(y.shape))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held < matrix / 8
    assert peak < matrix / 2


def test_batched_equals_one_by_one(rng):
    q, k, v = (rng.standard_normal((5, 3, n, 7)) for n in (11, 13, 13))
    mask = rng.random((5, 1, 1, 13)) < 0.7
    together = attention(Tensor(q), Tensor(k), Tensor(v), mask).data
    for b in range(5):
        alone = attention(Tensor(q[b]), Tensor(k[b]), Tensor(v[b]), mask[b]).data
        np.testing.assert_allclose(alone, together[b], rtol=1e-12, atol=1e-13)


# --- dropout


def test_dropout_of_the_weights_in_train_mode_only(rng):
    q, k = rng.standard_normal((3, 23, 5)), rng.standard_normal((3, 29, 5))
    eye = np.broadcast_to(np.eye(29), (3, 29, 29))  # so that the result is the weights
    p = attention_weights(q, k)
    tensors = Tensor(q), Tensor(k), Tensor(eye)
    np.testing.assert_allclose(attention(*tensors, dropout=0.3).data, p, rtol=1e-12)
    with train_mode(rng):
        y = attention(*tensors, dropout=0.3).data
        assert attention(*tensors).data.all()  # without dropout nothing is dropped
    kept = y != 0
    dropped = 19661 / 65536  # the nearest to 0.3 in sixteen bits
    np.testing.assert_allclose(y[kept], p[kept] / (1 - dropped), rtol=1e-12)
    assert 0.65 < kept.mean() < 0.75  # 2001 draws


def test_dropout_is_the_same_in_one_block_and_in_many(rng):
    tensors = [Tensor(rng.standard_normal((2, 37, 5))) for _ in range(3)]
    with train_mode(np.random.default_rng(7)):
        one = attention(*tensors, dropout=0.3, causal=True)
    with train_mode(np.random.default_rng(7)), block_rows(16):
        many = attention(*tensors, dropout=0.3, causal=True)
    np.testing.assert_allclose(many.data, one.data, rtol=1e-12, atol=1e-14)


# --- refusals


@pytest.mark.parametrize("mask", [np.ones((5, 5)), np.ones((5, 5), int), [[True] * 5] * 5])
def test_a_mask_that_is_not_boolean_names_the_fix(mask):
    x = Tensor(np.zeros((5, 3)))
    with pytest.raises(TypeError, match="attention: .*boolean.*ids != pad_id"):
        attention(x, x, x, mask)


@pytest.mark.parametrize(
    ("q", "k", "v", "message"),
    [
        ((5, 3), (7, 2), (7, 2), r"q of shape \(..., T, K\).*got \(5, 3\) and \(7, 2\)"),
        ((3,), (7, 3), (7, 3), r"got \(3,\) and"),
        ((5, 0), (7, 0), (7, 0), r"got \(5, 0\) and"),
        ((5, 3), (7, 3), (6, 3), r"v of shape \(7, 'K'\), one value for each key, got \(6, 3\)"),
        ((2, 5, 3), (3, 7, 3), (3, 7, 3), r"attention: .*\(2, 5, 3\) and \(3, 7, 3\)"),
    ],
)
def test_shapes_that_do_not_fit(q, k, v, message):
    with pytest.raises(ValueError, match=message):
        attention(*(Tensor(np.zeros(shape)) for shape in (q, k, v)))


def test_a_mask_of_two_axes_is_not_guessed():
    q, k = Tensor(np.zeros((2, 3, 5, 4))), Tensor(np.zeros((2, 3, 7, 4)))
    both = r"mask of shape \(2, 3, 5, 7\).*got \({}\); .*key_mask=.*mask\[None, None\]"
    for shape in ((2, 7), (5, 7)):
        with pytest.raises(ValueError, match=both.format(str(shape)[1:-1])):
            attention(q, k, k, np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(7,), (3, 5, 7), (9, 2, 3, 5, 7), (2, 3, 5, 6), (3, 3, 5, 7)])
def test_a_mask_of_the_wrong_shape(shape):
    q, k = Tensor(np.zeros((2, 3, 5, 4))), Tensor(np.zeros((2, 3, 7, 4)))
    with pytest.raises(ValueError, match=r"attention: expected a mask of shape \(2, 3, 5, 7\)"):
        attention(q, k, k, np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 5), (1, 7), (2, 1, 7)])
def test_a_key_mask_of_the_wrong_shape(shape):
    q, k = Tensor(np.zeros((2, 3, 5, 4))), Tensor(np.zeros((2, 3, 7, 4)))
    with pytest.raises(ValueError, match=r"key_mask: expected shape \(2, 7\), which positions"):
        attention(q, k, k, key_mask=np.ones(shape, bool))
    with pytest.raises(TypeError, match="key_mask: expected a boolean mask.*'is real'.*pad_id"):
        attention(q, k, k, key_mask=np.ones((2, 7)))


OPTIONS = [
    ("window", 2.5, ValueError, "window to be a whole number, got 2.5"),
    ("window", math.nan, ValueError, "expected window >= 1, got nan"),
    ("window", "3", TypeError, "window to be a number, got the str '3'"),
    ("window", True, TypeError, "window to be a number, got the bool True"),
    ("cap", math.inf, ValueError, "expected a finite cap > 0, got inf"),
    ("cap", -1.0, ValueError, "expected cap > 0, got -1"),
    ("cap", "3", TypeError, "cap to be a number, got the str '3'"),
    ("scale", math.inf, ValueError, "a finite scale"),
    ("scale", math.nan, ValueError, "scale"),
    ("scale", "1", TypeError, "scale to be a number, got the str '1'"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), OPTIONS)
def test_an_option_that_is_no_number_of_its_kind_is_refused(name, value, error, message):
    x = Tensor(np.ones((1, 2, 5, 4)))
    with pytest.raises(error, match=f"^attention: expected .*{message}|^attention: .*{message}"):
        attention(x, x, x, **{name: value})
    with pytest.raises(error, match=f"^MultiHeadAttention: .*{message}"):
        MultiHeadAttention(8, 2, **{name: value})


def test_slopes_are_finite():
    x = Tensor(np.ones((1, 2, 5, 4)))
    with pytest.raises(ValueError, match="slopes: expected finite numbers, got"):
        attention(x, x, x, slopes=np.array([1.0, np.nan]))


@pytest.mark.parametrize("causal", ["no", None, 1, np.tri(5, dtype=bool)], ids=str)
def test_causality_is_true_or_false(causal):
    x = Tensor(np.ones((1, 2, 5, 4)))
    with pytest.raises(TypeError, match="^causal: expected True or False, got"):
        attention(x, x, x, causal=causal)
    layer = MultiHeadAttention(8, 2)
    with pytest.raises(TypeError, match="^causal: expected True or False, got"):
        layer(Tensor(np.ones((1, 5, 8), np.float32)), causal=causal)


def test_a_tensor_is_no_mask():
    layer = MultiHeadAttention(8, 2)
    x = Tensor(np.ones((1, 5, 8), np.float32))
    for name, shape in [("key_mask", (1, 5)), ("mask", (1, 5, 5))]:
        with pytest.raises(TypeError, match=f"^{name}: .*got a Tensor of dtype bool; .*mask.data"):
            layer(x, **{name: Tensor(np.ones(shape, bool))})


@pytest.mark.parametrize("p", ["0.1", None, True])
def test_a_dropout_that_is_no_number(p):
    x = Tensor(np.ones((1, 2, 5, 4)))
    with pytest.raises(TypeError, match="^attention: expected dropout to be a number, got"):
        attention(x, x, x, dropout=p)


@pytest.mark.parametrize("p", [-0.5, 1.0, 1.5, 0.999999, math.nan, math.inf])
def test_a_dropout_that_is_no_probability_below_one(p):
    x = Tensor(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="attention: expected 0 <= (a finite )?dropout < 1"):
        attention(x, x, x, dropout=p)  # outside of train_mode, too


@pytest.mark.parametrize("c", [1e4, 3e7])
@one_and_many
def test_gradients_of_great_scores_keep_their_digits(c, block):
    # Scores c, c and 0: weights ½, ½ and 0. That c + log 2 is c, rounded, must not matter.
    q, k = np.ones((20, 1), np.float32), np.array([[c], [c], [0]], np.float32)
    v = np.array([[1], [3], [7]], np.float32)
    weight = np.linspace(-1, 2, 20)[:, None]

    def run(dtype):
        arrays = (q.astype(dtype), k.astype(dtype), v.astype(dtype))
        return value_and_gradients(attention, arrays, weight.astype(dtype))

    with block_rows(block):
        actual = run(np.float32)
    expected = run(np.float64)
    np.testing.assert_allclose(
        expected[3][:, 0], weight.sum() * np.array([0.5, 0.5, 0]), atol=1e-12
    )
    np.testing.assert_allclose(
        expected[2][:, 0], weight.sum() * np.array([-0.5, 0.5, 0]), atol=1e-12
    )
    for a, e, unit in zip(actual, expected, (1, c, 1, 1), strict=True):  # dQ is a multiple of K
        np.testing.assert_allclose(a / unit, e / unit, rtol=1e-6, atol=1e-6)


def test_without_gradients_nothing_is_recorded(rng):
    q = Tensor(rng.standard_normal((5, 3)), requires_grad=True)
    with no_grad():
        assert not attention(q, q, q).requires_grad


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_a_query_before_all_real_keys_is_never_looked_at(poison, rng, same_bits):
    # Padding on the left: causality leaves the first query nothing but padding.
    q, k, v = (rng.standard_normal((2, 5, 3)) for _ in range(3))
    mask = np.array([False, True, True, True, True])[None, None, :]

    def run(q):
        tensors = [Tensor(x, requires_grad=True) for x in (q, k, v)]
        y = attention(*tensors, mask=mask, causal=True)
        (y * y).sum().backward()
        return [y.data, *(t.grad for t in tensors)]

    poisoned = q.copy()
    poisoned[:, 0] = poison
    for actual, expected in zip(run(poisoned), run(q), strict=True):
        same_bits(actual, expected)
    assert not run(q)[0][:, 0].any()
