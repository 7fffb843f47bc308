"""7.2 Adam.

Chapter 7, training.

Why should all weights take steps of the same kind? Some gradients are a thousand times as large
as others. Adam keeps two averages for each weight, of its gradient (m) and of the square of its
gradient (v), and divides the one by the root of the other. So a step is about as long as the
learning rate, whatever the size of the gradient, and shorter where the gradient often changes its
sign:

    m = β₁ m + (1 - β₁) g            m̂ = m / (1 - β₁ᵗ)
    v = β₂ v + (1 - β₂) g²           v̂ = v / (1 - β₂ᵗ)
    w = w - lr m̂ / (√v̂ + ε)

Both averages begin with 0, so that they are too small at first. Dividing them by 1 - βᵗ makes up
for that, in the steps t = 1, 2, 3, ...

Shapes: w, g, m and v have the same shape; t is the number of the step, counted from 1.

Write `adam_step`, which returns the new w, m and v. It does not change the arrays that it is
given.
"""

import numpy as np


def adam_step(w, g, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    """The weight and both averages after step t."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(v_hat) + eps), m, v
