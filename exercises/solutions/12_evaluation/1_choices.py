"""12.1 The likeliest of several answers.

Chapter 12, how good a model is.

How does one ask a language model a question with several answers, without letting it write? One
lets it read each answer behind the question, and adds up how likely its tokens are:

    log p(answer) = the sum over the tokens of the answer of log softmax(logits)[token]

The logits at a place are about the token *behind* it. So the first token of the answer is foretold
at the last place of the question.

Each token can only make the sum smaller, so long answers are at a disadvantage. Therefore the sum
is also divided by the size of the answer, its tokens or its bytes, before answers are compared. If
several answers are best together, each of them counts as taken in part:

    score  = total / size
    credit = 1 / k if the right answer is one of the k with the largest score, otherwise 0

Shapes: logits (T, V) for the ids (T,) of a question and an answer; start is the number of tokens
of the question, at least 1. totals and sizes are lists with a number for each answer, and right is
the place of the right one.

Write `log_likelihood` and `credit`.
"""

import numpy as np


def log_softmax(logits):
    """The logarithm of the softmax of each row."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_likelihood(logits, ids, start):
    """log p of ids[start:], given those before."""
    log_p = log_softmax(logits)
    places = np.arange(start, len(ids))
    return log_p[places - 1, ids[start:]].sum()


def credit(totals, sizes, right):
    """1 for the right answer, a part of it among equals, and 0 for a wrong one."""
    scores = np.array(totals) / np.array(sizes)
    best = scores == scores.max()
    return best[right] / best.sum()
