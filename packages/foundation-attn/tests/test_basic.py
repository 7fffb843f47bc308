"""Scores, softmax and context by hand, against loops, and against finite differences."""

import math

import numpy as np
import pytest
from foundation_attn import (
    SelfAttention,
    additive_score,
    attention,
    capture_attention,
    dot_score,
    general_score,
    masked_softmax,
    score_attention,
)
from foundation_nn import Tensor, gradcheck


def weights_of(rng, D=3, M=5, A=7):
    return {
        "general": [rng.standard_normal((D, M))],
        "additive": [rng.standard_normal(s) for s in ((A, D), (A, M), (A,))],
        "dot": [],
    }


SCORES = {"dot": dot_score, "general": general_score, "additive": additive_score}
FORMULAS = {
    "dot": lambda q, k: q @ k,
    "general": lambda q, k, w: q @ w @ k,
    "additive": lambda q, k, wq, wk, v: v @ np.tanh(wq @ q + wk @ k),
}
every_score = pytest.mark.parametrize("kind", list(SCORES))


def inputs(rng, kind, B=2, T=3, S=4):
    M = 3 if kind == "dot" else 5
    return rng.standard_normal((B, T, 3)), rng.standard_normal((B, S, M))


@every_score
def test_one_pair_at_a_time(rng, kind):
    q, k = inputs(rng, kind)
    w = weights_of(rng)[kind]
    s = SCORES[kind](*map(Tensor, (q, k, *w))).data
    assert s.shape == (2, 3, 4)
    for b, t, j in np.ndindex(s.shape):
        np.testing.assert_allclose(s[b, t, j], FORMULAS[kind](q[b, t], k[b, j], *w), rtol=1e-12)


@every_score
@pytest.mark.parametrize(("T", "S"), [(3, 4), (1, 1), (0, 4), (3, 0)])
def test_gradcheck(rng, kind, T, S):
    q, k = inputs(rng, kind, T=T, S=S)
    assert gradcheck(SCORES[kind], q, k, *weights_of(rng)[kind])


def test_additive_by_hand():
    q, k = Tensor([[[1.0]]]), Tensor([[[2.0], [-1.0]]])
    one = Tensor([[1.0]])
    s = additive_score(q, k, one, one, Tensor([3.0]))
    np.testing.assert_allclose(s.data, [[[3 * math.tanh(3), 0.0]]], rtol=1e-6)


# --- softmax


def test_softmax_among_what_is_allowed():
    s = Tensor(np.array([[0.0, math.log(3), 50.0]]))
    mask = np.array([[True, True, False]])
    np.testing.assert_allclose(masked_softmax(s, mask).data, [[0.25, 0.75, 0]], rtol=1e-15)
    assert masked_softmax(s, np.zeros((1, 3), bool)).data.tolist() == [[0, 0, 0]]
    np.testing.assert_allclose(masked_softmax(s).data.sum(), 1)


def test_gradcheck_of_the_softmax(rng):
    mask = rng.random((2, 3, 5)) < 0.6
    mask[0, 1] = False
    assert gradcheck(lambda s: masked_softmax(s, mask), rng.standard_normal((2, 3, 5)))
    assert gradcheck(masked_softmax, rng.standard_normal((2, 0)))


def test_masked_softmax_names_what_it_takes_instead_of_two_axes():
    scores, mask = Tensor(np.zeros((2, 3, 5))), np.arange(5) < np.array([[5], [2]])
    with pytest.raises(ValueError, match=r"\(B, S\) as mask\[:, None\], .* as mask=mask\[None\]$"):
        masked_softmax(scores, mask)
    p = masked_softmax(scores, mask[:, None]).data
    np.testing.assert_allclose(p[:, 0], [[0.2] * 5, [0.5, 0.5, 0, 0, 0]])


def test_huge_scores(rng):
    p = masked_softmax(Tensor(np.array([[1e30, -1e30, 1e30]])))
    assert p.data.tolist() == [[0.5, 0, 0.5]]


# --- weighing


def test_scaled_dot_products_are_attention(rng):
    q, k, v = (rng.standard_normal(s) for s in ((2, 3, 5), (2, 7, 5), (2, 7, 2)))
    mask = rng.random((2, 3, 7)) < 0.6
    context, _ = score_attention(
        lambda a, b: dot_score(a, b) * (1 / math.sqrt(5)), *map(Tensor, (q, k, v)), mask=mask
    )
    expected = attention(*map(Tensor, (q, k, v)), mask).data
    np.testing.assert_allclose(context.data, expected, rtol=1e-12, atol=1e-14)


@every_score
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
def test_padding_is_invisible(rng, same_bits, kind, poison):
    q, k = inputs(rng, kind)
    v, w = rng.standard_normal((2, 4, 2)), [Tensor(a) for a in weights_of(rng)[kind]]
    mask = (np.arange(4) < np.array([[2], [4]]))[:, None]
    found = []
    for bad in (0.5, poison):
        k, v = k.copy(), v.copy()
        k[0, 2:] = v[0, 2:] = bad
        tensors = [Tensor(a, requires_grad=True) for a in (q, k, v)]
        context, p = score_attention(lambda a, b: SCORES[kind](a, b, *w), *tensors, mask=mask)
        context.backward(np.ones(context.shape))
        found.append([context.data, p.data, *(t.grad for t in tensors)])
    for a, e in zip(*found, strict=True):
        same_bits(a, e)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: dot_score(x[0], x[1]), r"dot_score: .*\(2, 3, 3\) and \(2, 4, 5\)"),
        (lambda x: dot_score(x[0], x[1][:1]), "dot_score"),
        (lambda x: general_score(x[0], x[1], Tensor(np.zeros((2, 5)))), r"weight of shape \(D=3"),
        (lambda x: score_attention(dot_score, x[0], x[0], x[1]), "a value for each key"),
    ],
)
def test_shapes_that_do_not_fit(rng, call, message):
    with pytest.raises(ValueError, match=message):
        call([Tensor(a) for a in inputs(rng, "general")])


def test_a_mask_that_is_not_boolean(rng):
    q = Tensor(rng.standard_normal((2, 3, 3)))
    with pytest.raises(TypeError, match="score_attention: .*boolean"):
        score_attention(dot_score, q, q, q, mask=np.ones((2, 3, 3)))
    with pytest.raises(TypeError, match="key_mask: .*boolean"):
        score_attention(dot_score, q, q, q, np.ones((2, 3)))
    # 0 and -inf, as they are added elsewhere, would mean the opposite.
    with pytest.raises(TypeError, match="masked_softmax: .*boolean.*float64"):
        masked_softmax(q, np.zeros((2, 3, 3)))


def test_a_mask_of_two_axes_is_not_guessed(rng):
    q = Tensor(rng.standard_normal((3, 3, 3)))  # it could be padding or a pattern
    for call in (
        lambda mask: score_attention(dot_score, q, q, q, mask=mask),
        lambda mask: SelfAttention(3).astype(np.float64)(q, mask=mask),
    ):
        with pytest.raises(ValueError, match=r"got \(3, 3\); two axes .*key_mask=.*mask\[None\]"):
            call(np.ones((3, 3), bool))


# --- one head


def test_one_head_is_the_formula(rng):
    layer = SelfAttention(6, rng=rng).astype(np.float64)
    x = rng.standard_normal((2, 5, 6))
    mask = np.arange(5) < np.array([[3], [5]])
    q, k, v = (Tensor(x @ p.data.T) for p in layer.parameters())
    for causal in (False, True):
        with capture_attention(layer) as maps:
            y = layer(Tensor(x), mask, causal=causal)
        expected = attention(q, k, v, causal=causal, key_mask=mask).data * mask[..., None]
        np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(maps[0].weights[:, 0] @ v.data, expected, rtol=1e-12)
    assert gradcheck(layer, x)


def test_one_head_of_the_wrong_width():
    with pytest.raises(ValueError, match=r"x of shape \(B, T, D=6\), got \(2, 5, 7\)"):
        SelfAttention(6)(Tensor(np.zeros((2, 5, 7), np.float32)))
