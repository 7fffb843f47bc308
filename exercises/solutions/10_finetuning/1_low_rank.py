"""10.1 A change of few numbers.

Chapter 10, teaching a model something new.

How does one teach a large matrix something without training it? W stays as it is, and a change is
learnt beside it: the product of two small matrices, A with r rows and B with r columns. r is the
rank of the change, and α a fixed number that scales it:

    y = x Wᵀ + s (x Aᵀ) Bᵀ          s = α / r

Of a matrix with 576 x 576 numbers, rank 8 learns 9,216 instead of 331,776. The gradients, from g,
the slopes of the loss towards y, are those of two linear layers, one behind the other:

    dB = s gᵀ (x Aᵀ)        dA = s (g B)ᵀ x        dx = g W + s (g B) A

There is none for W: it is not learnt. But x has reached y on two ways, through W and through the
change, so that dx is the sum of both.

Shapes: x (N, I), W (O, I), A (r, I), B (O, r), y and g (N, O). A gradient has the shape of the
array that it belongs to.

Write the value, and the three gradients in `backward`: dx, dA, dB.
"""

from foundation_nn import Array, Result


def low_rank(x: Array, a: Array, b: Array, weight, alpha) -> Result:
    """x Wᵀ and the change beside it, with its backward."""

    def backward(g):
        da = scale * (g @ b).T @ x
        db = scale * g.T @ (x @ a.T)
        dx = g @ weight + scale * (g @ b) @ a
        return dx, da, db

    scale = alpha / len(a)
    y = x @ weight.T + scale * (x @ a.T) @ b.T
    return y, backward
