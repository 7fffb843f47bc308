"""11.3 Texts that belong together.

Chapter 11, other things to learn than the next token.

How does a model learn to find the answer to a question? A batch holds B questions, each with its
answer. Question i has to find answer i among the answers of the whole batch, so that the answers
of the others are wrong ones that cost nothing. This loss is called InfoNCE:

    s_ij = q_i · t_j / τ
    loss = the mean over all i of -log( exp(s_ii) / (exp(s_i1) + ... + exp(s_iB)) )

The vectors are scaled to length one before, and then each product is the cosine of an angle, from
-1 to 1. The temperature τ, 0.05 for instance, makes large differences of these small ones. The
products divided by τ can be large, where exp overflows: subtract the largest one of each row
first.

Shapes: vectors (B, D), of any length that is not zero; queries and texts (B, D), of length one;
the loss is a number.

Write `unit`, which scales each row to length one, and `pair_loss`.
"""

import numpy as np


def unit(vectors):
    """Each row, scaled to length one."""
    raise NotImplementedError("your turn: divide each row by its length")


def pair_loss(queries, texts, temperature):
    """The mean of -log softmax(s_i)[i]: query i should find text i."""
    raise NotImplementedError(
        "your turn: the scores of all pairs, log softmax of each row, the diagonal"
    )
