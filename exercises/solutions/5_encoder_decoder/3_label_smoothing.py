"""5.3 Label smoothing.

Chapter 5, encoder and decoder.

Should a translator be certain? There is often more than one right word. Plain cross-entropy is
content only when the right word has probability 1, so it drives the logits apart without end.
Label smoothing asks for a little less: the share 1 - ε for the right word, and ε spread evenly
over all V words, the right one included:

    q_v = (1 - ε) [v is the target] + ε / V
    loss = - sum over v of q_v log p_v            p = softmax(logits), averaged over the N rows

Work with log p instead of p, which may be too small for a computer:

    log p_v = z_v - log(sum over u of exp(z_u)),  after the largest z of the row was subtracted

Shapes: logits (N, V), targets (N,) of integers; the loss is one number.

Write `smoothed_loss`. `np.eye(V)[targets]` is (N, V), with a 1 at each target.
"""

import numpy as np


def smoothed_loss(logits, targets, epsilon):
    """The mean loss of the rows."""
    z = logits - logits.max(axis=-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    vocab_size = logits.shape[-1]
    q = (1 - epsilon) * np.eye(vocab_size)[targets] + epsilon / vocab_size
    return -(q * log_p).sum(axis=-1).mean()
