"""Chapter 11: other things to learn than the next token."""

from __future__ import annotations

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_nn import Tensor, operation
from foundation_nn import functional as F
from foundation_transformer import mean_pool
from foundation_transformer.recipes import (
    distillation_loss,
    dpo_loss,
    info_nce,
    mask_tokens,
    top_tokens,
)


def one_vector(work: Work, step: Steps) -> None:
    vectors = np.array([[[1.0, 0.0], [3.0, 4.0], [8.0, 2.0]], [[5.0, 6.0], [7.0, 7.0], [9.0, 1.0]]])
    real = np.array([[True, True, True], [True, False, False]])
    step.same(
        "the means of a text of three tokens and of one of a single token",
        work.mean_vectors(vectors, real),
        [[4, 2], [5, 6]],
        "(1 + 3 + 8) / 3 and (0 + 4 + 2) / 3; the second text has the vector (5, 6) alone.",
        {
            "Padding was counted. Of the second text only the first vector is real.": [
                [4, 2],
                [7, 14 / 3],
            ],
            "The sum leaves padding out, and is divided by all T places. Divide it by the number "
            "of real tokens.": [[4, 2], [5 / 3, 2]],
            "This is the sum. Divide it by the number of real tokens.": [[12, 6], [5, 6]],
            "This is the mean over all texts together. Each text has one of its own: axis=1.": [
                17 / 4,
                12 / 4,
            ],
        },
    )
    step.same(
        "the last real token of both",
        work.last_vectors(vectors, real),
        [[8, 2], [5, 6]],
        "The lengths are 3 and 1, so places 2 and 0.",
        {
            "This is the last column. The second text ends before it; what stands there is "
            "padding.": [[8, 2], [9, 1]],
            "This is the first token. In a decoder it has seen nothing but itself.": [
                [1, 0],
                [5, 6],
            ],
            "One place too far: a text of length n ends at place n - 1.": [[1, 0], [7, 7]],
        },
    )
    poisoned = np.where(real[..., None], vectors, np.nan)
    step.same(
        "NaN in padding",
        (work.mean_vectors(poisoned, real), work.last_vectors(poisoned, real)),
        (np.array([[4.0, 2.0], [5.0, 6.0]]), np.array([[8.0, 2.0], [5.0, 6.0]])),
        "NaN times 0 is NaN. np.where(real[..., None], vectors, 0) puts zeros there.",
    )
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, 7, 3))
    real = np.arange(7) < np.array([7, 1, 3, 2, 6])[:, None]
    means = np.asarray(work.mean_vectors(vectors, real))
    step.same(
        "scaled to length one, as foundation_transformer.mean_pool",
        means / np.linalg.norm(means, axis=1, keepdims=True),
        mean_pool(Tensor(vectors), real).numpy(),
        "The mean of the real vectors of each text.",
    )
    v = np.log([[3.0, 1.0]])
    weight, bias = np.eye(2), np.array([0.0, np.log(2.0)])
    step.same(
        "a text whose labels have the shares 3 and 2 of 5; the second is right",
        work.label_loss(v, weight, bias, np.array([1])),
        np.log(5 / 2),
        "The logits are log 3 and log 1 + log 2, and the loss is -log 2/5.",
        {
            "The bias is missing.": np.log(4.0),
            "The sign is missing: -log p.": -np.log(5 / 2),
            "This is p. The loss is minus its logarithm.": 2 / 5,
            "The softmax runs over the texts. It belongs to the labels: axis=1.": 0.0,
            "This is minus the logit. Take the log softmax first.": -np.log(2.0),
        },
    )
    weight, bias = rng.standard_normal((4, 3)), rng.standard_normal(4)
    labels = np.array([3, 0, 1, 2, 1])
    logits = means @ weight.T + bias
    step.same(
        "five texts, as foundation_nn.functional.cross_entropy",
        work.label_loss(means, weight, bias, labels),
        F.cross_entropy(Tensor(logits), labels).item(),
        "v Wᵀ + b, log softmax over the labels, those of the right labels, and their mean.",
        {
            "This is the sum. Take the mean over the texts.": F.cross_entropy(
                Tensor(logits), labels, reduction="sum"
            ).item(),
        },
    )
    step.same(
        "a logit of 2000",
        work.label_loss(np.array([[2000.0, 0.0]]), np.eye(2), np.zeros(2), np.array([1])),
        2000.0,
        "Subtract the largest logit of each row before np.exp.",
        {
            "exp(2000) overflows. Subtract the largest logit of each row first.": np.inf,
        },
    )


def hidden_tokens(work: Work, step: Steps) -> None:
    ids = np.array([[1, 5, 6, 7, 8, 2, 0]])  # 1 and 2 stand around a text, 0 is padding
    real = np.array([[True, True, True, True, True, True, False]])
    u = np.array([[0.05, 0.1, 0.14, 0.01, 0.15, 0.05, 0.05]])
    w = np.array([[0.1, 0.79, 0.85, 0.95, 0.1, 0.1, 0.1]])
    drawn = np.array([[9, 10, 11, 12, 13, 14, 15]])
    arguments = (ids, real, [1, 2], u, w, drawn, 3, 0.15)
    returned = work.hide(*arguments)
    step.holds(
        "hide returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "return read, counts.",
    )
    read, counts = returned
    step.same(
        "which of seven tokens are chosen",
        np.asarray(counts).astype(int),
        [[0, 1, 1, 1, 0, 0, 0]],
        "u < 0.15, real and not special: 5, 6 and 7. The 8 has u = 0.15, which is not below it.",
        {
            "Padding was chosen: `& real`.": [[0, 1, 1, 1, 0, 0, 1]],
            "Special tokens were chosen: `& ~np.isin(ids, special_ids)`.": [[1, 1, 1, 1, 0, 1, 0]],
            "Special tokens and padding were chosen.": [[1, 1, 1, 1, 0, 1, 1]],
            "A token whose u is share itself is not chosen: u < share.": [[0, 1, 1, 1, 1, 0, 0]],
            "The others were chosen. A token is chosen if u is below share.": [
                [0, 0, 0, 0, 1, 0, 0]
            ],
            "A token that was not changed counts, too. The encoder cannot know that it is right.": [
                [0, 1, 1, 0, 0, 0, 0]
            ],
            "Only tokens that mask_id replaced count. All that were chosen do.": [
                [0, 1, 0, 0, 0, 0, 0]
            ],
        },
    )
    step.same(
        "what the encoder reads",
        read,
        [[1, 3, 11, 7, 8, 2, 0]],
        "w is 0.79, 0.85 and 0.95 for 5, 6 and 7: hidden, another token, and the token itself.",
        {
            "All chosen tokens were replaced by mask_id. w decides.": [[1, 3, 3, 3, 8, 2, 0]],
            "The random token is missing. It is read where w is from 0.8 to 0.9.": [
                [1, 3, 6, 7, 8, 2, 0]
            ],
            "The token itself stays where w is 0.9 or more.": [[1, 3, 11, 12, 8, 2, 0]],
            "Tokens that are not chosen were replaced, too. w decides about the chosen ones "
            "alone.": [[3, 3, 11, 7, 3, 3, 3]],
        },
    )
    rng = np.random.default_rng(0)
    ids, real = (
        rng.integers(1, 50, size=(5, 40)),
        np.arange(40) < np.array([[40], [3], [9], [1], [30]]),
    )
    seen = np.random.default_rng(7)
    u, w = seen.random(ids.shape), seen.random(ids.shape)
    drawn = seen.integers(50, size=ids.shape)
    library = mask_tokens(
        ids, real, np.random.default_rng(7), mask_id=0, vocab_size=50, special_ids=[4, 9], share=0.3
    )
    step.same(
        "five texts with the same random numbers, as foundation_transformer.recipes.mask_tokens",
        work.hide(ids, real, [4, 9], u, w, drawn, 0, 0.3),
        (library.ids, library.hidden),
        "share is an argument: here it is 0.3.",
    )
    logits = np.log([[[1.0, 1.0], [1.0, 3.0], [7.0, 1.0]]])
    step.same(
        "the loss of the probabilities 3/4 and 1/8, beside a place that does not count",
        work.masked_loss(logits, np.array([[0, 1, 1]]), np.array([[False, True, True]])),
        np.log(4 / 3 * 8) / 2,
        "The mean of log 4/3 and log 8.",
        {
            "All places were counted.": np.log(4 / 3 * 8 * 2) / 3,
            "The sum was divided by all places. Divide by the number of those that count.": (
                np.log(4 / 3 * 8) / 3
            ),
            "This is the sum. Take the mean.": np.log(4 / 3 * 8),
            "The sign is missing: -log p.": -np.log(4 / 3 * 8) / 2,
            "These are the places that do not count.": np.log(2.0),
        },
    )
    logits = rng.standard_normal((5, 40, 50))
    step.same(
        "as foundation_nn.functional.cross_entropy of the places that count",
        work.masked_loss(logits, ids, library.hidden),
        F.cross_entropy(Tensor(logits[library.hidden]), ids[library.hidden]).item(),
        "-log_softmax(logits)[id], and the mean over the places that count.",
    )


def pairs(work: Work, step: Steps) -> None:
    step.same(
        "(3, 4) and (0, -2), scaled to length one",
        work.unit(np.array([[3.0, 4.0], [0.0, -2.0]])),
        [[0.6, 0.8], [0, -1]],
        "√(3² + 4²) = 5.",
        {
            "This was divided by the sum of the squares. Take its root.": [
                [3 / 25, 4 / 25],
                [0, -1 / 2],
            ],
            "This was divided by the sum of the numbers. The length is the root of the sum of the "
            "squares.": [[3 / 7, 4 / 7], [0, 1]],
            "All numbers were divided by one length. Each row has its own: axis=1.": (
                np.array([[3, 4], [0, -2]]) / np.sqrt(29)
            ),
            "These are the columns, scaled to length one. The vectors are the rows: axis=1.": (
                np.array([[1, 4 / np.sqrt(20)], [0, -2 / np.sqrt(20)]])
            ),
        },
    )
    log3 = np.log(3.0)
    axes = np.eye(2)
    step.same(
        "two questions that are equal to their answers, at right angles, and τ = 1 / log 3",
        work.pair_loss(axes, axes, 1 / log3),
        np.log(4 / 3),
        "The scores are log 3 and 0, so that the right answer has the share 3/4.",
        {
            "The products were multiplied by the temperature. Divide them.": np.log1p(
                np.exp(-1 / log3)
            ),
            "The temperature is missing.": np.log1p(np.exp(-1.0)),
            "The sign is missing: -log.": -np.log(4 / 3),
            "This is the sum. Take the mean over the questions.": 2 * np.log(4 / 3),
            "This is the mean over all B² pairs. The right ones are on the diagonal.": (
                np.log(4 / 3) + np.log(4.0)
            )
            / 2,
        },
    )
    queries = np.array([[1.0, 0.0], [1.0, 0.0]])
    step.same(
        "two equal questions: one answer is at their place, the other at a right angle",
        work.pair_loss(queries, axes, 1 / log3),
        (np.log(4 / 3) + np.log(4.0)) / 2,
        "Both questions give the answers the shares 3/4 and 1/4.",
        {
            "Here each answer looks for its question. Each question should find its answer: the "
            "softmax runs over a row of q tᵀ.": np.log(2.0),
            "The shares are of all B² pairs together. Each question has a softmax of its own.": (
                np.log(8 / 3) + np.log(8.0)
            )
            / 2,
        },
    )
    step.same(
        "a temperature of 0.001",
        work.pair_loss(axes, axes[::-1], 0.001),
        1000.0,
        "Subtract the largest score of each row before np.exp.",
        {"exp(1000) overflows. Subtract the largest score of each row first.": np.inf},
    )
    rng = np.random.default_rng(0)
    queries = work.unit(rng.standard_normal((7, 5)))
    texts = work.unit(rng.standard_normal((7, 5)))
    step.same(
        "seven pairs, as foundation_transformer.recipes.info_nce",
        work.pair_loss(queries, texts, 0.05),
        info_nce(Tensor(queries), Tensor(texts), 0.05).item(),
        "The mean of -log softmax(q_i tᵀ / τ)[i].",
    )


def preferences(work: Work, step: Steps) -> None:
    log3 = np.log(3.0)
    chosen, rejected = np.array([-1.0 + log3]), np.array([-5.0])
    references = np.array([-2.0]), np.array([-6.0])  # m = (1 + log 3) - 1 = log 3
    value, backward = work.preference_loss(chosen, rejected, *references, 1.0)
    step.same(
        "a pair whose chosen answer has become three times likelier against the other, β = 1",
        value,
        np.log(4 / 3),
        "m = log 3 and σ(log 3) = 3/4, so that the loss is -log 3/4.",
        {
            "The sign is the other way round: -log σ.": -np.log(4 / 3),
            "The rejected answer was raised: m is chosen minus rejected.": np.log(4),
            "The reference is missing: what counts is how much likelier an answer has become.": (
                np.logaddexp(0, -(4 + log3))
            ),
            "This is σ(β m). The loss is minus its logarithm.": 3 / 4,
            "The signs of the reference are wrong: both its log-probabilities are subtracted from "
            "those of the model.": np.logaddexp(0, -(8 + log3)),
        },
    )
    slopes = backward(np.array(1.0))
    step.holds(
        "backward returns two gradients",
        isinstance(slopes, tuple) and len(slopes) == 2,
        "One for each tensor that is learnt: return dchosen, drejected.",
    )
    step.same(
        "its gradients",
        slopes,
        ([-1 / 4], [1 / 4]),
        "σ(-log 3) = 1/4: minus for the chosen answer, plus for the rejected one.",
        {
            "The signs are the other way round: the loss falls when the chosen answer becomes "
            "likelier.": ([1 / 4], [-1 / 4]),
            "This is σ(z). The derivative is -σ(-z), small where the pair is told apart.": (
                [-3 / 4],
                [3 / 4],
            ),
            "Both answers have the same sign. The rejected one should become less likely.": (
                [-1 / 4],
                [-1 / 4],
            ),
            "This is the slope of σ. The loss has a logarithm around it: -σ(-z).": (
                [-3 / 16],
                [3 / 16],
            ),
        },
    )
    value, backward = work.preference_loss(
        np.array([4 * log3, 0.0]), np.zeros(2), np.zeros(2), np.zeros(2), 0.25
    )
    step.same(
        "β = 1/4 and two pairs, of which one is not told apart yet",
        value,
        (np.log(4 / 3) + np.log(2)) / 2,
        "z = log 3 for the first pair and 0 for the second; the mean of log 4/3 and log 2.",
        {
            "β is missing: -log σ(β m).": (np.log(82 / 81) + np.log(2)) / 2,
            "This is the sum. Take the mean over the pairs.": np.log(4 / 3) + np.log(2),
            "β stands in front of the logarithm. It belongs to m: σ(β m).": (
                (np.log(82 / 81) + np.log(2)) / 8
            ),
        },
    )
    right = np.array([1 / 32, 1 / 16])
    step.same(
        "their gradients",
        backward(np.array(1.0)),
        (-right, right),
        "β σ(-z) / B: 1/4 · 1/4 / 2 and 1/4 · 1/2 / 2.",
        {
            "β is missing: z is β m, so the slope towards m is β times that towards z.": (
                -4 * right,
                4 * right,
            ),
            "The loss is a mean over B pairs, so each slope is divided by B.": (
                -2 * right,
                2 * right,
            ),
        },
    )
    step.same(
        "the same with g = 10",
        backward(np.array(10.0)),
        (-10 * right, 10 * right),
        "What follows on the loss arrives as g: multiply by it.",
        {"g is missing.": (-right, right)},
    )
    value, backward = work.preference_loss(
        np.array([-2000.0]), np.zeros(1), np.zeros(1), np.zeros(1), 1.0
    )
    step.same(
        "a pair that is told apart the wrong way by far, z = -2000",
        value,
        2000.0,
        "np.logaddexp(0, -z) does not overflow.",
        {"exp(2000) overflows. np.logaddexp(0, -z) does not.": np.inf},
    )
    step.same(
        "its gradients",
        backward(np.array(1.0)),
        ([-1.0], [1.0]),
        "σ(2000) = 1: np.exp(-np.logaddexp(0, z)) is σ(-z), without overflow.",
        {"exp(2000) overflows. np.exp(-np.logaddexp(0, z)) does not.": ([np.nan], [np.nan])},
    )
    rng = np.random.default_rng(0)
    chosen, rejected, *references_of_four = rng.standard_normal((4, 4))
    loss = operation(work.preference_loss.function)

    def of_four_pairs(chosen: Tensor, rejected: Tensor) -> Tensor:
        return loss(chosen, rejected, *references_of_four, 0.3)

    step.gradients(
        "four pairs agree with finite differences",
        of_four_pairs,
        chosen,
        rejected,
        look_at="Input 0 is chosen, input 1 rejected.",
    )
    library = dpo_loss(
        Tensor(chosen), Tensor(rejected), references_of_four[0], references_of_four[1], beta=0.3
    )
    step.same(
        "as foundation_transformer.recipes.dpo_loss",
        work.preference_loss(chosen, rejected, *references_of_four, 0.3)[0],
        library.item(),
        "The mean of -log σ(β m).",
    )


def teacher(work: Work, step: Steps) -> None:
    logits = np.log([1.0, 8.0, 2.0, 4.0, 1.0])
    returned = work.likeliest(logits, 2, 1.0)
    step.holds(
        "likeliest returns three things",
        isinstance(returned, tuple) and len(returned) == 3,
        "return ids, p, rest.",
    )
    step.same(
        "the two likeliest of the shares 1, 8, 2, 4 and 1 of 16",
        returned,
        (np.array([1, 3]), np.array([1 / 2, 1 / 4]), np.array(1 / 4)),
        "8/16 and 4/16, and 1/16 + 2/16 + 1/16 are left.",
        {
            "The k probabilities were scaled up to one. The rest stays as it is.": (
                np.array([1, 3]),
                np.array([2 / 3, 1 / 3]),
                np.array(1 / 4),
            ),
            "The rest is missing. It is what the k probabilities leave of 1.": (
                np.array([1, 3]),
                np.array([1 / 2, 1 / 4]),
                np.array(0.0),
            ),
            "These are the unlikeliest. Sort by -p.": (
                np.array([0, 4]),
                np.array([1 / 16, 1 / 16]),
                np.array(14 / 16),
            ),
            "These are the logits. Take the softmax.": (
                np.array([1, 3]),
                np.log([8.0, 4.0]),
                np.array(np.log(2.0)),
            ),
        },
    )
    step.same(
        "the logits doubled, and T = 2",
        work.likeliest(2 * logits, 2, 2.0),
        (np.array([1, 3]), np.array([1 / 2, 1 / 4]), np.array(1 / 4)),
        "Divided by 2 they are what they were before.",
        {
            "The temperature has no effect. Divide the logits by it, before the softmax.": (
                np.array([1, 3]),
                np.array([64 / 86, 16 / 86]),
                np.array(6 / 86),
            ),
        },
    )
    ids, p, rest = np.array([1, 3]), np.array([1 / 2, 1 / 4]), 1 / 4
    student = np.log([1.0, 1.0, 1.0, 1.0, 4.0])
    right = np.log(4) / 2 + np.log(2) / 4 - np.log(3) / 4
    step.same(
        "a student with the shares 1, 1, 1, 1 and 4 of 8",
        work.teacher_loss(student, ids, p, rest, 1.0),
        right,
        "Its outcomes are 1/8, 1/8 and 6/8: log(4) / 2 + log(2) / 4 + log(1/3) / 4.",
        {
            "The rest is missing: rest log(rest / rest of q).": np.log(4) / 2 + np.log(2) / 4,
            "The divergence goes the other way: p log(p / q), with the teacher's p in front.": (
                np.log(1 / 4) / 8 + np.log(1 / 2) / 8 + np.log(3) * 3 / 4
            ),
            "The sign is the other way round: log(p / q), and not log(q / p).": -right,
            "This is the cross-entropy. It lacks p log p, so it is not 0 where both agree.": (
                np.log(8) * 3 / 4 + np.log(4 / 3) / 4
            ),
            "The k probabilities of the student were scaled up to one.": (
                np.log(1 / 3) / 4 - np.log(2) / 4
            ),
        },
    )
    step.same(
        "a student that agrees on the two tokens and on the rest, and shares the rest otherwise",
        work.teacher_loss(np.log([3.0, 8.0, 0.5, 4.0, 0.5]), ids, p, rest, 1.0),
        0.0,
        "How the student shares the rest out is its own affair.",
    )
    step.same(
        "the same as before the last, with T = 2",
        work.teacher_loss(2 * student, ids, p, rest, 2.0),
        4 * right,
        "q = softmax(student / 2), and T² = 4 stands in front.",
        {
            "T² is missing.": right,
            "The factor is T², not T.": 2 * right,
            "The student's scores have to be divided by T, too.": 4
            * (np.log(10) / 2 + np.log(5) / 4 + np.log(1 / 4 / (18 / 20)) / 4),
        },
    )
    step.same(
        "k = V, where there is no rest",
        work.teacher_loss(np.zeros(2), np.array([0, 1]), np.array([3 / 4, 1 / 4]), 0.0, 1.0),
        np.log(3 / 2) * 3 / 4 + np.log(1 / 2) / 4,
        "0 · log 0 counts as 0: leave the rest out if it is 0.",
        {"0 · log 0 is NaN for NumPy. Leave the rest out if it is 0.": np.nan},
    )
    rng = np.random.default_rng(0)
    logits, student = rng.standard_normal((2, 11))
    top = top_tokens(logits[None], 4, 1.5)
    step.same(
        "as foundation_transformer.recipes.top_tokens",
        work.likeliest(logits, 4, 1.5),
        (top.ids[0], np.exp(top.log_probs[0]), np.exp(top.log_rest[0])),
        "softmax(logits / T), the four largest, and the sum of the others.",
    )
    step.same(
        "as foundation_transformer.recipes.distillation_loss",
        work.teacher_loss(student, *work.likeliest(logits, 4, 1.5), 1.5),
        distillation_loss(Tensor(student[None]), *top, 1.5).item(),
        "T² times the divergence over five outcomes.",
    )
