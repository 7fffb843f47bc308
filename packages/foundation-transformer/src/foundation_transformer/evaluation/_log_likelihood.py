"""How likely texts are after a prompt, which is read once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from foundation_nn import Tensor, no_grad
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.evaluation._blocks import blocks


class LogLikelihood(NamedTuple):
    """What a model makes of a text after a prompt.

    Attributes
    ----------
    total : float
        Σ log p(token | prompt and the tokens before it), in nats; never above 0.
    num_tokens : int
    is_greedy : bool
        Whether each token is the likeliest at its place, so that greedy decoding would write it.
    """

    total: float
    num_tokens: int
    is_greedy: bool


def log_likelihoods(
    model: CausalLM, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> list[LogLikelihood]:
    """The log-likelihood of each continuation of a prompt.

    The prompt is read once. Its keys and values then stand before every continuation, which are the
    rows of one batch. What a text costs is therefore its own tokens, whatever stands before it.

    Parameters
    ----------
    model : CausalLM
    prompt : sequence of T int
        With what the model reads before every text, such as ``tokenizer.frame.before``.
    continuations : sequence of sequences of int
        Of any lengths.

    Returns
    -------
    list of LogLikelihood

    Raises
    ------
    ContextLengthError
        If prompt and continuation are longer than the model's positions.
    ValueError
        If the prompt or a continuation is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> config = TransformerConfig.gpt2(vocab_size=11, d_model=8, num_heads=2, num_layers=2)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> prompt, continuations = [3, 1, 4], [[1, 5], [9]]
    >>> found = log_likelihoods(model, prompt, continuations)

    The formula in plain NumPy, for the first of them:

    >>> logits = model(np.array([[3, 1, 4, 1, 5]])).data[0]  # (5, V): of the token after each
    >>> log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    >>> np.allclose(found[0].total, log_p[2, 1] + log_p[3, 5])
    True
    """
    if not len(prompt):
        raise ValueError(
            "log_likelihoods: expected at least one token before the continuations, got an empty "
            "prompt; begin with bos_id"
        )
    lengths = [len(row) for row in continuations]
    if not all(lengths):
        raise ValueError(f"log_likelihoods: continuation {lengths.index(0)} has no token")
    if not lengths:
        return []
    count, longest = len(lengths), max(lengths)
    targets = np.zeros((count, longest), np.int64)  # padded on the right, which no real token sees
    for row, ids in zip(targets, continuations, strict=True):
        row[: len(ids)] = ids
    rows = np.array([prompt], np.int64)  # (1, T)
    first, state = model.start(rows, np.array([len(prompt)]), capacity=len(prompt) + longest)
    totals = np.zeros((count, longest))
    best = np.zeros((count, longest), bool)
    # The first token of each is foretold by the prompt; those after it by what stands before them.
    log_p = _log_softmax(first[0])  # (V,)
    totals[:, 0] = log_p[targets[:, 0]]
    best[:, 0] = log_p.argmax() == targets[:, 0]
    if longest > 1:
        state = model.select(state, np.zeros(count, np.int64))  # the prompt, for each row
        hidden = model.append(state, targets[:, :-1]).data  # (count, longest - 1, D)
        real = np.arange(1, longest) < np.array(lengths)[:, None]
        totals[:, 1:][real], best[:, 1:][real] = _of_targets(
            model, hidden[real], targets[:, 1:][real]
        )
    return [
        LogLikelihood(float(totals[i, :length].sum()), length, bool(best[i, :length].all()))
        for i, length in enumerate(lengths)
    ]


def _of_targets(
    model: CausalLM, hidden: NDArray[np.floating], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """log p of each target (N,), and whether it is the likeliest token, from hidden (N, D)."""
    found = np.empty(len(targets))
    best = np.empty(len(targets), bool)
    for rows in blocks(len(targets), model.config.vocab_size):
        with no_grad():
            log_p = _log_softmax(model.logits(Tensor(hidden[rows])).data)  # (rows, V)
        found[rows] = np.take_along_axis(log_p, targets[rows, None], axis=1)[:, 0]
        best[rows] = log_p.argmax(axis=1) == targets[rows]
    return found, best


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    log_p: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_p


def encode_after(
    encode: Callable[[str], Sequence[int]], prompt: str, continuation: str
) -> tuple[list[int], list[int]]:
    """The ids of a prompt, and those of what follows it, cut where the prompt's tokens end.

    A tokenizer may join the last letters of one text to the first of the next, and most join a
    space to the word behind it. So spaces at the end of the prompt go to the continuation, both
    are encoded together, and as many tokens are taken off as the prompt alone has: that is what
    the lm-eval harness does [1]_, and therefore numbers can be compared.

    Returns
    -------
    prompt, continuation : lists of int
        If joining leaves no token for the continuation, it is encoded by itself.

    References
    ----------
    .. [1] L. Gao et al., "A framework for few-shot language model evaluation", 2021,
       ``TemplateLM._encode_pair``.

    Examples
    --------
    >>> def encode(text):  # words with the space before them are tokens
    ...     return [len(word) for word in text.replace(" ", "| ").split("|") if word]
    >>> encode_after(encode, "ab cd ", "efg")
    ([2, 3], [4])
    """
    bare = prompt.rstrip()
    continuation = prompt[len(bare) :] + continuation
    before = list(encode(bare))
    after = list(encode(bare + continuation))[len(before) :]
    return before, after or list(encode(continuation))
