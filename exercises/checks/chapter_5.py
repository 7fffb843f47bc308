"""Chapter 5: encoder and decoder."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_attn import attention as library_attention
from foundation_data import TranslationDataset, WordTokenizer
from foundation_nn import Tensor
from foundation_nn import functional as F


def teacher_forcing(work: Work, step: Steps) -> None:
    returned = work.teacher_forcing([7, 8, 9], 1, 2)
    step.holds(
        "it returns two lists",
        isinstance(returned, tuple) and len(returned) == 2,
        "What is read and what should be said: return target_in, target_out.",
    )
    target_in, target_out = returned
    step.same(
        "what the decoder reads, with bos = 1 and eos = 2",
        target_in,
        [1, 7, 8, 9],
        "bos, then the words. The decoder has to say eos, and never reads it.",
        {
            "The decoder reads the words themselves. In front of them belongs bos, so that "
            "everything stands one place late.": [7, 8, 9],
            "Reading begins with bos and does not end with eos: behind eos nothing has to be "
            "said.": [1, 7, 8, 9, 2],
            "This is what it should say. Return what it reads first.": [7, 8, 9, 2],
        },
    )
    step.same(
        "what it should say",
        target_out,
        [7, 8, 9, 2],
        "The words, then eos.",
        {
            "Without eos it would never learn to stop.": [7, 8, 9],
            "bos is read and never said.": [1, 7, 8, 9],
            "bos is read and never said; eos is said at the end.": [1, 7, 8, 9, 2],
        },
    )
    step.same(
        "an empty sentence",
        work.teacher_forcing([], 1, 2),
        ([1], [2]),
        "It reads bos and says eos at once.",
    )
    pairs = [("red apple", "pomme rouge")]
    french = WordTokenizer.train(["pomme rouge"])
    example = TranslationDataset(pairs, WordTokenizer.train(["red apple"]), french)[0]
    step.same(
        "as foundation_data.TranslationDataset makes it",
        work.teacher_forcing(french.encode("pomme rouge"), 1, 2),
        (example.target_in, example.target_out),
        "The ids are those of the library.",
    )


def cross_attention(work: Work, step: Steps) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4))
    memory = rng.standard_normal((2, 3, 4))
    w_q, w_k, w_v = rng.standard_normal((3, 4, 4))
    whole = np.ones((2, 3), dtype=bool)
    q, k, v = x @ w_q.T, memory @ w_k.T, memory @ w_v.T
    step.same(
        "three target positions look at three source positions",
        work.cross_attention(x, memory, whole, w_q, w_k, w_v),
        library_attention(Tensor(q), Tensor(k), Tensor(v)),
        "q from x, k and v from memory; the weights are a softmax over the source.",
        {
            "Everything comes from x: this is self-attention. Keys and values belong to the "
            "memory.": library_attention(Tensor(q), Tensor(x @ w_k.T), Tensor(x @ w_v.T)),
            "Queries were made from the memory, and keys and values from x. It is the decoder "
            "that asks.": library_attention(
                Tensor(memory @ w_q.T), Tensor(x @ w_k.T), Tensor(x @ w_v.T)
            ),
            "The values were not multiplied with W_v.": library_attention(
                Tensor(q), Tensor(k), Tensor(memory)
            ),
            "The scores were not divided by √D.": library_attention(
                Tensor(q), Tensor(k), Tensor(v), scale=1.0
            ),
            "The matrices are not transposed: q = x W_qᵀ.": library_attention(
                Tensor(x @ w_q), Tensor(memory @ w_k), Tensor(memory @ w_v)
            ),
        },
    )
    memory = rng.standard_normal((2, 5, 4))
    k, v = memory @ w_k.T, memory @ w_v.T
    mask = np.ones((2, 5), dtype=bool)
    mask[1, 3:] = False
    expected = library_attention(Tensor(q), Tensor(k), Tensor(v), key_mask=mask)
    step.same(
        "the second source has three words, and two positions of padding",
        work.cross_attention(x, memory, mask, w_q, w_k, w_v),
        expected,
        "memory_mask[:, None, :] hides source positions from all target positions.",
        {
            "Padding in the source is looked at: hide it with memory_mask.": library_attention(
                Tensor(q), Tensor(k), Tensor(v)
            )
        },
    )
    other = memory.copy()
    other[1, 3:] = 1e3
    step.same(
        "what stands in padding has no influence",
        work.cross_attention(x, other, mask, w_q, w_k, w_v),
        expected,
        "A hidden score is -np.inf, so that its weight is exactly 0.",
    )


def label_smoothing(work: Work, step: Steps) -> None:
    logits = np.log([[0.5, 0.25, 0.25]])
    target = np.array([0])
    step.same(
        "without smoothing: -log of the probability 1/2",
        work.smoothed_loss(logits, target, 0.0),
        np.log(2.0),
        "With ε = 0, q is 1 at the target and 0 elsewhere.",
        {
            "The sign is missing: the loss is minus the sum.": -np.log(2.0),
            "This is a mean over the words; take the sum over the words.": np.log(2.0) / 3,
            "This is the probability. The loss is minus its logarithm.": 0.5,
        },
    )
    right = -(0.8 * np.log(0.5) + 0.2 * np.log(0.25))  # q = 0.7 + 0.1, 0.1, 0.1
    step.same(
        "with ε = 0.3 and three words: q = 0.8, 0.1, 0.1",
        work.smoothed_loss(logits, target, 0.3),
        right,
        "(1 - 0.3) + 0.3/3 = 0.8 for the target, 0.3/3 for each of the others.",
        {
            "ε was spread over the other V - 1 words. It belongs to all V, the target included.": (
                -(0.7 * np.log(0.5) + 0.3 * np.log(0.25))
            ),
            "The factor 1 - ε of the target is missing, so that q adds up to more than 1.": (
                -(1.1 * np.log(0.5) + 0.2 * np.log(0.25))
            ),
            "Smoothing has no effect.": np.log(2.0),
            "Every word was given ε instead of ε / V.": -(1.0 * np.log(0.5) + 0.6 * np.log(0.25)),
        },
    )
    huge = np.array([[2000.0, 0.0]])
    step.same(
        "logits that lie 2000 apart",
        work.smoothed_loss(huge, np.array([1]), 0.1),
        0.95 * 2000,
        "log p of the second is -2000. Do not compute p first, whose logarithm would be -inf.",
    )
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((7, 5)), rng.integers(5, size=7)
    expected = F.cross_entropy(logits, targets, label_smoothing=0.1).item()
    step.same(
        "seven rows, as foundation_nn.functional.cross_entropy",
        work.smoothed_loss(logits, targets, 0.1),
        expected,
        "Sum over the words, then the mean over the rows.",
        {
            "This is the sum over the rows; take their mean.": 7 * expected,
            "This is the mean over rows and words; take the sum over the words.": expected / 5,
        },
    )


#: Of a small language: after each id, how likely the next one is. 0 is bos, 1 is eos.
AFTER = {
    0: [0.0, 0.0, 0.6, 0.4],
    1: [0.25, 0.25, 0.25, 0.25],  # nobody should ask
    2: [0.0, 0.3, 0.4, 0.3],
    3: [0.0, 0.9, 0.05, 0.05],
}


def follow(tokens: Any) -> Any:
    """log P of the next token; only the last one counts."""
    return np.log(np.maximum(AFTER[int(tokens[-1])], 1e-12))


def greedy(work: Work, step: Steps) -> None:
    def counting(tokens: Any) -> Any:
        """Says the number that is one higher, up to 6, which is eos here."""
        return np.eye(7)[min(int(tokens[-1]) + 1, 6)]

    step.same(
        "a model that counts on from bos = 1, and 6 is eos",
        work.greedy(counting, 1, 6, 10),
        [2, 3, 4, 5],
        "Append the likeliest id to the tokens, and ask the model again with all of them.",
        {
            "bos is part of the answer. Leave it out.": [1, 2, 3, 4, 5],
            "eos is part of the answer. Leave it out.": [2, 3, 4, 5, 6],
            "bos and eos are part of the answer. Leave them out.": [1, 2, 3, 4, 5, 6],
            "It went on behind eos.": [2, 3, 4, 5, 6, 6, 6, 6, 6, 6],
        },
    )
    step.same(
        "the limit of two words",
        work.greedy(counting, 1, 6, 2),
        [2, 3],
        "At most max_len words, bos not counted.",
        {"This is one word less: the limit counts the words without bos.": [2]},
    )
    asked: list[list[int]] = []

    def listening(tokens: Any) -> Any:
        asked.append([int(token) for token in tokens])
        return counting(tokens)

    work.greedy(listening, 1, 6, 3)
    step.same(
        "what the model was asked",
        asked,
        [[1], [1, 2], [1, 2, 3]],
        "The model reads all ids so far, bos in front, and not the last one alone.",
    )
    step.same(
        "a model that says eos at once",
        work.greedy(counting, 5, 6, 3),
        [],
        "Then nothing was written.",
    )


def beam_search(work: Work, step: Steps) -> None:
    returned = work.beam_search(follow, 0, 1, 2, 5)
    step.holds(
        "it returns ids and a number",
        isinstance(returned, tuple) and len(returned) == 2,
        "return tokens, total.",
        came=str(returned),
    )
    tokens, total = returned
    step.same(
        "2 is the likelier beginning (0.6), but 3 followed by eos is the likelier sentence",
        tokens,
        [3],
        "P(3, eos) = 0.4 · 0.9 = 0.36 and P(2, eos) = 0.6 · 0.3 = 0.18. Keep two beginnings.",
        {
            "This is greedy: only the likeliest beginning was followed, or sentences that were "
            "finished have been forgotten.": [2] * 5,
            "This is the sentence [2]; that of [3] is twice as likely. Compare the sums of all "
            "logarithms.": [2],
            "bos is part of the answer. Leave it out.": [0, 3],
            "eos is part of the answer. Leave it out.": [3, 1],
            "bos and eos are part of the answer. Leave them out.": [0, 3, 1],
        },
    )
    step.same(
        "its log-probability, log(0.4 · 0.9)",
        total,
        np.log(0.36),
        "Add the logarithms of all words, that of eos included.",
        {
            "The last word's logarithm alone; add up all of them.": np.log(0.9),
            "The logarithm of eos is missing.": np.log(0.4),
            "This is the probability; return its logarithm.": 0.36,
        },
    )
    rng = np.random.default_rng(3)
    tables: dict[tuple[int, ...], Any] = {}

    def random_language(tokens: Any) -> Any:
        key = tuple(int(token) for token in tokens)
        if key not in tables:
            p = rng.dirichlet(np.ones(4))
            p[0] = 1e-9  # bos is never said
            tables[key] = np.log(p / p.sum())
        return tables[key]

    for limit in (1, 2, 4):
        best = max(_sentences(random_language, limit))
        came = work.beam_search(random_language, 0, 1, 4**limit, limit)
        step.same(
            f"a beam so wide that nothing is lost, {limit} words at most: the likeliest of all",
            came,
            (best[1], best[0]),
            "Finished sentences are put aside and still compete at the end; those that have "
            "max_len words count as finished, without eos.",
        )
    asked: list[list[int]] = []

    def listening(tokens: Any) -> Any:
        asked.append([int(token) for token in tokens])
        return follow(tokens)

    work.beam_search(listening, 0, 1, 2, 5)
    continued = [tokens for tokens in asked if 1 in tokens]
    step.holds(
        "nothing is continued behind eos",
        not continued,
        "A beginning that ends in eos is finished: take it out of the open ones.",
        came=f"the model was asked to continue {continued[:1]}",
    )
    lengths = [len(tokens) for tokens in asked]
    step.holds(
        "never more than two beginnings are open",
        max(map(lengths.count, lengths)) <= 2,
        "Of all continuations together the beam_size likeliest are kept, not of each beginning.",
    )


def _sentences(log_probs: Any, limit: int) -> list[tuple[float, list[int]]]:
    """All sentences that can be written within the limit, with their log-probabilities."""
    found = []
    for length in range(limit + 1):
        for words in product([0, 2, 3], repeat=length):
            tokens = [0]
            total = 0.0
            for word in words:
                total += float(log_probs(tokens)[word])
                tokens.append(word)
            if length < limit:
                total += float(log_probs(tokens)[1])
            found.append((total, list(words)))
    return found
