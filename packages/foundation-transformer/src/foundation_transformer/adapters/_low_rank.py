"""LoRA: a matrix that stays as it is, and a small change of it that is learnt.

To fine-tune a matrix W (out, in) is to learn a change ΔW that is added to it. The change that a new
task asks for is simple, most of the time: a matrix of a low rank r expresses it well [1]_. Such a
matrix is a product B A of two small ones, A (r, in) and B (out, r), and only these are learnt:

    y = x Wᵀ + (α / r) · (x Aᵀ) Bᵀ

Of a matrix of 576 x 576 numbers, rank 8 learns 9,216 numbers instead of 331,776. Gradients and the
state of the optimiser are as small; the gradient of W is never computed. A is drawn at random and B
begins at zero, so that the first step begins at the model as it was. α only scales: with it fixed,
another rank needs no other learning rate.

In plain NumPy, with its backward. ``g`` is the gradient of the loss with respect to y:

>>> import numpy as np
>>> def plain_lora(x, W, A, B, alpha):
...     return x @ W.T + alpha / len(A) * (x @ A.T) @ B.T
>>> def plain_backward(g, x, W, A, B, alpha):
...     scale = alpha / len(A)
...     dB = scale * g.T @ (x @ A.T)
...     dA = scale * (g @ B).T @ x
...     dx = g @ W + scale * (g @ B) @ A
...     return dx, dA, dB

It computes what the layer does:

>>> from foundation_nn import Linear, Tensor
>>> from foundation_transformer.adapters import AdaptedLinear, Adapter
>>> rng = np.random.default_rng(0)
>>> base = Linear(5, 7, bias=False, rng=rng).astype(np.float64).freeze()
>>> adapter = Adapter(5, {"all": (0, 7)}, rank=2, alpha=4, rng=rng).astype(np.float64)
>>> A, B = adapter.pairs["all"].A, adapter.pairs["all"].B
>>> B.data = rng.standard_normal((7, 2))  # as if it had learnt something
>>> x = Tensor(rng.standard_normal((3, 5)), requires_grad=True)
>>> layer = AdaptedLinear.around(base, adapter)
>>> y = layer(x)
>>> np.allclose(y.data, plain_lora(x.data, base.weight.data, A.data, B.data, alpha=4))
True
>>> g = rng.standard_normal(y.shape)
>>> (y * g).sum().backward()
>>> expected = plain_backward(g, x.data, base.weight.data, A.data, B.data, alpha=4)
>>> all(np.allclose(p.grad, e) for p, e in zip((x, A, B), expected, strict=True))
True
>>> base.weight.grad is None
True

References
----------
.. [1] E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022,
   arXiv:2106.09685.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from foundation_nn import Array, Module, Parameter, Result, Tensor, init, operation, product
from foundation_nn import functional as F
from numpy.typing import NDArray

_switched_on = ContextVar("_switched_on", default=True)


@contextmanager
def adapters_off() -> Iterator[None]:
    """Within it, adapted layers compute what they did before they were adapted.

    Examples
    --------
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.adapters import Lora
    >>> config = TransformerConfig.llama(vocab_size=11, d_model=8, num_heads=2, num_layers=1)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> ids = np.array([[3, 1, 4]])
    >>> before = model(ids).data
    >>> lora = Lora.around(model, rank=2, rng=np.random.default_rng(0))
    >>> for p in lora.parameters():
    ...     p.data = np.ones(p.shape)
    >>> bool((model(ids).data == before).all())
    False
    >>> with adapters_off():
    ...     bool((model(ids).data == before).all())
    True
    """
    token = _switched_on.set(False)
    try:
        yield
    finally:
        _switched_on.reset(token)


@operation
def low_rank(*inputs: Array, rows: tuple[slice, ...], scale: float) -> Result:
    """Y + scale · X Aᵀ Bᵀ, where several pairs A, B change different columns of Y.

    The matrices of queries, keys and values lie one beneath the other in one W, and each of them
    has a pair of its own. With h = X Aᵀ and G' the columns of G that belong to the pair:

    dB = scale · G'ᵀ h,  dh = scale · G' B,  dA = dhᵀ X,  dX = Σ dh A,  dY = G.

    Parameters
    ----------
    y : (..., out) tensor
        What W has made of x.
    x : (..., in) tensor
    A, B : (r, in) and (rows, r) tensors
        One pair after the other: A, B, A, B, ...
    rows : tuple of slice
        Of W, for each pair: the columns of y that it changes.
    scale : float
    """
    y, x, *matrices = inputs
    downs, ups = matrices[0::2], matrices[1::2]
    A = downs[0] if len(downs) == 1 else np.concatenate(downs)  # (Σ r, in): one product for all
    ends = np.cumsum([len(down) for down in downs]).tolist()
    parts = [slice(end - len(down), end) for end, down in zip(ends, downs, strict=True)]
    x2 = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))  # (N, in)
    h = product(x2, A.T)  # (N, Σ r)
    flat = len(x2), y.shape[-1]  # backward keeps this shape, and so not the result itself
    result = np.array(y.reshape(flat))  # (N, out)
    for part, up, columns in zip(parts, ups, rows, strict=True):
        result[:, columns] += product(scale * h[:, part], up.T)

    def backward(g: Array) -> tuple[Any, ...]:
        g2 = g.reshape(flat)
        dh = np.empty_like(h)  # (N, Σ r)
        for part, up, columns in zip(parts, ups, rows, strict=True):
            dh[:, part] = product(g2[:, columns], up)
        dh *= scale
        dA = product(dh.T, x2)  # (Σ r, in)
        grads: list[Any] = [g, lambda: product(dh, A).reshape(x.shape)]
        for part, columns in zip(parts, rows, strict=True):
            grads += [dA[part], product(g2[:, columns].T, scale * h[:, part])]
        return tuple(grads)

    return result.reshape(y.shape), backward


class LowRank(Module):
    """The two small matrices of one change, ΔW = (α / r) · B A.

    Attributes
    ----------
    A : (r, in) Parameter
    B : (out, r) Parameter
        Zero at first.
    """

    def __init__(
        self, in_features: int, out_features: int, rank: int, rng: np.random.Generator
    ) -> None:
        self.A = Parameter(init.torch_linear(rng, (rank, in_features), in_features))
        self.B = Parameter(np.zeros((out_features, rank), np.float32))


class Adapter(Module):
    """The changes of one matrix: of all its rows, or of some that belong together.

    Parameters
    ----------
    in_features : int
    parts : mapping of str to (start, stop)
        The rows that each change is for, by a name such as "q".
    rank : int
        r of each change.
    alpha : float
        α: a change is multiplied by α / r.
    dropout : float
        Of what the changes read, within ``train_mode``.
    rng : numpy.random.Generator, optional

    Attributes
    ----------
    pairs : dict of str to LowRank

    Raises
    ------
    ValueError
        If the rank is larger than a side of the matrix, which needs no more.
    """

    def __init__(
        self,
        in_features: int,
        parts: Mapping[str, tuple[int, int]],
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)
        for name, (start, stop) in parts.items():
            if rank > min(stop - start, in_features):
                raise ValueError(
                    f"rank {rank} is larger than {name!r}, a matrix of shape "
                    f"{(stop - start, in_features)}; a change of it has at most rank "
                    f"{min(stop - start, in_features)}"
                )
        self.in_features = in_features
        self.rows = {name: slice(start, stop) for name, (start, stop) in parts.items()}
        self.scale = alpha / rank
        self.dropout = dropout
        self.pairs = {
            name: LowRank(in_features, stop - start, rank, rng)
            for name, (start, stop) in parts.items()
        }

    def forward(self, y: Tensor, x: Tensor, rows: slice | None = None) -> Tensor:
        """What the matrix has made of ``x``, with the changes added to it.

        If only some ``rows`` of the matrix were used, as the attention to another text uses those
        of the queries for one text and the rest for the other, then the changes of these rows.
        """
        if not _switched_on.get():
            return y
        first = 0 if rows is None else rows.start  # the row that the first column of y belongs to
        matrices: list[Tensor] = []
        columns: list[slice] = []  # of y, one for each pair
        for name, pair in self.pairs.items():
            own = self.rows[name]
            used = own if rows is None else _common(own, rows)
            if used.start >= used.stop:
                continue
            B: Tensor = pair.B
            if used != own:
                B = B[used.start - own.start : used.stop - own.start]
            matrices += [pair.A, B]
            columns.append(slice(used.start - first, used.stop - first))
        if not columns:
            return y
        x = F.dropout(x, self.dropout)
        return low_rank(y, x, *matrices, rows=tuple(columns), scale=self.scale)

    def change(self, rows: int) -> NDArray[Any]:
        """ΔW for a matrix of so many rows; zeros where nothing is changed."""
        dtype = next(self.parameters()).dtype
        delta = np.zeros((rows, self.in_features), dtype)
        for name, pair in self.pairs.items():
            delta[self.rows[name]] = dtype.type(self.scale) * (pair.B.data @ pair.A.data)
        return delta


def _common(first: slice, second: slice) -> slice:
    """The rows that are in both; none if its start is not before its stop."""
    return slice(max(first.start, second.start), min(first.stop, second.stop))
