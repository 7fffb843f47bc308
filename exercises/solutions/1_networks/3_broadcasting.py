"""1.3 Undoing broadcasting.

Chapter 1, networks and backpropagation.

When NumPy adds a bias of shape (3,) to a matrix of shape (2, 3), it uses the bias twice, once for
each row. What is the gradient of something that was used several times? It is the sum of the
gradients of all its uses. So the backward of broadcasting is a sum: over every axis that NumPy
put in front, and over every axis that had length 1 and was stretched.

    shape of the input   (3,)     (2, 1)     ()
    shape of g           (2, 3)   (2, 3)     (2, 3)
    sum g over           axis 0   axis 1     both
    result               (3,)     (2, 1)     ()

Write `unbroadcast`, which takes g and the shape that the input had before it was broadcast, and
returns the gradient in that shape. `g.sum(axis=..., keepdims=True)` keeps an axis with length 1.
"""


def unbroadcast(g, shape):
    """The gradient g, summed to `shape`."""
    added = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(added)))
    stretched = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return g.sum(axis=stretched, keepdims=True)
