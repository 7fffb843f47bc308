"""The feed-forward network of a layer: each position by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from foundation_nn import (
    Array,
    Linear,
    Module,
    Result,
    Tensor,
    by_rows,
    init,
    limited,
    logistic,
    number,
    operation,
    whole_number,
)
from foundation_nn import functional as F


@operation
@by_rows
def swiglu(x: Array) -> Result:
    """silu(a) ∘ b, where the last axis of ``x`` (..., 2F) holds a, then b [1]_.

    With s = σ(a):  da = g b s (1 + a (1 - s)),  db = g a s.

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((5, 6))
    >>> a, b = x[:, :3], x[:, 3:]
    >>> np.allclose(a / (1 + np.exp(-a)) * b, swiglu(x).data)
    True
    """
    width = x.shape[-1] // 2
    a, b = x[:, :width], x[:, width:]
    largest = np.finfo(x.dtype).max
    s = logistic(a)
    finite = limited(a, -largest, largest)  # 0 · ∞ would be NaN: the limits are 0 and ∞

    def backward(g: Array) -> Array:
        silu = finite * s
        dx = np.empty_like(x)
        np.multiply(g * b, s + silu * (1 - s), out=dx[:, :width])
        np.multiply(g, silu, out=dx[:, width:])
        return dx

    return limited(a, -largest, np.inf) * s * b, backward


@operation
def geglu(x: Array, approximate: str = "none") -> Result:
    """gelu(a) ∘ b, where the last axis of ``x`` (..., 2F) holds a, then b [1]_.

    ``approximate`` is that of :func:`foundation_nn.functional.gelu`.

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.

    Examples
    --------
    The formula, of one row:

    >>> import math
    >>> import numpy as np
    >>> a, b = 0.5, 3.0
    >>> expected = a * (1 + math.erf(a / math.sqrt(2))) / 2 * b
    >>> np.allclose(geglu(np.array([[a, b]])).data, expected)
    True
    """
    width = x.shape[-1] // 2
    b = x[..., width:]
    activated, backward_of_gelu = F.gelu.kernel(x[..., :width], approximate)

    def backward(g: Array) -> Array:
        dx = np.empty_like(x)
        dx[..., :width] = backward_of_gelu(g * b)
        np.multiply(g, activated, out=dx[..., width:])
        return dx

    return activated * b, backward


#: Activations that halve the width: one half gates the other.
GATED = ("swiglu", "geglu", "geglu_tanh")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "swiglu": swiglu,
    "geglu": geglu,
    "geglu_tanh": lambda x: geglu(x, "tanh"),
}


def feed_forward(
    x: Tensor, linear1: Linear, linear2: Linear, activation: str, dropout: float
) -> Tensor:
    """linear2(dropout(activation(linear1(x)))), (..., D) to (..., D)."""
    h = ACTIVATIONS[activation](linear1(x))
    return linear2(F.dropout(h, dropout))


def linear_layers(
    d_model: int, d_ff: int, activation: str, bias: bool, rng: np.random.Generator | None
) -> tuple[Linear, Linear]:
    """The two linear layers of a feed-forward network, see :class:`FeedForward`.

    The first has D inputs and F outputs, or 2F if the activation is gated; the second F and D.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {tuple(ACTIVATIONS)}, got {activation!r}")
    d_model = whole_number("FeedForward", "d_model", d_model, at_least=1)
    d_ff = whole_number("FeedForward", "d_ff", d_ff, at_least=1)
    rng = init.generator(rng)
    width = 2 * d_ff if activation in GATED else d_ff
    return Linear(d_model, width, bias, rng=rng), Linear(d_ff, d_model, bias, rng=rng)


class FeedForward(Module):
    """Two linear layers with a nonlinearity between them, [1]_ eq. 2.

    Parameters
    ----------
    d_model, d_ff : int
        D and F.
    activation : {"relu", "gelu", "gelu_tanh", "silu", "swiglu", "geglu", "geglu_tanh"}
    dropout : float
        Of the hidden units.
    bias : bool
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    linear1 : Linear
        D to F; to 2F for the last three: the rows of the gate, then those of what it gates.
    linear2 : Linear
        F to D.

    Raises
    ------
    ValueError
        If the activation is none of these.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.linear1, self.linear2 = linear_layers(d_model, d_ff, activation, bias, rng)
        self.activation = activation
        self.dropout = number("FeedForward", "dropout", dropout, at_least=0, less_than=1)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a network, for checkpoints."""
        return {
            "d_model": self.linear1.in_features,
            "d_ff": self.linear2.in_features,
            "activation": self.activation,
            "dropout": self.dropout,
            "bias": self.linear1.bias is not None,
        }

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return feed_forward(x, self.linear1, self.linear2, self.activation, self.dropout)


class SwiGLU(FeedForward):
    """W₂ (silu(W_gate x) ∘ W_up x), [1]_ eq. 6, with both inner matrices in ``linear1``.

    Parameters as for :class:`FeedForward`; without biases by default, as in the paper.

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        dropout: float = 0.0,
        bias: bool = False,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(d_model, d_ff, "swiglu", dropout, bias, rng=rng)

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a network, for checkpoints; the activation is no choice."""
        return {name: value for name, value in super().to_dict().items() if name != "activation"}
