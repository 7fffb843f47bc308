"""4.4 A whole layer.

Chapter 4, the transformer layer.

What is a transformer made of? Two parts in each layer: attention, through which positions read
each other, and a feed-forward network, which works on each position by itself. Neither replaces
x; each adds something to it. These are the residual connections, and through the plain x in the
sum the gradient gets from the last layer to the first undiminished. Normalisation stands in front
of each part ("pre-norm"):

    x = x + attention(norm1(x))
    x = x + linear2(relu(linear1(norm2(x))))

Shapes: x and the result are (B, T, D). linear1 goes from D to F numbers, linear2 back to D.

Write `forward`. A `MultiHeadAttention` that is given one argument is self-attention: queries,
keys and values are made from the same x. `key_mask` (B, T) says which positions are real and
belongs to the attention: `self.self_attn(..., key_mask=key_mask)`.
"""

from foundation_attn import MultiHeadAttention
from foundation_nn import LayerNorm, Linear, Module
from foundation_nn import functional as F


class EncoderLayer(Module):
    """Self-attention and a feed-forward network, each in a residual branch."""

    def __init__(self, d_model, num_heads, d_ff, rng=None):
        self.self_attn = MultiHeadAttention(d_model, num_heads, rng=rng)
        self.linear1 = Linear(d_model, d_ff, rng=rng)
        self.linear2 = Linear(d_ff, d_model, rng=rng)
        self.norm1 = LayerNorm(d_model)
        self.norm2 = LayerNorm(d_model)

    def forward(self, x, key_mask=None):
        """(B, T, D) → (B, T, D)."""
        raise NotImplementedError("your turn: the two lines above")
