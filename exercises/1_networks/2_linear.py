"""1.2 The backward of a linear layer.

Chapter 1, networks and backpropagation.

How do all weights of a layer learn at once? A linear layer multiplies N inputs, the rows of x,
with a matrix. In this library an operation returns its value together with its backward: a
function that takes g, the slopes of the loss with respect to y, and returns one array of slopes
for each input of the operation.

    y = x Wᵀ + b

A weight W[o, i] takes part in the answer of every row n, through x[n, i]; so its slope is a sum
over all rows. The same holds for b[o]. In matrices:

    dx = g W        dW = gᵀ x        db = the sum of g over the rows

Shapes: x (N, I), weight (O, I), bias (O,), y and g (N, O). A gradient always has the shape of the
array that it belongs to; that is the quickest way to find out what has to be transposed.

Write the value, and the three gradients in `backward`.
"""

from foundation_nn import Array, Result


def linear(x: Array, weight: Array, bias: Array) -> Result:
    """x Wᵀ + b, and its backward."""

    def backward(g):
        raise NotImplementedError("your turn: return dx, dweight and dbias")

    raise NotImplementedError(
        "your turn: compute y and return it together with backward: return y, backward"
    )
