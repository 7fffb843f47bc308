"""Chapter 10: teaching a model something new."""

from __future__ import annotations

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_data import TextDataset
from foundation_nn import Linear, Tensor, operation
from foundation_nn import functional as F
from foundation_transformer.adapters import AdaptedLinear, Adapter
from foundation_transformer.recipes import answer_targets


def low_rank(work: Work, step: Steps) -> None:
    x = np.array([[1.0, 2.0]])
    weight = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (O=3, I=2)
    a = np.array([[3.0, 0.0], [1.0, 1.0]])  # (r=2, I=2)
    b = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])  # (O=3, r=2)
    y, backward = work.low_rank(x, a, b, weight, 4.0)
    step.same(
        "the value with rank 2 and α = 4: x Wᵀ is (1, 2, 3), and x Aᵀ is (3, 3)",
        y,
        [[7, 8, 3]],
        "s = 4 / 2, and (x Aᵀ) Bᵀ is (3, 3, 0).",
        {
            "The change was multiplied by α. s is α / r, and r is the number of rows of A.": [
                [13, 14, 3]
            ],
            "The change was not scaled: s = α / r.": [[4, 5, 3]],
            "This is the change alone. x Wᵀ belongs to it.": [[6, 6, 0]],
            "This is x Wᵀ. The change is missing.": [[1, 2, 3]],
        },
    )
    g = np.array([[1.0, 3.0, 1.0]])
    slopes = backward(g)
    step.holds(
        "backward returns three gradients",
        isinstance(slopes, tuple) and len(slopes) == 3,
        "One for each of x, a and b, in this order: return dx, da, db. W is not learnt.",
    )
    dx, da, db = slopes
    step.same(
        "dB for g = (1, 3, 1), of shape (O, r)",
        db,
        [[6, 6], [18, 18], [6, 6]],
        "s gᵀ (x Aᵀ), with s = 2 and x Aᵀ = (3, 3).",
        {
            "s is missing: y contains the change s times.": [[3, 3], [9, 9], [3, 3]],
            "These are the right numbers, transposed: dB has the shape of B.": [
                [6, 18, 6],
                [6, 18, 6],
            ],
        },
    )
    step.same(
        "dA, of shape (r, I)",
        da,
        [[2, 4], [6, 12]],
        "s (g B)ᵀ x, with g B = (1, 3).",
        {
            "s is missing: y contains the change s times.": [[1, 2], [3, 6]],
            "These are the right numbers, transposed: dA has the shape of A.": [[2, 6], [4, 12]],
        },
    )
    through_change = 2 * (g @ b) @ a
    step.same(
        "dx, of shape (N, I)",
        dx,
        g @ weight + through_change,
        "g W + s (g B) A.",
        {
            "The way through the change is missing: s (g B) A.": g @ weight,
            "The way through W is missing: g W.": through_change,
            "In the way through the change s is missing.": g @ weight + through_change / 2,
        },
    )
    y, backward = work.low_rank(x, a, np.zeros((3, 2)), weight, 4.0)
    _, da, db = backward(g)
    step.holds(
        "with B = 0, as training begins, y is x Wᵀ, and B is learnt first",
        np.allclose(y, x @ weight.T) and not np.any(da) and np.all(db),
        "With B = 0 there is no change yet. dA is zero, because it is multiplied by B, and dB is "
        "not.",
    )
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((5, 4), (2, 4), (3, 2))]
    weight = rng.standard_normal((3, 4))
    layer = operation(work.low_rank.function)

    def of_five_rows(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return layer(x, a, b, weight, 3.0)

    step.gradients(
        "all gradients agree with finite differences",
        of_five_rows,
        *arrays,
        look_at="The row marked WRONG: input 0 is x, input 1 is A, input 2 is B.",
    )
    x, a, b = arrays
    step.same(
        "as foundation_transformer.adapters.AdaptedLinear",
        work.low_rank(x, a, b, weight, 3.0)[0],
        adapted(weight, {"all": (0, 3)}, [(a, b)], alpha=3.0)(Tensor(x)).numpy(),
        "y = x Wᵀ + α / r (x Aᵀ) Bᵀ.",
    )


def adapted(
    weight: np.ndarray,
    parts: dict[str, tuple[int, int]],
    changes: list[tuple[np.ndarray, np.ndarray]],
    alpha: float,
) -> AdaptedLinear:
    """The library's layer with these matrices; one change for each of the parts."""
    rows, columns = weight.shape
    base = Linear(columns, rows, bias=False).astype(np.float64)
    base.weight.data = weight
    adapter = Adapter(columns, parts, rank=len(changes[0][0]), alpha=alpha).astype(np.float64)
    for pair, (a, b) in zip(adapter.pairs.values(), changes, strict=True):
        pair.A.data = a
        pair.B.data = b
    return AdaptedLinear.around(base.freeze(), adapter)


def merging(work: Work, step: Steps) -> None:
    weight = np.ones((4, 2))
    a = np.array([[1.0, 2.0], [0.0, 1.0]])
    b = np.array([[1.0, 0.0], [1.0, 1.0]])  # B A is (1, 2), (1, 3)
    step.same(
        "a change of rows 1 and 2, with rank 2 and α = 4, of a matrix of ones",
        work.merged(weight, a, b, 4.0, 1),
        [[1, 1], [3, 5], [3, 7], [1, 1]],
        "s = 2 and B A = (1, 2), (1, 3): rows 1 and 2 become 1 + 2 · 1 and so on.",
        {
            "The change was multiplied by α. s is α / r, and r is the number of rows of A.": [
                [1, 1],
                [5, 9],
                [5, 13],
                [1, 1],
            ],
            "The change was not scaled: s = α / r.": [[1, 1], [2, 3], [2, 4], [1, 1]],
            "The change was added to the first rows. It is for those from start on.": [
                [3, 5],
                [3, 7],
                [1, 1],
                [1, 1],
            ],
            "The change has taken the place of the weights. Add it: +=.": [
                [1, 1],
                [2, 4],
                [2, 6],
                [1, 1],
            ],
            "The product is B A, and not A B.": [[1, 1], [7, 5], [3, 3], [1, 1]],
            "The change was subtracted.": [[1, 1], [-1, -3], [-1, -5], [1, 1]],
        },
    )
    rng = np.random.default_rng(0)
    weight, x = rng.standard_normal((9, 4)), rng.standard_normal((5, 4))
    a, b = rng.standard_normal((2, 4)), rng.standard_normal((9, 2))
    step.same(
        "a change of all rows: one product does what three did",
        x @ np.asarray(work.merged(weight, a, b, 3.0, 0)).T,
        x @ weight.T + 3 / 2 * (x @ a.T) @ b.T,
        "With start = 0 and as many rows as W has, all of W changes.",
    )
    changes = [(a, b[:3]), (rng.standard_normal((2, 4)), b[3:6])]
    layer = adapted(weight, {"q": (0, 3), "v": (6, 9)}, changes, alpha=3.0)
    once = work.merged(weight, *changes[0], 3.0, 0)
    step.same(
        "changes of queries and of values, as foundation_transformer.adapters computes them",
        x @ np.asarray(work.merged(once, *changes[1], 3.0, 6)).T,
        layer(Tensor(x)).numpy(),
        "The first change is for rows 0 to 2, the second for rows 6 to 8.",
    )


def answers(work: Work, step: Steps) -> None:
    headers = {"user": [1, 3], "assistant": [1, 4]}
    end = 2
    turns = [("user", [7, 8]), ("assistant", [5])]
    text = [1, 3, 7, 8, 2, 1, 4, 5, 2]
    returned = work.example(turns, headers, end)
    step.holds(
        "example returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "return ids, targets.",
    )
    ids, targets = returned
    step.same(
        "the ids of a question and its answer",
        ids,
        text[:-1],
        "Header, what is said and end, for each turn; all of it but the last token.",
        {
            "This is the whole text. Nothing follows its last token, so no position reads it.": (
                text
            ),
            "The headers are missing.": [7, 8, 2, 5],
            "Each turn ends with the token end.": [1, 3, 7, 8, 1, 4],
            "This is the text from its second token on: those are the targets.": text[1:],
        },
    )
    step.same(
        "its targets",
        targets,
        [-100] * 6 + [5, 2],
        "The answer 5 and the end 2 behind it; what stands at a position is the token behind it.",
        {
            "The token that ends an answer counts, too. Without it the model never stops.": (
                [-100] * 6 + [5, -100]
            ),
            "Everything counts. The model would learn to ask.": text[1:],
            "The header of the answer counts. Whoever asks for an answer writes it, so the model "
            "need not.": [-100] * 4 + [1, 4, 5, 2],
            "The end of the question counts. The model would learn to end what a user says.": (
                [-100] * 3 + [2, -100, -100, 5, 2]
            ),
            "The question counts, and the answer does not.": [-100, 7, 8, 2] + [-100] * 4,
            "The targets are not shifted: a position predicts the token behind it.": (
                [-100] * 7 + [5]
            ),
            "What counts was not shifted with the targets: counts[1:] belongs to text[1:].": (
                [-100] * 7 + [2]
            ),
        },
    )
    _, targets = work.example([("user", [1, 4, 6]), ("assistant", [5])], headers, end)
    step.same(
        "a user who types the header of an answer",
        targets,
        [-100] * 7 + [5, 2],
        "Who speaks is known from the turn. Do not look for headers in the text.",
        {
            "The user wrote 1 4 6, and 6 was taken for an answer. Who speaks is known from the "
            "turn.": [-100] * 3 + [6, 2, -100, -100, 5, 2]
        },
    )
    turns = [*turns, ("user", [9]), ("assistant", [6, 7])]
    text = [*text, 1, 3, 9, 2, 1, 4, 6, 7, 2]
    counts = [False] * 7 + [True] * 2 + [False] * 6 + [True] * 3
    batch = TextDataset.from_ids([text], len(text), pack=True, trained=[counts]).batch([0])
    step.same(
        "two answers, as foundation_transformer.recipes.answer_targets",
        work.example(turns, headers, end),
        (batch.ids[0], answer_targets(batch)[0]),
        "Both answers count, each with its end.",
    )
    logits = np.log([[1.0, 3.0], [1.0, 9.0], [1.0, 1.0]])
    targets = np.array([1, -100, 0])
    losses = np.log([4 / 3, 2])  # of the probabilities 3/4 and 1/2
    step.same(
        "the loss of the probabilities 3/4 and 1/2, between which a place does not count",
        work.answer_loss(logits, targets),
        losses.mean(),
        "The mean of log 4/3 and log 2.",
        {
            "The sum was divided by all places. Divide by the number of those that count.": (
                losses.sum() / 3
            ),
            "This is the sum. Take the mean.": losses.sum(),
            "The sign is the other way round: -log p.": -losses.mean(),
            "The place that does not count was counted with another target.": (
                (losses.sum() + np.log(10)) / 3
            ),
            "This is the mean of the logits of the targets. Take log_softmax of them first.": (
                -np.log(3) / 2
            ),
        },
    )
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((17, 11))
    targets = answer_targets(batch)[0]
    step.same(
        "as foundation_nn.functional.cross_entropy with ignore_index=-100",
        work.answer_loss(logits, targets),
        F.cross_entropy(Tensor(logits), targets, ignore_index=-100).item(),
        "Places with the target -100 take no part.",
    )
