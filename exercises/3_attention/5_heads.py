"""3.5 Many heads.

Chapter 3, attention.

How can a word look at several places at once? The width D is cut into H heads of width K = D / H,
and every head attends by itself. Head h owns the components h·K to (h+1)·K - 1 of each position.
No arithmetic is needed for this, only a new order:

    (B, T, D)  →  (B, T, H, K)  →  (B, H, T, K)        cut the last axis, then swap two axes

Afterwards the heads are put beside each other again, by the same way back.

Shapes: `split_heads` takes (B, T, D) and gives (B, H, T, K); `merge_heads` takes that and gives
(B, T, D).

Write both. A reshape keeps the order in which the numbers lie in memory, so it cannot swap two
axes: that is what `swapaxes` or `transpose` is for.
"""


def split_heads(x, num_heads):
    """(B, T, D) → (B, H, T, K)."""
    raise NotImplementedError("your turn: reshape to (B, T, H, K), then swap the axes of T and H")


def merge_heads(x):
    """(B, H, T, K) → (B, T, D)."""
    raise NotImplementedError("your turn: the same way back: swap first, then reshape")
