"""Attention beside PyTorch's scaled_dot_product_attention, forward and backward, float32.

nox -s bench -- attention --torch
"""

from __future__ import annotations

import math
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from foundation_attn import attention

sys.path.insert(0, str(Path(__file__).parent))
from _compare import Step, in_turn, row, say_where, torch_or_none

#: Batch, heads, length, head width, causal.
CASES = [
    (12, 4, 64, 32, True),
    (12, 4, 64, 32, False),
    (8, 6, 256, 64, True),
    (8, 6, 256, 64, False),
    (1, 8, 4096, 64, True),
]


def arrays(B: int, H: int, T: int, K: int) -> list[Any]:
    """q, k, v and a gradient (B, H, T, K), laid out as the projections leave them."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((B, T, H, K), dtype=np.float32).swapaxes(1, 2) for _ in range(4)]


def forward_backward(given: list[Any], causal: bool) -> list[Any]:
    leaves = []
    for a in given[:3]:
        x = fn.Tensor.wrap(a)
        x._leaf = True  # a leaf that shares the memory of a, as PyTorch's below does
        leaves.append(x)
    y = attention(*leaves, causal=causal)
    y.backward(given[3])
    return [y.data, *(x.grad for x in leaves)]


def composed(given: list[Any], causal: bool) -> Any:
    """The plain formula, head by head: what the result must be."""
    q, k, v, _ = (a.astype(np.float64) for a in given)
    y = np.empty(q.shape)
    for b, h in np.ndindex(q.shape[:2]):
        s = q[b, h] @ k[b, h].T / math.sqrt(q.shape[-1])
        if causal:
            s[~np.tri(*s.shape, dtype=bool)] = -np.inf
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        y[b, h] = e / e.sum(axis=-1, keepdims=True) @ v[b, h]
    return y


def main() -> None:
    fn.keep_freed_memory()
    say_where()
    torch: Any = torch_or_none()
    for B, H, T, K, causal in CASES:
        given = arrays(B, H, T, K)
        contenders: dict[str, Step] = {
            "foundation": lambda given=given, causal=causal: forward_backward(given, causal)
        }
        if torch is not None:
            theirs = [torch.from_numpy(a) for a in given]

            def sdpa(theirs=theirs, causal=causal) -> None:
                q, k, v = (x.detach().requires_grad_() for x in theirs[:3])
                y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
                y.backward(theirs[3])

            contenders["PyTorch"] = sdpa
        label = f"(B, H, T, K) = ({B}, {H}, {T}, {K}){', causal' if causal else ''}"
        row(label, in_turn(contenders, rounds=5 if T > 1000 else 15))

    tracemalloc.start()
    found = forward_backward(given, causal)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    error = np.abs(found[0] - composed(given, causal)).max()
    print(f"\nlast case: peak {peak / 1e6:.0f} MB, results included; largest error {error:.1e}")


if __name__ == "__main__":
    main()
