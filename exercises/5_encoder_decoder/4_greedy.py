"""5.4 Greedy decoding.

Chapter 5, encoder and decoder.

How does a trained decoder write? It reads bos, and says how likely each word is to come next.
Take the likeliest, append it to what it reads, and ask again, until it says eos:

    tokens = [bos]
    next   = argmax over v of log P(v | tokens)        append it, unless it is eos

A model may never say eos, so there is a limit to the number of words.

Shapes: `log_probs(tokens)` is a function that takes the list of ids so far, bos in front, and
returns an array (V,). The result is the list of the ids that were written, without bos and eos,
at most `max_len`.

Write `greedy`.
"""

import numpy as np


def greedy(log_probs, bos_id, eos_id, max_len):
    """The ids that were written."""
    raise NotImplementedError(
        "your turn: append the likeliest id again and again, until eos or the limit"
    )
