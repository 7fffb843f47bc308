"""7.6 A large batch in small pieces.

Chapter 7, training.

What if a batch does not fit into memory? Gradients add up until they are cleared (exercise 1.4),
so a batch can be cut into pieces: each piece is run forward and back, and only then does the
optimiser take its step. The result should be the same as for the whole batch at once.

One thing is easy to get wrong. The loss of a batch is a mean over its N rows, and the loss of a
piece is a mean over the n rows of the piece. So the loss of each piece has to be weighted by its
share before it walks back:

    loss of the batch = sum over the pieces of (n / N) · loss of the piece

Shapes: pieces is a list of pairs (x, y) with x (n, I) and y (n, O); n may differ from piece to
piece.

Write `accumulate`. It clears old gradients with `optimizer.zero_grad()`, leaves those of the
whole batch in the parameters, and returns the loss of the whole batch as a float. The step itself
is left to the caller.
"""

from foundation_nn import functional as F


def accumulate(model, optimizer, pieces):
    """The loss of all pieces together; its gradients lie in the parameters."""
    raise NotImplementedError("your turn: clear, then loss, weight and backward for each piece")
