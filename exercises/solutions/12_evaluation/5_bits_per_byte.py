"""12.5 Two tokenizers, one text.

Chapter 12, how good a model is.

One model reads letters and has a perplexity of 2, another reads words and has 16. Which of them is
better? That cannot be said: a word is harder to guess than a letter, but there are fewer of them.
The perplexity is a mean over tokens,

    perplexity = exp( the mean over all tokens of -log p )

and the two have different tokens. The probability of the whole text does not depend on how it was
cut. It is the product of those of its tokens. So one shares out its logarithm among something
that both models have in common, the bytes of the text in UTF-8:

    bits per byte = ( the sum over all tokens of -log2 p ) / the number of bytes

log2 p = log p / log 2. In UTF-8 "a" is one byte, "é" two, and most emoji are four.

In the other direction, a model that needs b bits per byte would have, with a tokenizer that cuts
this text into n tokens,

    perplexity = 2 ^ (b · bytes / n)

Shapes: log_p (T,) holds the natural logarithm of the probability of each token; text is a str, and
n the number of tokens that another tokenizer makes of it.

Write `perplexity`, `bits_per_byte`, and `perplexity_with`, which takes the bits per byte.
"""

import numpy as np


def perplexity(log_p):
    """Among how many equally likely tokens the model was undecided."""
    return np.exp(-log_p.mean())


def bits_per_byte(log_p, text):
    """The information of the text, shared out among its bytes."""
    bits = -log_p.sum() / np.log(2)
    return bits / len(text.encode("utf-8"))


def perplexity_with(bits, text, n):
    """The perplexity of as good a model with a tokenizer that makes n tokens of the text."""
    return 2 ** (bits * len(text.encode("utf-8")) / n)
