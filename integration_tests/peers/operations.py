"""PyTorch's arithmetic, products and reductions, written with our operators and methods."""

from __future__ import annotations

from typing import Any

import numpy as np
from closeness import NotOurs
from foundation_nn import Tensor
from foundation_nn import functional as F
from samples import Adapter


def times(factor: Any, y: Any) -> Any:
    """``factor * y``; one changes nothing, and zero leaves y out, even if it is NaN."""
    if factor is True or factor == 1:
        return y
    return 0.0 if factor == 0 else factor * y


def clamp(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    """Between bounds, which are numbers, or tensors that have gradients, too."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        raise NotOurs("clamp: bounds that have gradients")
    return F.clip(x, low, high)


def added_product(
    c: Tensor, a: Tensor, b: Tensor, beta: Any = 1, alpha: Any = 1, *, sum_batch: bool = False
) -> Tensor:
    product = (a @ b).sum(0) if sum_batch else a @ b
    if beta == 0:
        return alpha * product + np.zeros(c.shape, c.dtype)
    return times(beta, c) + times(alpha, product)


def multi_dot(matrices: list[Tensor]) -> Tensor:
    product, *others = matrices
    for matrix in others:
        product = product @ matrix
    return product


def inner(x: Any, y: Any) -> Any:
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    return x @ (y if y.ndim == 1 else y.swapaxes(-1, -2))


def axes(dim: Any) -> Any:
    """Our axes for PyTorch's, where an empty list means all of them."""
    if np.ndim(dim) == 0:
        return dim
    return tuple(dim) or None


def variance(x: Tensor, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Tensor:
    return F.var(x, axes(dim), keepdim, 1 if correction is None else correction)


def deviation(x: Tensor, dim: Any = None, correction: Any = 1, keepdim: bool = False) -> Tensor:
    return F.std(x, axes(dim), keepdim, 1 if correction is None else correction)


def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Of all axes together; ours takes another norm than the Euclidean one over a single axis."""
    axis = axes(dim)
    if not x.ndim:
        return F.norm(x.reshape(1), float(ord), 0).reshape(())
    if ord == 2:
        return F.norm(x, None, axis, keepdim)
    over = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis) % x.ndim)
    others = [a for a in range(x.ndim) if a not in over]
    lengths = [x.shape[a] for a in others]
    y = F.norm(x.transpose((*others, *over)).reshape(*lengths, -1), float(ord), -1)
    return F.expand_dims(y, tuple(sorted(over))) if keepdim else y


def matrix_norm(x: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    return F.norm(x, ord, tuple(dim), keepdim)


def linalg_norm(x: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Tensor:
    if dim is None and ord is not None:
        dim = tuple(range(x.ndim))
    if dim is not None and np.ndim(dim) and len(dim) == 2 and ord is not None:
        return matrix_norm(x, ord, dim, keepdim)
    return vector_norm(x, 2 if ord is None else ord, dim, keepdim)


def norm(x: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Tensor:
    """The older ``torch.norm``, in which numbers are norms of vectors, over any axes."""
    if p == "nuc":
        return matrix_norm(x, p, (-2, -1) if dim is None else dim, keepdim)
    return vector_norm(x, 2 if p in ("fro", None) else p, dim, keepdim)


def normalize(x: Tensor, p: Any = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    return x / F.maximum(vector_norm(x, p, dim, keepdim=True), eps)


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    if not x.ndim or not sorted:
        raise NotOurs("topk: of a number, or in no order")
    values, places = x.topk(k, dim) if largest else (-x).topk(k, dim)
    return values if largest else -values, places


def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    del stable
    if not x.ndim:
        return x, np.zeros((), np.int64)
    if not descending:
        places = x.argsort(dim, stable=True)
    else:  # of equal elements, the first one comes first
        backwards = np.flip(x.data, dim).argsort(dim, stable=True)
        places = x.shape[dim] - 1 - np.flip(backwards, dim)
    return F.take_along_axis(x, places, dim), places


ARITHMETIC: dict[str, Adapter] = {
    "add": lambda x, y, alpha=1: x + times(alpha, y),
    "sub": lambda x, y, alpha=1: x - times(alpha, y),
    "rsub": lambda x, y, alpha=1: y - times(alpha, x),
    "mul": lambda x, y: x * y,
    "div_no_rounding_mode": lambda x, y: x / y,
    "true_divide": lambda x, y: x / y,
    "__radd__": lambda x, y: y + x,
    "__rsub__": lambda x, y: y - x,
    "__rmul__": lambda x, y: y * x,
    "__rdiv__": lambda x, y: y / x,
    "neg": lambda x: -x,
    "log1p": F.log1p,
    "abs": F.abs,
    "sign": F.sign,
    "sin": F.sin,
    "cos": F.cos,
    "erf": F.erf,
    "clamp": lambda x, low=None, high=None, min=None, max=None: clamp(
        x, min if low is None else low, max if high is None else high
    ),
    "maximum": F.maximum,
    "minimum": F.minimum,
    "max_binary": F.maximum,
    "min_binary": F.minimum,
    "__rpow__": lambda x, y: y**x,
    "pow": lambda x, exponent: x**exponent,
    "square": lambda x: x**2,
    "reciprocal": lambda x: x**-1,
    "rsqrt": lambda x: 1 / x.sqrt(),
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "sqrt": lambda x: x.sqrt(),
    "addcmul": lambda x, y, z, value=1: x + times(value, y * z),
    "addcdiv": lambda x, y, z, value=1: x + times(value, y / z),
    "lerp": lambda x, y, weight: x + weight * (y - x),
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
}

PRODUCTS: dict[str, Adapter] = {
    "matmul": lambda x, y: x @ y,
    "__rmatmul__": lambda x, y: y @ x,
    "mm": lambda x, y: x @ y,
    "bmm": lambda x, y: x @ y,
    "mv": lambda x, y: x @ y,
    "dot": lambda x, y: x @ y,
    "vdot": lambda x, y: x @ y,
    "inner": inner,
    "outer": F.outer,
    "einsum": lambda xs, subscripts: F.einsum(subscripts, *xs),
    "addmm": added_product,
    "addmm_decomposed": added_product,
    "addmv": added_product,
    "baddbmm": added_product,
    "addbmm": lambda c, a, b, beta=1, alpha=1: added_product(c, a, b, beta, alpha, sum_batch=True),
    "addr": lambda c, a, b, beta=1, alpha=1: added_product(c, a[:, None], b[None], beta, alpha),
    "linalg_multi_dot": multi_dot,
    "linalg_vecdot": lambda x, y, dim=-1: (x * y).sum(dim),
}

REDUCTIONS: dict[str, Adapter] = {
    "sum": lambda x, dim=None, keepdim=False: x.sum(axes(dim), keepdim),
    "mean": lambda x, dim=None, keepdim=False: x.mean(axes(dim), keepdim),
    "amax": lambda x, dim=None, keepdim=False: x.max(axes(dim), keepdim),
    "amin": lambda x, dim=None, keepdim=False: x.min(axes(dim), keepdim),
    "max_reduction_with_dim": lambda x, dim, keepdim=False: x.max(dim, keepdim),
    "min_reduction_with_dim": lambda x, dim, keepdim=False: x.min(dim, keepdim),
    "max_reduction_no_dim": lambda x: x.max(),
    "min_reduction_no_dim": lambda x: x.min(),
    "logsumexp": lambda x, dim, keepdim=False: F.logsumexp(x, axes(dim), keepdim),
    "cumsum": lambda x, dim: F.cumsum(x, dim if x.ndim else None).reshape(x.shape),
    "var": variance,
    "std": deviation,
    "linalg_vector_norm": vector_norm,
    "linalg_matrix_norm": matrix_norm,
    "linalg_norm": linalg_norm,
    "norm": norm,
    "norm_fro": norm,
    "norm_nuc": norm,
    "norm_inf": norm,
    "var_unbiased": lambda x, unbiased=True: F.var(x, ddof=int(unbiased)),
    "std_unbiased": lambda x, unbiased=True: F.std(x, ddof=int(unbiased)),
    "var_mean": lambda x, dim=None, correction=1, keepdim=False: [
        variance(x, dim, correction, keepdim),
        x.mean(axes(dim), keepdim),
    ],
    "std_mean": lambda x, dim=None, correction=1, keepdim=False: [
        deviation(x, dim, correction, keepdim),
        x.mean(axes(dim), keepdim),
    ],
    "argmax": lambda x, dim=None, keepdim=False: x.argmax(dim, keepdim),
    "argmin": lambda x, dim=None, keepdim=False: x.argmin(dim, keepdim),
    "any": lambda x, dim=None, keepdim=False: x.any(dim, keepdim),
    "all": lambda x, dim=None, keepdim=False: x.all(dim, keepdim),
    "topk": topk,
    "sort": sort,
    "nn_functional_normalize": normalize,
}

OPERATIONS = ARITHMETIC | PRODUCTS | REDUCTIONS
