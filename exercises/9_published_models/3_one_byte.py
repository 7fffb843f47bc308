"""9.3 One byte a number.

Chapter 9, published models.

How does a model fit into a quarter of its memory? A float32 takes four bytes. A whole number from
-127 to 127, a code, takes one. So each row of a matrix is measured by a step of its own, its scale,
and every number becomes the number of steps that is nearest to it:

    scale = the largest |w| of the row / 127           codes = w / scale, rounded

    row         1.27   -0.5    0.004          the largest is 1.27, so the scale is 0.01
    codes        127    -50    0              0.4 of a step is rounded to none
    back        1.27   -0.5    0.0            codes · scale: at most half a step away

A layer need not widen the whole matrix. Row o of W is scale[o] times row o of the codes, so the
scale is a factor of output o:

    y = x Wᵀ  ≈  (x codesᵀ) · scale

A row of zeros has no largest number to divide by. Its scale is 1 / 127, and its codes are zeros.

Shapes: weight (O, I), codes (O, I) of the type np.int8, scales (O,), x (N, I), y (N, O).

Write `compress`, which returns codes and scales, and `product`. `np.rint` rounds to the nearest
whole number; `.astype(np.int8)` alone would cut off what is behind the point.
"""

import numpy as np


def compress(weight):
    """Codes of one byte each, and a scale for each row."""
    raise NotImplementedError("your turn: the largest of each row, its scale, and the codes")


def product(x, codes, scales):
    """What x Wᵀ would be, nearly."""
    raise NotImplementedError("your turn: the product with the codes, then the scales")
