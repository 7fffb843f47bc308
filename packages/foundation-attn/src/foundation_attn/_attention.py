"""Scaled dot-product attention, with its backward.

Every query asks all keys, and gets a mean of their values, in which those weigh most whose keys
answer best:

    scores  = scale · q kᵀ           (T, S)   how well each key answers each query
    weights = softmax(scores)        (T, S)   over the keys that the query may attend to
    output  = weights · v            (T, K)   for each query, a mean of the values

for queries q (T, K), keys k (S, K) and values v (S, K), where ``K`` is the width of a head. Other
axes may stand before these two, mostly ``B`` (batch) and ``H`` (heads); they are written ``...``.

In plain NumPy, with ``allowed`` True where a query may attend to a key:

>>> import numpy as np
>>> def plain_attention(q, k, v, allowed):
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])  # (..., T, S)
...     scores = np.where(allowed, scores, -np.inf)
...     exps = np.exp(scores - scores.max(axis=-1, keepdims=True))  # what is -inf becomes 0
...     weights = exps / exps.sum(axis=-1, keepdims=True)
...     return weights @ v  # (..., T, K)

A row of ``allowed`` without any True gives NaN here, and zeros in the function of this file, which
otherwise does the same:

>>> from foundation_attn import attention
>>> from foundation_nn import Tensor
>>> q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 8))  # (B, H, T, K) each
>>> y = attention(Tensor(q), Tensor(k), Tensor(v), causal=True)
>>> np.allclose(y.data, plain_attention(q, k, v, allowed=np.tri(5, dtype=bool)))
True

The work is shared between these functions. The masks and options of a call travel together as a
``Rule``:

    attention           what callers see: checks its arguments, hides what no query may see
    attend              the same without checks; draws what dropout needs
    fused_attention     the operation, in ``_fused.py``: the three lines block by block, and their
                        gradients
    attention_weights   the weights alone, for looking at; ``weights_by`` is the same without checks
"""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Tensor, current_generator, explains_keywords
from numpy.typing import NDArray

from foundation_attn._blocks import Block, Dropout
from foundation_attn._fused import fused_attention
from foundation_attn._heads import with_equal_lead
from foundation_attn._rule import (
    Rule,
    check_dropout,
    check_masks,
    check_relative_bias,
    check_shapes,
)
from foundation_attn._scores import exp_in_place, scale_of, scores_into
from foundation_attn.masks import Mask, hide_unseen, reach


@explains_keywords
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
    *,
    key_mask: Mask | None = None,
    window: int | None = None,
    slopes: NDArray[Any] | None = None,
    cap: float | None = None,
    relative_bias: Tensor | None = None,
) -> Tensor:
    """softmax(scale · q kᵀ) v, over the keys that each query may attend to [1]_, [2]_.

    Parameters
    ----------
    q : (..., T, K) tensor
    k : (..., S, K) tensor
    v : (..., S, K) tensor
    mask : (..., T, S) bool array, optional
        A pattern: True where a query may attend to a key. It has as many axes as the scores, so
        that nothing has to be guessed; axes of length 1 broadcast.
    causal : bool
        No query sees a later key. The queries are the last T of S positions, so that query t may
        attend to keys s ≤ t + S - T: with T < S, the first S - T keys are those of earlier calls,
        as a cache keeps them.
    scale : float, optional
        1/√K by default.
    dropout : float
        Probability of zeroing a weight, within ``train_mode`` only.
    key_mask : (B, S) bool array, optional
        Padding: True where a key is real, with B the first axis of ``q``; (S,) if there is none.
    window : int, optional
        Only to keys at a distance of less than this many positions [3]_, itself included.
    slopes : (H,) array, optional
        ALiBi: the score of a query at t and a key at s falls by slope · ``abs(t - s)`` [4]_.
        A constant, no parameter; broadcasts to the axes before the last two.
    cap : float, optional
        Scores s become cap · tanh(s / cap), before the slopes: none exceeds the cap [5]_.
    relative_bias : (H, 2L - 1) tensor, optional
        What is added to the score of a query at t and a key at s, by their distance:
        ``relative_bias[h, L - 1 + s - t]``, with L the greater of T and S [6]_. It has a gradient.
        Other axes than the last broadcast to those of the scores before their last two.

    Returns
    -------
    (..., T, K) tensor
        For a query that may attend to nothing the output is zero, and so are the gradients. Such a
        query may itself hold NaN. A key that no query may attend to, and its value, may hold NaN,
        too: they have no influence.

    Raises
    ------
    TypeError
        If a mask is not boolean.
    ValueError
        If shapes do not fit, window or cap is not positive, or dropout is no probability below 1.

    Notes
    -----
    PyTorch's boolean masks of ``scaled_dot_product_attention`` mean the same as ours, those of
    ``nn.MultiheadAttention`` the opposite.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, eq. 1.
    .. [2] T. Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with
       IO-Awareness", NeurIPS 2022, arXiv:2205.14135.
    .. [3] I. Beltagy et al., "Longformer: The Long-Document Transformer", 2020, arXiv:2004.05150.
    .. [4] O. Press et al., "Train Short, Test Long: Attention with Linear Biases Enables Input
       Length Extrapolation", ICLR 2022, arXiv:2108.12409.
    .. [5] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.
    .. [6] C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
       Transformer", JMLR 2020, arXiv:1910.10683, section 2.1.

    Examples
    --------
    The formula in plain NumPy; the top of this file shows it with masks:

    >>> import numpy as np
    >>> q, k, v = np.random.default_rng(0).standard_normal((3, 2, 4, 5, 8))  # (B, H, T, K) each
    >>> exps = np.exp(q @ k.swapaxes(-1, -2) / np.sqrt(8))  # (B, H, T, S)
    >>> weights = exps / exps.sum(axis=-1, keepdims=True)
    >>> np.allclose(attention(Tensor(q), Tensor(k), Tensor(v)).data, weights @ v)
    True
    """
    scores_shape = check_shapes(q.shape, k.shape, v.shape)  # (..., T, S)
    check_dropout("attention", dropout)
    masks = check_masks(key_mask, mask, scores_shape)  # each broadcasts to the scores
    if relative_bias is not None:
        check_relative_bias(relative_bias.shape, scores_shape)
    rule = Rule(masks, causal, scale, window, slopes, cap)
    # A weight of 0 does not hide what holds NaN, because 0 · NaN is NaN.
    q, k, v = hide_unreachable(rule, q, k, v)
    return attend(q, k, v, rule, dropout, relative_bias)


def hide_unreachable(rule: Rule, q: Tensor, k: Tensor, *others: Tensor) -> list[Tensor]:
    """Zeros in place of queries that may attend to nothing, and of keys that no query may see.

    ``others`` belong to the keys, as values do. Returns q, k and the others.
    """
    T = q.shape[-2]
    S = k.shape[-2]
    if rule.reaches_everything(T, S):
        return [q, k, *others]
    attends, seen = reach(rule.masks, T, S, rule.causal, rule.window)  # (..., T) and (..., S)
    return [hide_unseen(q, attends), *[hide_unseen(x, seen) for x in (k, *others)]]


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    rule: Rule,
    dropout: float = 0.0,
    relative_bias: Tensor | None = None,
) -> Tensor:
    """:func:`attention` of arguments that are known to fit, with finite numbers everywhere."""
    rng = current_generator() if dropout else None  # None outside train_mode: nothing is dropped
    if rng is None:
        return fused_attention(q, k, v, relative_bias, rule, None)
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    drawn = Dropout(rng, dropout, shape=(*lead, q.shape[-2], k.shape[-2]))
    return fused_attention(q, k, v, relative_bias, rule, drawn)


# --- for looking at


def attention_weights(
    q: NDArray[Any],
    k: NDArray[Any],
    mask: Mask | None = None,
    causal: bool = False,
    scale: float | None = None,
    *,
    key_mask: Mask | None = None,
    window: int | None = None,
    slopes: NDArray[Any] | None = None,
    cap: float | None = None,
    relative_bias: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """The weights softmax(scale · q kᵀ) themselves, shape (..., T, S).

    For looking at; :func:`attention` does not hold them for long sequences. Parameters as there.
    """
    scores_shape = check_shapes(q.shape, k.shape, k.shape)
    masks = check_masks(key_mask, mask, scores_shape)
    if relative_bias is not None:
        check_relative_bias(relative_bias.shape, scores_shape)
    rule = Rule(masks, causal, scale, window, slopes, cap)
    queries, keys = hide_unreachable(rule, Tensor.wrap(q), Tensor.wrap(k))
    return weights_by(rule, queries.data, keys.data, relative_bias)


def weights_by(
    rule: Rule, q: NDArray[Any], k: NDArray[Any], relative_bias: NDArray[Any] | None = None
) -> NDArray[Any]:
    """:func:`attention_weights` of arguments that are known to fit.

    These are the first two of the three lines: scores, and their softmax. The operation in
    ``_fused.py`` computes all three for a block of rows at a time.
    """
    (q, k), lead = with_equal_lead(q, k)
    T, S = q.shape[-2], k.shape[-2]
    scale = q.dtype.type(scale_of(q, rule))
    scores: NDArray[Any] = np.empty((*lead, T, S), q.dtype)
    scores_into(scores, q, k, relative_bias, scale, rule, Block.whole(lead, T, S))
    exps, _, total = exp_in_place(scores)
    weights: NDArray[Any] = np.divide(exps, total, out=exps)
    return weights
