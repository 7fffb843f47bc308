"""10.2 Merging the change.

Chapter 10, teaching a model something new.

What does a learnt change cost when the model is used? Two more products for each matrix, unless it
is added to the weights. Then the model is an ordinary one again, as fast as before:

    x Wᵀ + s (x Aᵀ) Bᵀ  =  x (W + s B A)ᵀ          s = α / r

Queries, keys and values lie one beneath the other in one W, and a change may be meant for one of
them alone. It is then added to the rows of W that belong to it, from row `start` on; B has as many
rows as are changed. The other rows stay as they are.

Whoever calls keeps W, to take the change away again: in floating point W + ΔW - ΔW is not W. So
return a new matrix, and leave the old one as it is.

Shapes: weight (O, I), a (r, I), b (P, r) with start + P ≤ O; the result is (O, I).

Write `merged`. `weight.copy()` gives a new matrix to write into.
"""


def merged(weight, a, b, alpha, start):
    """W with the change added to the rows from start on."""
    raise NotImplementedError("your turn: copy the weights, and add s B A to the rows it is for")
