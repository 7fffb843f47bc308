"""Chapter 8: language models and writing."""

from __future__ import annotations

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_attn import attention as library_attention
from foundation_nn import Tensor
from foundation_seq import SamplingConfig, token_probabilities


def temperature(work: Work, step: Steps) -> None:
    logits = np.log(np.array([1.0, 2.0, 3.0]))
    step.same(
        "temperature 1: the shares of 1, 2 and 3",
        work.probabilities(logits, 1.0),
        [1 / 6, 2 / 6, 3 / 6],
        "softmax(logits).",
    )
    step.same(
        "temperature 1/2: the shares of 1, 4 and 9",
        work.probabilities(logits, 0.5),
        [1 / 14, 4 / 14, 9 / 14],
        "Dividing a logarithm by 1/2 doubles it, which squares the number.",
        {
            "The logits were multiplied by the temperature. Divide them.": (
                np.sqrt([1, 2, 3]) / np.sqrt([1, 2, 3]).sum()
            ),
            "The temperature has no effect. If it divides probabilities, it cancels: divide the "
            "logits, before the softmax.": [1 / 6, 2 / 6, 3 / 6],
            "The probabilities were divided by the temperature. Divide the logits, before the "
            "softmax.": [2 / 6, 4 / 6, 6 / 6],
        },
    )
    step.same(
        "temperature 2: the shares of the roots",
        work.probabilities(logits, 2.0),
        np.sqrt([1, 2, 3]) / np.sqrt([1, 2, 3]).sum(),
        "Halving a logarithm takes the root of the number.",
    )
    step.same(
        "temperature 0.001: only the likeliest is left",
        work.probabilities(np.array([1.0, 2.0, 3.0]), 0.001),
        [0, 0, 1],
        "Subtract the largest logit before np.exp.",
        {"exp(3000) overflows: subtract the largest one first.": [np.nan] * 3},
    )
    logits = np.random.default_rng(0).standard_normal(11)
    step.same(
        "as foundation_seq.token_probabilities",
        work.probabilities(logits, 0.7),
        token_probabilities(logits[None], SamplingConfig(temperature=0.7))[0],
        "p = softmax(logits / T).",
    )


def top_k(work: Work, step: Steps) -> None:
    p = np.array([0.1, 0.5, 0.15, 0.25])
    step.same(
        "the two likeliest of 0.1, 0.5, 0.15 and 0.25",
        work.top_k(p, 2),
        [0, 2 / 3, 0, 1 / 3],
        "0.5 and 0.25 are left; divided by 0.75.",
        {
            "What is left has to add up to 1 again: divide by its sum.": [0, 0.5, 0, 0.25],
            "The unlikeliest were kept. Sort by -p.": [0.4, 0, 0.6, 0],
            "The words have changed their places. Each keeps its own.": [2 / 3, 1 / 3, 0, 0],
            "These are the numbers that are left alone. The others stay, with probability 0.": [
                2 / 3,
                1 / 3,
            ],
        },
    )
    step.same(
        "three equally likely words, of which two are kept",
        work.top_k(np.array([0.2, 0.2, 0.4, 0.2]), 2),
        [1 / 3, 0, 2 / 3, 0],
        "Of equal ones those with the lower id stay; exactly k are left.",
        {
            "More than k were kept, because some are equal. Choose ids, not a smallest "
            "probability.": [0.2, 0.2, 0.4, 0.2],
            "Of equal ones the lower id should stay: argsort(-p, kind='stable').": [
                0,
                0,
                2 / 3,
                1 / 3,
            ],
        },
    )
    step.same(
        "a k that is larger than the vocabulary",
        work.top_k(p, 9),
        p,
        "Then nothing changes.",
    )
    p = np.random.default_rng(0).dirichlet(np.ones(13))
    step.same(
        "as foundation_seq.token_probabilities",
        work.top_k(p, 5),
        token_probabilities(np.log(p)[None], SamplingConfig(top_k=5))[0],
        "The same five words.",
    )


def top_p(work: Work, step: Steps) -> None:
    p = np.array([0.05, 0.5, 0.15, 0.3])
    step.same(
        "0.05, 0.5, 0.15 and 0.3 with the threshold 0.7",
        work.top_p(p, 0.7),
        [0, 0.625, 0, 0.375],
        "0.5 is not enough, 0.5 + 0.3 = 0.8 is; 0.5 / 0.8 and 0.3 / 0.8.",
        {
            "The word with which the sum reaches the threshold is kept, too.": [0, 1, 0, 0],
            "What is left has to add up to 1 again: divide by its sum.": [0, 0.5, 0, 0.3],
            "The words were taken in the order of their ids. Sort them, the likeliest first.": [
                0.05 / 0.7,
                0.5 / 0.7,
                0.15 / 0.7,
                0,
            ],
            "The words have changed their places. Each keeps its own.": [0.625, 0.375, 0, 0],
        },
    )
    step.same(
        "a threshold of 0.3, which the likeliest alone reaches",
        work.top_p(p, 0.3),
        [0, 1, 0, 0],
        "The likeliest is always kept.",
        {"Nothing was kept, and 0 / 0 is no number. The likeliest always stays.": [np.nan] * 4},
    )
    step.same(
        "a threshold that is reached exactly: 0.5 with 0.5",
        work.top_p(np.array([0.25, 0.5, 0.25]), 0.5),
        [0, 1, 0],
        "At least the threshold: 0.5 is enough. A word stays if the sum before it is below.",
        {"One word too many: with 0.5 the threshold is reached.": [1 / 3, 2 / 3, 0]},
    )
    step.same("a threshold of 1 keeps all", work.top_p(p, 1.0), p, "Nothing changes.")
    p = np.random.default_rng(0).dirichlet(np.ones(13))
    step.same(
        "as foundation_seq.token_probabilities",
        work.top_p(p, 0.8),
        token_probabilities(np.log(p)[None], SamplingConfig(top_p=0.8))[0],
        "The same words.",
    )


def perplexity(work: Work, step: Steps) -> None:
    half = np.log(0.5)
    step.same(
        "words that each had the probability 1/2",
        work.perplexity(np.full((1, 3), half), np.ones((1, 3), dtype=bool)),
        2.0,
        "exp(-mean of log 1/2) = exp(log 2).",
        {
            "The sign is missing: exp of minus the mean.": 0.5,
            "This is the loss. The perplexity is its exponential.": np.log(2.0),
            "This is exp of the sum. Take the mean.": 8.0,
        },
    )
    log_probs = np.log(np.array([[0.5, 0.125], [0.25, 0.9]]))
    mask = np.array([[True, True], [True, False]])
    step.same(
        "the probabilities 1/2, 1/8 and 1/4; the fourth is padding",
        work.perplexity(log_probs, mask),
        4.0,
        "The mean of log 2, log 8 and log 4 is log 4.",
        {
            "Padding was counted. Choose the real words: log_probs[mask].": np.exp(
                -log_probs.mean()
            ),
            "Padding was left out of the sum and not of the number of words: divide by "
            "mask.sum().": np.exp(np.log(64) / 4),
            "This is the mean of 1 / P. Take the mean of the logarithms.": (2 + 8 + 4) / 3,
        },
    )
    log_probs = np.log(np.array([[0.5, 0.5, 0.5], [0.125, 1.0, 1.0]]))
    mask = np.array([[True, True, True], [True, False, False]])
    step.same(
        "a text of three words and one of one word",
        work.perplexity(log_probs, mask),
        np.exp((3 * np.log(2) + np.log(8)) / 4),
        "The mean is over the four words, not over the two texts.",
        {
            "First a mean for each text, then the mean of these: all words should count "
            "alike.": np.exp((np.log(2) + np.log(8)) / 2),
            "This is the mean of the perplexities of the texts.": (2 + 8) / 2,
        },
    )
    log_probs[1, 1:] = np.nan
    step.same(
        "NaN in padding",
        work.perplexity(log_probs, mask),
        np.exp((3 * np.log(2) + np.log(8)) / 4),
        "NaN times 0 is NaN. Choose the real words with log_probs[mask].",
    )


def cache(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    w_q, w_k, w_v = rng.standard_normal((3, 4, 4))
    words = rng.standard_normal((5, 4))
    empty = np.zeros((0, 4))
    returned = work.attend(words[0], empty, empty, w_q, w_k, w_v)
    step.holds(
        "it returns three arrays",
        isinstance(returned, tuple) and len(returned) == 3,
        "return output, keys, values.",
    )
    output, keys, values = returned
    step.same(
        "the first word: the cache holds its key",
        keys,
        [w_k @ words[0]],
        "keys = np.vstack([keys, w_k @ x]).",
        {
            "The cache is still empty. Append the new key before anything else.": empty,
            "The word itself was kept instead of its key, W_k x.": words[:1],
        },
    )
    step.same(
        "the first word: the cache holds its value",
        values,
        [w_v @ words[0]],
        "values = np.vstack([values, w_v @ x]).",
    )
    step.same(
        "the first word sees itself alone, so the output is its value",
        output,
        w_v @ words[0],
        "The weight of a single key is 1.",
    )
    q, k, v = words @ w_q.T, words @ w_k.T, words @ w_v.T
    whole = library_attention(Tensor(q), Tensor(k), Tensor(v), causal=True).numpy()
    outputs = []
    keys = values = empty
    for word in words:
        output, keys, values = work.attend(word, keys, values, w_q, w_k, w_v)
        outputs.append(output)
    sharp = library_attention(Tensor(q), Tensor(k), Tensor(v), causal=True, scale=1.0).numpy()
    step.same(
        "five words, one after the other, as causal attention over all of them at once",
        np.array(outputs),
        whole,
        "softmax(keys @ q / √D) @ values, over all words so far, the new one included.",
        {
            "The scores were not divided by √D.": sharp,
            "Each word sees itself alone. The keys and values so far belong in front of the new "
            "ones.": v,
        },
    )
    step.holds(
        "the cache has grown to five words",
        np.shape(keys) == (5, 4) and np.shape(values) == (5, 4),
        "Return the keys and values with the new ones in them.",
        came=f"keys {np.shape(keys)}, values {np.shape(values)}",
    )
