"""Chapter 3: attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_attn import MultiHeadAttention
from foundation_attn import attention as library_attention
from foundation_nn import Tensor, operation


def plain_softmax(x: Any, axis: int | None = -1) -> Any:
    """What a softmax over the given axis gives; None: over everything."""
    exps = np.exp(x - x.max())
    return exps / exps.sum(axis=axis, keepdims=True)


def softmax(work: Work, step: Steps) -> None:
    thirds = np.array([0.0, np.log(3.0)])
    step.same(
        "the scores 0 and log 3, whose exponentials are 1 and 3",
        work.softmax(thirds),
        [0.25, 0.75],
        "1 / (1 + 3) and 3 / (1 + 3).",
        {
            "These are the exponentials. Divide them by their sum.": [1, 3],
            "These are exponentials of which the largest is 1. Divide them by their sum.": [
                1 / 3,
                1,
            ],
        },
    )
    table = np.log(np.array([[1.0, 3.0, 1.0], [3.0, 3.0, 3.0]]))
    step.same(
        "two rows, each a softmax of its own",
        work.softmax(table),
        [[0.2, 0.6, 0.2], [1 / 3, 1 / 3, 1 / 3]],
        "Maximum and sum belong to each row: axis=-1, keepdims=True.",
        {
            "The columns add up to 1, not the rows: the axis is -1, the last one.": (
                plain_softmax(table, axis=0)
            ),
            "All weights together add up to 1. Every row should: sum(axis=-1, keepdims=True).": (
                plain_softmax(table, axis=None)
            ),
        },
    )
    step.same(
        "scores as large as 1000",
        work.softmax(np.array([1000.0, 1000.0 + np.log(3.0)])),
        [0.25, 0.75],
        "Subtract the largest score of the row before np.exp: only differences matter.",
        {"exp(1000) overflows. Subtract the largest score of the row first.": [np.nan, np.nan]},
    )
    uneven = np.array([[0.0, 0.0], [-2000.0, -2000.0]])
    step.same(
        "one row far below the other",
        work.softmax(uneven),
        [[0.5, 0.5], [0.5, 0.5]],
        "Subtract the maximum of each row, not that of the whole array: in a row far below it all "
        "exponentials are 0, and 0 / 0 is no number.",
    )
    scores = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    step.same(
        "a batch with heads, (2, 3, 5, 7)",
        work.softmax(scores),
        plain_softmax(scores),
        "Whatever axes stand in front, the last one is the one that counts: axis=-1, and not 1.",
    )


def scaled_attention(work: Work, step: Steps) -> None:
    q = np.array([[2.0, 0.0, 0.0, 0.0]])  # K = 4, so that √K = 2
    k = np.array([[0.0, 1.0, 0.0, 0.0], [np.log(3.0), 0.0, 0.0, 0.0]])
    v = np.array([[4.0, 0.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0]])
    returned = work.attention(q, k, v)
    step.holds(
        "it returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "The output and the weights: return output, weights.",
    )
    output, weights = returned
    step.same(
        "one query and two keys of width 4: the scores are 0 and log 3",
        weights,
        [[0.25, 0.75]],
        "scores = q kᵀ / √4 = [0, log 3]; their exponentials are 1 and 3.",
        {
            "The scores were not divided by √K, so the weights are too sharp.": [[0.1, 0.9]],
            "The scores were divided by K; it is the root of K.": plain_softmax(
                np.array([[0.0, np.log(3.0) / 2]])
            ),
            "The softmax ran over the queries. Each query shares its weight among the keys, the "
            "last axis.": [[1, 1]],
            "These are the scores. The softmax makes weights of them.": [[0, np.log(3.0)]],
            "This is the output. Return the output first and the weights second.": [[1, 3, 0, 0]],
        },
    )
    step.same(
        "the output: a quarter of the first value and three quarters of the second",
        output,
        [[1, 3, 0, 0]],
        "output = weights @ v.",
    )
    rng = np.random.default_rng(0)
    q = rng.standard_normal((3, 5))
    k, v = rng.standard_normal((2, 7, 5))
    output, weights = work.attention(q, k, v)
    step.holds(
        "every query's weights add up to 1",
        np.allclose(np.sum(weights, axis=-1), 1),
        "The softmax runs over the keys, the last axis of the scores.",
        "1 for each of 3 queries",
        str(np.sum(weights, axis=-1).round(3)),
    )
    order = rng.permutation(7)
    shuffled, _ = work.attention(q, k[order], v[order])
    step.same(
        "in another order of keys and values the output is the same",
        shuffled,
        output,
        "Nothing in attention depends on the order of the keys.",
    )
    q = rng.standard_normal((2, 3, 4, 5))
    k, v = rng.standard_normal((2, 2, 3, 7, 5))
    step.same(
        "with batch and heads, as foundation_attn.attention gives it",
        work.attention(q, k, v)[0],
        library_attention(Tensor(q), Tensor(k), Tensor(v)),
        "Only the last two axes of k change places, k.swapaxes(-1, -2); k.T turns all axes round.",
    )


def masked_softmax(work: Work, step: Steps) -> None:
    scores = np.array([[0.0, np.log(3.0), np.log(4.0)]])
    mask = np.array([[True, True, False]])
    step.same(
        "the third key is hidden; the exponentials of the others are 1 and 3",
        work.masked_softmax(scores, mask),
        [[0.25, 0.75, 0.0]],
        "The hidden key gets the score -np.inf before the softmax.",
        {
            "The mask has no effect.": plain_softmax(scores),
            "The mask is used the wrong way round: True means that a key may be seen.": [[0, 0, 1]],
            "The weights were hidden after the softmax, so they do not add up to 1. Hide the "
            "scores before it.": [[1 / 8, 3 / 8, 0]],
            "A score of 0 still has the exponential 1. Use -np.inf.": [[0.2, 0.6, 0.2]],
        },
    )
    step.same(
        "a row in which every key is hidden",
        work.masked_softmax(
            np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[False] * 2, [True] * 2])
        ),
        [[0, 0], [0.5, 0.5]],
        "The weights of such a row are zero, and the other rows are not concerned.",
        {
            "The largest score of a hidden row is -inf, and -inf minus -inf is not a number. "
            "Subtract 0 where the maximum is not finite, and divide by 1 where the sum is "
            "0.": [[np.nan, np.nan], [0.5, 0.5]],
            "With a large negative number instead of -inf, a row without any key attends to all "
            "of them.": [[0.5, 0.5], [0.5, 0.5]],
            "The softmax ignored the mask in this row.": [
                plain_softmax(np.array([1.0, 2.0])),
                [0.5, 0.5],
            ],
        },
    )
    poisoned = np.array([[0.0, np.log(3.0), np.nan], [1e30, 0.0, 0.0]])
    step.same(
        "what stands in hidden places has no influence, even if it is NaN or 1e30",
        work.masked_softmax(poisoned, np.array([[True, True, False], [False, True, True]])),
        [[0.25, 0.75, 0.0], [0.0, 0.5, 0.5]],
        "Put -np.inf in their place with np.where, before anything is computed: NaN survives "
        "every addition and every product, also one with 0.",
    )


def causal_mask(work: Work, step: Steps) -> None:
    mask = work.causal_mask(3, 3)
    step.same(
        "three queries, three keys",
        mask,
        np.tri(3, dtype=bool),
        "Query 0 sees key 0, query 1 sees keys 0 and 1, query 2 sees all.",
        {
            "A query sees itself, too: s ≤ t, not s < t.": np.tri(3, k=-1, dtype=bool),
            "This shows the future and hides the past: rows are queries, columns are keys.": (
                np.tri(3, dtype=bool).T
            ),
            "This is the opposite: True means that a key may be seen.": ~np.tri(3, dtype=bool),
        },
    )
    step.holds(
        "the mask is boolean",
        mask.dtype == bool,
        "A comparison, such as keys <= queries, gives booleans. In this library a mask of numbers "
        "is refused, because -inf and 0 could be meant as well.",
        "dtype bool",
        f"dtype {mask.dtype}",
    )
    step.same(
        "the last two of five positions ask",
        work.causal_mask(2, 5),
        [[True, True, True, True, False], [True] * 5],
        "The queries stand at the positions S - T to S - 1, here 3 and 4.",
        {
            "The first query is taken for position 0. It stands at S - T, behind the positions "
            "in the cache.": np.tri(2, 5, dtype=bool)
        },
    )
    step.same(
        "one query that asks a cache of four",
        work.causal_mask(1, 4),
        [[True] * 4],
        "The newest position sees all of them.",
    )
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 1, 1, 6, 4))
    before = library_attention(
        Tensor(q), Tensor(k), Tensor(v), mask=work.causal_mask(6, 6)[None, None]
    )
    k[..., 4:, :] = 9.0
    v[..., 4:, :] = 9.0
    after = library_attention(
        Tensor(q), Tensor(k), Tensor(v), mask=work.causal_mask(6, 6)[None, None]
    )
    step.same(
        "with other words at the positions 4 and 5, the outputs up to 3 stay the same",
        after.numpy()[..., :4, :],
        before.numpy()[..., :4, :],
        "Some query up to position 3 sees a key behind it.",
    )


def heads(work: Work, step: Steps) -> None:
    x = np.arange(12.0).reshape(1, 3, 4)  # one sequence of three positions, width 4
    step.same(
        "three positions of width 4, cut into two heads",
        work.split_heads(x, 2),
        [[[[0, 1], [4, 5], [8, 9]], [[2, 3], [6, 7], [10, 11]]]],
        "Position 0 is 0 1 2 3: head 0 owns 0 1, head 1 owns 2 3.",
        {
            "A reshape straight to (B, H, T, K) mixes positions: head 0 would hold all of "
            "position 0. Reshape to (B, T, H, K) first, then swap T and H.": x.reshape(1, 2, 3, 2),
            "This is (B, T, H, K). Swap the axes of T and H, so that heads come before "
            "positions.": x.reshape(1, 3, 2, 2),
        },
    )
    cut = np.arange(12.0).reshape(1, 3, 2, 2).swapaxes(1, 2)
    step.same(
        "the way back",
        work.merge_heads(cut),
        x,
        "Swap T and H, then put the heads beside each other: (B, T, H, K) → (B, T, H·K).",
        {
            "The axes were not swapped back before the reshape: (B, H, T, K) → (B, T, H, K) "
            "comes first.": cut.reshape(1, 3, 4)
        },
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 12))
    step.same(
        "split and merge undo each other",
        work.merge_heads(work.split_heads(x, 3)),
        x,
        "merge_heads(split_heads(x)) is x.",
    )
    layer = MultiHeadAttention(12, 3, rng=rng).astype(np.float64)
    q, k, v = (x @ w.T for w in np.split(layer.in_proj_weight.numpy(), 3))
    q, k, v = (Tensor(work.split_heads(part, 3)) for part in (q, k, v))
    merged = work.merge_heads(library_attention(q, k, v).numpy())
    step.same(
        "three heads, as foundation_attn.MultiHeadAttention computes them",
        merged @ layer.out_proj.weight.numpy().T,
        layer(Tensor(x)),
        "The pieces are right for small arrays; try a batch of two.",
    )


def softmax_backward(work: Work, step: Steps) -> None:
    x = np.array([[0.0, np.log(3.0)]])  # y = 1/4, 3/4
    _, backward = work.softmax(x)
    y = np.array([[0.25, 0.75]])
    g = np.array([[1.0, 0.0]])
    step.same(
        "y = (1/4, 3/4) and g = (1, 0)",
        backward(g),
        [[3 / 16, -3 / 16]],
        "The weighted mean of g is 1/4; dx = (1/4 · (1 - 1/4), 3/4 · (0 - 1/4)).",
        {
            "Only the slope of each weight towards its own score: y (1 - y) g. The other "
            "scores have an influence, too.": g * y * (1 - y),
            "The weighted mean of g has to be subtracted: g minus the sum of g y.": g * y,
            "The factor y in front is missing.": [[3 / 4, -1 / 4]],
        },
    )
    step.same(
        "a g that is the same for all weights",
        backward(np.array([[5.0, 5.0]])),
        [[0, 0]],
        "The weights always add up to 1, so nothing changes: the slopes are 0.",
    )
    step.gradients(
        "three rows of five agree with finite differences",
        operation(work.softmax.function),
        np.random.default_rng(0).standard_normal((3, 5)),
        look_at="Each row has its own weighted mean: sum(axis=-1, keepdims=True).",
    )
