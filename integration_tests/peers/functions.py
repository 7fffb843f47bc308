"""``torch.nn.functional``, written with :mod:`foundation_nn.functional`."""

from __future__ import annotations

from typing import Any

import numpy as np
from closeness import NotOurs
from foundation_attn import attention, masked_softmax
from foundation_nn import Tensor
from foundation_nn import functional as F
from samples import Adapter


def of_last_axis(name: str, x: Any, shape: Any) -> None:
    if tuple(shape) != x.shape[-1:]:
        raise NotOurs(f"{name}: over more than the last axis")


def layer_norm(
    x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    of_last_axis("layer_norm", x, shape)
    return F.layer_norm(x, weight, bias, eps)


def rms_norm(x: Tensor, shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    of_last_axis("rms_norm", x, shape)
    return F.rms_norm(x, weight, float(np.finfo(x.dtype).eps) if eps is None else eps)


def loss(function: Any) -> Adapter:
    """A loss of a prediction and a target; PyTorch's broadcast, ours do not."""

    def reduced(x: Tensor, target: Tensor, reduction: str = "mean", **options: Any) -> Tensor:
        if x.shape != target.shape:
            raise NotOurs("losses: of shapes that broadcast")
        return function(x, target, reduction, **options)  # type: ignore[no-any-return]

    return reduced


mse_loss = loss(F.mse_loss)


def kl_div(x: Tensor, target: Tensor, reduction: str, **options: Any) -> Tensor:
    if reduction == "batchmean":
        return F.kl_div(x, target, "sum", **options) / max(1, len(x))
    return F.kl_div(x, target, reduction, **options)


def smooth_l1(x: Tensor, target: Tensor, reduction: str, beta: Any = 1.0) -> Tensor:
    """Huber's loss divided by δ; with β = 0 it is the absolute error."""
    if beta == 0:
        return F.l1_loss(x, target, reduction)
    return F.huber_loss(x, target, reduction, beta) / beta


def pad_last(x: Tensor, widths: Any) -> list[tuple[int, int]]:
    """PyTorch's widths, of the last axis first, as pairs for all axes."""
    pairs = list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    if min(widths) < 0:
        raise NotOurs("pad: negative widths, which cut")
    return [(0, 0)] * (x.ndim - len(pairs)) + pairs


def pad(mode: str) -> Adapter:
    """``torch.nn.functional.pad`` with a mode of NumPy."""

    def framed(x: Tensor, pad: Any, mode: Any = None, value: Any = None) -> Tensor:
        del mode
        return F.pad(x, pad_last(x, pad), ours, 0.0 if value is None else value)

    ours = mode
    return framed


def binary_cross_entropy(
    x: Tensor, target: Tensor, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    if weight is not None:
        raise NotOurs("binary_cross_entropy_with_logits: weights")
    if isinstance(pos_weight, Tensor):
        pos_weight = pos_weight.data
    return F.binary_cross_entropy_with_logits(x, target, reduction, pos_weight)


def cross_entropy(
    logits: Tensor,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """PyTorch has the classes on the second axis, we on the last."""
    soft = target.dtype.kind == "f"
    if logits.ndim > 2:
        order = (0, *range(2, logits.ndim), 1)
        logits = logits.transpose(order)
        target = target.transpose(order) if soft else target
    ignored = None if soft else ignore_index
    return F.cross_entropy(logits, target, ignored, label_smoothing, weight, reduction)


def linear_cross_entropy(
    x: Tensor,
    matrix: Tensor,
    target: Any,
    *,
    linear_bias: Any = None,
    options: Any = None,
    **more: Any,
) -> Tensor:
    """Linear, then cross-entropy; ``options`` say how PyTorch cuts it, which changes no number."""
    if matrix.ndim != 2:
        raise NotOurs("linear_cross_entropy: classes on several axes")
    del options
    return cross_entropy(F.linear(x, matrix, linear_bias), target, **more)


def embedding(weight: Tensor, ids: Any, **more: Any) -> Tensor:
    if more:
        raise NotOurs("embedding: padding_idx, max_norm, scale_grad_by_freq, sparse")
    return F.embedding(ids, weight)


def dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    if training and 0 < p < 1:
        raise NotOurs("dropout: what is dropped is random")
    return F.dropout(x, p, np.random.default_rng(0) if training else None)


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
) -> Tensor:
    if dropout_p:
        raise NotOurs("attention: what is dropped is random")
    if is_causal and q.shape[-2] != k.shape[-2]:
        # In PyTorch query t sees the keys 0..t; ours takes the queries for the last positions.
        pattern = np.tri(q.shape[-2], k.shape[-2], dtype=bool)
        return attention(q, k, v, pattern[(None,) * (k.ndim - 2)])
    return attention(q, k, v, attn_mask, is_causal)


def softmax_of_some(x: Tensor, dim: int, mask: Any = None) -> Tensor:
    if x.ndim == 0 or dim not in (-1, x.ndim - 1):
        raise NotOurs("masked_softmax: along another axis than the last")
    return masked_softmax(x, None if mask is None else mask[(None,) * (x.ndim - mask.ndim)])


def glu(x: Tensor, dim: int = -1) -> Tensor:
    half = x.shape[dim] // 2
    front = (slice(None),) * (dim % x.ndim)
    return x[(*front, slice(None, half))] * F.sigmoid(x[(*front, slice(half, None))])


def softplus(x: Tensor, beta: Any = 1, threshold: Any = 20) -> Tensor:
    """Beyond the threshold PyTorch takes x itself; ours needs none, it does not overflow."""
    return F.where(beta * x.data > threshold, x, F.softplus(beta * x) / beta)


FUNCTIONS: dict[str, Adapter] = {
    "nn_functional_relu": F.relu,
    "nn_functional_gelu": lambda x, approximate="none": F.gelu(x, approximate),
    "nn_functional_silu": F.silu,
    "nn_functional_glu": glu,
    "nn_functional_softplus": softplus,
    "nn_functional_logsigmoid": F.log_sigmoid,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "masked_softmax": softmax_of_some,
    "nn_functional_softmin": lambda x, dim: F.softmax(-x, dim),
    "nn_functional_linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "nn_functional_layer_norm": layer_norm,
    "native_layer_norm": layer_norm,
    "nn_functional_rms_norm": rms_norm,
    "nn_functional_mse_loss": mse_loss,
    "nn_functional_l1_loss": loss(F.l1_loss),
    "nn_functional_huber_loss": loss(F.huber_loss),
    "nn_functional_kl_div": loss(kl_div),
    "nn_functional_smooth_l1_loss": loss(smooth_l1),
    "nn_functional_pad_constant": pad("constant"),
    "nn_functional_pad_reflect": pad("reflect"),
    "nn_functional_pad_replicate": pad("edge"),
    "nn_functional_pad_replicate_negative": pad("edge"),
    "nn_functional_pad_circular": pad("wrap"),
    "constant_pad_nd": lambda x, widths, value=0.0: F.pad(
        x, pad_last(x, widths), constant_values=value
    ),
    "nn_functional_binary_cross_entropy_with_logits": binary_cross_entropy,
    "nn_functional_cross_entropy": cross_entropy,
    "nn_functional_linear_cross_entropy": linear_cross_entropy,
    "nn_functional_linear_cross_entropy_chunked": linear_cross_entropy,
    "nn_functional_embedding": embedding,
    "nn_functional_dropout": dropout,
    "nn_functional_scaled_dot_product_attention": scaled_dot_product_attention,
}
