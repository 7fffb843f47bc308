"""Memory against time: layers that are kept for the backward, or computed again.

    nox -s bench -- recompute

A GPT trains in a process of its own for each way. Memory is the most that was resident during the
steps (Linux counts it), less what was resident before the model was made; time is the median of the
steps.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import foundation_nn as fn
import numpy as np
from _compare import say_where
from foundation_nn import functional as F
from foundation_transformer import CausalLM, TransformerConfig, recompute_layers
from memory import forget_peak, resident

STEPS = 5
VOCABULARY, D, HEADS, LAYERS, T, B = 65, 256, 4, 16, 256, 8
#: How many layers are computed again together; none: all are kept.
WAYS = {"kept": None, "in fours": 4, "one by one": 1}


def measure(layers: int | None) -> tuple[float, float]:
    """Megabytes, and seconds for a step."""
    fn.keep_freed_memory()
    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCABULARY, (B, T + 1))
    before = resident()
    forget_peak()
    config = TransformerConfig.gpt2(
        vocab_size=VOCABULARY, max_len=T, d_model=D, num_heads=HEADS, num_layers=LAYERS, dropout=0.1
    )
    model = CausalLM(config, rng=rng)
    optimizer = fn.optim.AdamW(model)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        optimizer.zero_grad()
        with (
            fn.train_mode(rng),
            nullcontext() if layers is None else recompute_layers(layers),
        ):
            loss = F.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return resident(peak=True) - before, statistics.median(seconds)


def main() -> None:
    say_where()
    print(f"A GPT of {LAYERS} layers, D = {D}, {B} texts of {T} tokens, dropout 0.1\n")
    print(f"{'layers':12} {'memory':>10} {'a step':>10}")
    rows = {}
    for name in WAYS:
        told = subprocess.run(
            [sys.executable, str(Path(__file__)), name], check=True, capture_output=True, text=True
        )
        rows[name] = tuple(map(float, told.stdout.split()))
    for name, (megabytes, seconds) in rows.items():
        saved, slower = megabytes / rows["kept"][0], seconds / rows["kept"][1]
        print(f"{name:12} {megabytes:7.0f} MB {seconds:8.3f} s   ×{saved:.2f}  ×{slower:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*measure(WAYS[sys.argv[1]]))
    else:
        main()
