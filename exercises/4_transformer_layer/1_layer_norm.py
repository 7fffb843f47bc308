"""4.1 Layer normalisation.

Chapter 4, the transformer layer.

How do numbers keep their size through fifty layers? Every position of every sequence is a vector
of D numbers. Layer normalisation gives each of these vectors the mean 0 and the variance 1, and
then lets the network choose a scale and a shift for each component:

    mean = the mean of the D numbers           var = the mean of (x - mean)²
    y = (x - mean) / √(var + ε) · weight + bias

The small ε keeps a vector of equal numbers, whose variance is 0, from being divided by 0. It
stands under the root.

Shapes: x (..., D), weight and bias (D,); y has the shape of x. Mean and variance belong to one
position each: they are taken along the last axis.

Write `layer_norm`.
"""

import numpy as np


def layer_norm(x, weight, bias, eps=1e-5):
    """x with mean 0 and variance 1 along the last axis, scaled and shifted."""
    raise NotImplementedError(
        "your turn: mean and variance along the last axis, with keepdims=True; then the formula"
    )
