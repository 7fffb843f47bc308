"""8.1 Temperature.

Chapter 8, language models and writing.

How daring should a model write? It gives each word a logit, and the softmax makes probabilities
of them, from which the next word is drawn. Dividing the logits by a number before, the
temperature T, changes how much the likely words are preferred:

    p = softmax(logits / T)

With T = 1 nothing changes. With T below 1 the likely becomes likelier; towards 0 only the
likeliest word is left. With T above 1 all words become more alike.

Shapes: logits (V,); the result is (V,) and adds up to 1. Logits can be large, so subtract the
largest one before np.exp (exercise 3.1).

Write `probabilities`.
"""

import numpy as np


def probabilities(logits, temperature):
    """How likely each word is to be drawn."""
    raise NotImplementedError("your turn: divide by the temperature, then softmax")
