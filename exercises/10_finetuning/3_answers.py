"""10.3 What is learnt of a conversation.

Chapter 10, teaching a model something new.

What should a model learn from a conversation? A model that learns all of it learns to ask, too. So
the loss counts the tokens of the answers alone, and the token that ends an answer, because a model
also has to learn when to stop.

A conversation is written as one text: for each turn a header that says who speaks, then what is
said, then `end`. A position of a language model predicts the token behind it, so the targets are
the text from its second token on. A target that does not count is -100:

    turns      user 7 8, assistant 5          headers    user 1 3, assistant 1 4      end  2
    text       1    3    7    8    2    1    4    5    2
    counts     no   no   no   no   no   no   no   yes  yes
    ids        1    3    7    8    2    1    4    5
    targets   -100 -100 -100 -100 -100 -100   5    2

What a user types never counts, even if it looks like the header of an answer: who speaks is known
from the turn, and never guessed from the ids.

The loss is the mean of -log softmax(logits)[target] over the targets that count.

Shapes: turns is a list of pairs (role, ids), headers says the ids of a header for each role. A
text of T + 1 tokens makes ids (T,) and targets (T,). logits (T, V).

Write `example`, which returns ids and targets, and `answer_loss`.
"""

import numpy as np


def example(turns, headers, end):
    """What the model reads, and what it should predict; -100 where that does not count."""
    raise NotImplementedError("your turn: the text and which of it counts, then shift by one")


def log_softmax(logits):
    """The logarithm of the softmax of each row."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def answer_loss(logits, targets):
    """The mean loss of the targets that count."""
    raise NotImplementedError("your turn: choose the places that count, then their mean")
