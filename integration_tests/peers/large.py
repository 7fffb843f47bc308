"""Arrays that are cut into several blocks. PyTorch's own samples are too small for that.

Rows are shared between blocks and threads, attention looks at blocks of queries, and what all rows
share, such as the weight of a norm, has a gradient from each block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from compare import Sample
from functions import FUNCTIONS
from modules import module_sample
from recurrent import LAYERS
from samples import take_apart
from torch import nn
from transformers import TRANSFORMERS

N, D, V = 1031, 311, 1009
B, H, T, S, K = 3, 5, 211, 307, 13


def calls() -> Iterator[tuple[str, Any, tuple[Any, ...], dict[str, Any]]]:
    """The name of an adapter, PyTorch's function, and the arguments of both."""
    f = nn.functional
    x, rows = torch.randn(N, D), torch.randn(N, V)
    weight, bias = torch.randn(D), torch.randn(D)
    targets = torch.randint(V, (N,))
    for name in ("relu", "silu", "gelu"):
        yield f"nn_functional_{name}", getattr(f, name), (3 * x,), {}
    yield "nn_functional_gelu", f.gelu, (3 * x,), {"approximate": "tanh"}
    for dim in (0, 1):
        yield "softmax", f.softmax, (3 * x, dim), {}
        yield "log_softmax", f.log_softmax, (3 * x, dim), {}
    for offset in (0.0, 30.0):
        yield "nn_functional_layer_norm", f.layer_norm, (x + offset, (D,), weight, bias), {}
        yield "nn_functional_rms_norm", f.rms_norm, (x + offset, (D,), weight), {}
    yield "nn_functional_linear", f.linear, (x, torch.randn(N, D), torch.randn(N)), {}
    table = torch.randn(V, D)
    yield "nn_functional_embedding", lambda w, ids: f.embedding(ids, w), (table, targets), {}
    for options in (
        {},
        {"label_smoothing": 0.1},
        {"weight": torch.rand(V)},
        {"ignore_index": int(targets[0]), "label_smoothing": 0.1, "weight": torch.rand(V)},
    ):
        yield "nn_functional_cross_entropy", f.cross_entropy, (rows, targets), options
    yield "nn_functional_mse_loss", f.mse_loss, (x, torch.randn(N, D)), {}
    bce = f.binary_cross_entropy_with_logits
    yield "nn_functional_binary_cross_entropy_with_logits", bce, (3 * x, torch.rand(N, D)), {}
    attention = f.scaled_dot_product_attention
    for keys in (T, S):
        q, k, v = torch.randn(B, H, T, K), torch.randn(B, H, keys, K), torch.randn(B, H, keys, K)
        mask = torch.rand(B, 1, T, keys) < 0.8
        for options in ({}, {"is_causal": True}, {"attn_mask": mask}):
            name = "nn_functional_scaled_dot_product_attention"
            yield name, attention, (q, k, v), options


def large_samples(dtype: torch.dtype) -> Iterator[Sample]:
    """Every call above, recurrent layers over long rows, and a layer of a transformer."""
    torch.manual_seed(0)

    def cast(x: Any) -> Any:
        return x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x

    for name, theirs, args, options in calls():
        inputs = tuple(map(cast, args))
        given = {key: cast(value) for key, value in options.items()}
        yield take_apart(f"large {name}", theirs, FUNCTIONS[name], (inputs, given))
    for kind in (nn.RNN, nn.GRU, nn.LSTM):
        layer = kind(29, 37, 2, batch_first=True, bidirectional=True).to(dtype)
        lengths = torch.tensor([53, 31, 31, 17, 2, 1, 1])
        call = (torch.randn(7, 53, 29, dtype=dtype), None, lengths)
        yield module_sample(f"large nn.{kind.__name__}", LAYERS, layer, (call, {}), dtype)
    layer = nn.TransformerEncoderLayer(60, H, 240, 0.0, batch_first=True, norm_first=True).to(dtype)
    padding = torch.arange(T) >= torch.tensor([T, 3 * T // 4, T // 2])[:, None]
    call = (torch.randn(B, T, 60, dtype=dtype),)
    pair = TRANSFORMERS[nn.TransformerEncoderLayer]
    name = "large nn.TransformerEncoderLayer"
    yield module_sample(name, pair, layer, (call, {"src_key_padding_mask": padding}), dtype)
