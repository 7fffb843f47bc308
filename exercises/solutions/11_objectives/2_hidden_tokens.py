"""11.2 Tokens to hide.

Chapter 11, other things to learn than the next token.

What can an encoder be asked? It sees both sides of every token, so it would only have to look at
the next one. Therefore some tokens are hidden from it, and it has to tell what stood there. Two
random numbers between 0 and 1 decide about each token. The first one, u, chooses:

    a token is chosen if u < share, if it is real, and if it is none of the special tokens

The second one, w, says what the encoder reads in the place of a chosen token:

    w < 0.8           mask_id, the token that says "hidden"
    0.8 <= w < 0.9    another token, which was drawn at random
    0.9 <= w          the token itself

The loss counts every chosen token, also those that were not changed, and nothing else. If the
encoder knew that a token which is not hidden is always right, it could copy it; so it has to look
at all of them.

Shapes: ids, real, u, w and drawn (B, T): the tokens, which of them are real, the random numbers,
and a random token for each place. special_ids is a list. `hide` returns read (B, T), what the
encoder reads, and counts (B, T), which is True where a token counts. logits (B, T, V).

Write `hide`, and `masked_loss`, the mean of -log softmax(logits)[id] over the places that count.
"""

import numpy as np


def hide(ids, real, special_ids, u, w, drawn, mask_id, share):
    """What the encoder reads, and which places count."""
    counts = (u < share) & real & ~np.isin(ids, special_ids)
    read = np.where(counts & (w < 0.8), mask_id, ids)
    read = np.where(counts & (w >= 0.8) & (w < 0.9), drawn, read)
    return read, counts


def log_softmax(logits):
    """The logarithm of the softmax of each vector of scores."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def masked_loss(logits, ids, counts):
    """The mean loss of the places that count."""
    log_p = log_softmax(logits[counts])
    return -log_p[np.arange(len(log_p)), ids[counts]].mean()
