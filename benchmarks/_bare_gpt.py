"""A small GPT that writes greedily, by hand on bare arrays: what NumPy itself takes for a token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from foundation_transformer import CausalLM
from numpy.typing import NDArray

Array = NDArray[np.float32]


def bare_greedy(model: CausalLM, count: int) -> list[int]:
    """``generate(model, [[0]], count)`` without a tape, modules or checks.

    For the one shape of :mod:`language_model`: pre-norm, learned positions, tanh-GELU, no biases.
    """
    config, P = model.config, model.state_dict()
    D, H, K = config.d_model, config.num_heads, config.d_model // config.num_heads
    names = ("norm1", "self_attn.in_proj_", "self_attn.out_proj", "norm2", "linear1", "linear2")
    layers = [
        [P[f"stack.layers.{i}.{name}{'' if name.endswith('_') else '.'}weight"] for name in names]
        for i in range(config.num_layers)
    ]
    embedding, places, last = (P[f"{n}.weight"] for n in ("embedding", "positions", "stack.norm"))
    caches = np.empty((config.num_layers, 2, H, count, K), np.float32)
    mean, scale = np.full(D, 1 / D, np.float32), np.float32(1 / math.sqrt(K))
    token, written = 0, []
    for t in range(count):
        x = embedding[token] + places[t]
        for (norm1, w_in, w_out, norm2, up, down), (k, v) in zip(layers, caches, strict=True):
            q, k[:, t], v[:, t] = (w_in @ _norm(x, norm1, mean)).reshape(3, H, K)
            s = np.matmul(k[:, : t + 1], q[:, :, None])[..., 0]  # (H, t + 1)
            s *= scale
            s -= s.max(-1, keepdims=True)
            np.exp(s, out=s)
            s /= s.sum(-1, keepdims=True)
            x = x + w_out @ np.matmul(s[:, None], v[:, : t + 1]).reshape(D)
            x += down @ _gelu(up @ _norm(x, norm2, mean))
        token = int((embedding @ _norm(x, last, mean)).argmax())
        written.append(token)
    return written


def _norm(x: Array, weight: Array, mean: Array) -> Array:
    h = x - x @ mean
    h *= np.float32(math.sqrt(len(x) / (float(h @ h) + len(x) * 1e-5)))
    h *= weight
    return h


def _gelu(x: Array) -> Array:
    c = math.sqrt(2 / math.pi)
    t: Any = x * x
    t *= np.float32(0.044715 * c)
    t += np.float32(c)
    t *= x
    np.tanh(t, out=t)
    t += np.float32(1)
    t *= np.float32(0.5)
    t *= x
    return t  # type: ignore[no-any-return]
