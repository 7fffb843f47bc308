"""11.5 What a larger model says.

Chapter 11, other things to learn than the next token.

How can a small model learn from a larger one? A text only says which token came next. The larger
model, the teacher, says how likely each token was. All V probabilities of every place are too many
to keep, so the k likeliest are kept. The others count together as one more outcome, the rest:

    p = softmax(logits / T)        rest = 1 - the sum of the k largest p

The student gives its own probabilities q to the same k tokens, and to everything else together.
The loss is how far the two are apart, the Kullback-Leibler divergence over these k + 1 outcomes:

    loss = T² · ( the sum over the k tokens of p log(p / q)  +  rest log(rest / rest of q) )

If the rest was left out, and the k probabilities scaled up to one, the student would learn that
nothing else can ever come. T² makes up for the gradients, which become smaller by that factor.
Where k = V there is no rest, and 0 · log 0 counts as 0.

Shapes: logits and student (V,), both of one place. `likeliest` returns the ids (k,), the likeliest
first, their p (k,), and the rest, a number.

Write `likeliest` and `teacher_loss`. `np.argsort(-p, kind="stable")` sorts, the largest first.
"""

import numpy as np


def softmax(scores):
    """Positive numbers that add up to one."""
    e = np.exp(scores - scores.max())
    return e / e.sum()


def likeliest(logits, k, temperature):
    """The ids of the k likeliest tokens, their probabilities, and that of all others together."""
    raise NotImplementedError("your turn: probabilities, the k largest, and the sum of the others")


def teacher_loss(student, ids, p, rest, temperature):
    """T² times the divergence of the student from the teacher."""
    raise NotImplementedError(
        "your turn: the student's probabilities of the same outcomes, then the divergence"
    )
