"""The memory that training steps need, beside eager PyTorch.

    nox -s bench -- memory --torch

Each contender trains in a process of its own. What is compared is the most memory that was
resident during the steps (Linux counts it), less what was resident before the model was made:
parameters, gradients, the optimiser's state and everything between forward and backward.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 5
WIDTHS, BATCH = [784, 512, 512, 10], 128
D, HEADS, LAYERS, T, B, VOCABULARY = 384, 6, 6, 256, 8, 65


def resident(peak: bool = False) -> float:
    """Megabytes, now or at most since the last call of :func:`forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def mlp_of_ours(widths: list[int] = WIDTHS, batch: int = BATCH) -> Callable[[], None]:
    import foundation_nn as fn
    from foundation_nn import functional as F

    fn.keep_freed_memory()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, widths[0]), dtype=np.float32)
    targets = rng.integers(0, widths[-1], batch)

    def train() -> None:
        model = fn.MLP(widths, rng=rng)
        optimizer = fn.optim.AdamW(model)
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), targets).backward()
            optimizer.step()

    return train


def mlp_of_pytorch(widths: list[int] = WIDTHS, batch: int = BATCH) -> Callable[[], None]:
    import torch
    from torch import nn

    torch.set_num_threads(2)
    x, targets = torch.randn(batch, widths[0]), torch.randint(widths[-1], (batch,))

    def train() -> None:
        a, b, c, d = widths
        model = nn.Sequential(
            nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d)
        )
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        for _ in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), targets).backward()
            optimizer.step()

    return train


def gpt_of_ours() -> Callable[[], None]:
    import foundation_nn as fn
    from foundation_nn import functional as F
    from foundation_transformer import CausalLM, TransformerConfig

    fn.keep_freed_memory()
    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCABULARY, (B, T + 1))

    def train() -> None:
        config = TransformerConfig.gpt2(
            vocab_size=VOCABULARY, max_len=T, d_model=D, num_heads=HEADS, num_layers=LAYERS
        )
        model = CausalLM(config, rng=rng)
        optimizer = fn.optim.AdamW(model)
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(ids[:, :-1]), ids[:, 1:]).backward()
            optimizer.step()

    return train


def gpt_of_pytorch() -> Callable[[], None]:
    import torch
    from torch import nn

    torch.set_num_threads(2)
    ids = torch.randint(VOCABULARY, (B, T + 1))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(D), nn.LayerNorm(D)
            self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
            self.wide, self.narrow = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

        def forward(self, x: Any) -> Any:
            q, k, v = (
                part.view(B, T, HEADS, D // HEADS).transpose(1, 2)
                for part in self.qkv(self.first(x)).chunk(3, -1)
            )
            heads = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(heads.transpose(1, 2).reshape(B, T, D))
            hidden = nn.functional.gelu(self.wide(self.second(x)), approximate="tanh")
            return x + self.narrow(hidden)

    def train() -> None:
        tokens, places = nn.Embedding(VOCABULARY, D), nn.Embedding(T, D)
        body = nn.Sequential(*(Block() for _ in range(LAYERS)), nn.LayerNorm(D))
        both = [*tokens.parameters(), *places.parameters(), *body.parameters()]
        optimizer = torch.optim.AdamW(both, fused=True)
        for _ in range(STEPS):
            optimizer.zero_grad()
            x = body(tokens(ids[:, :-1]) + places.weight)
            logits = x @ tokens.weight.T
            nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
            optimizer.step()

    return train


def measured(name: str) -> float:
    """Megabytes that the steps of the function ``name`` need, in a process of its own."""
    command = [sys.executable, __file__, "--only", name]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", metavar="FUNCTION", help="measure one, in this process")
    only = parser.parse_args().only
    if only:
        train = globals()[only]()
        warm_up = mlp_of_ours if only.endswith("ours") else mlp_of_pytorch
        warm_up([128] * 4, 128)()  # libraries are loaded and threads made before the count begins
        before = resident()
        forget_peak()
        train()
        print(resident(peak=True) - before)
        return
    has_torch = importlib.util.find_spec("torch") is not None
    for label, case in (
        (f"MLP {'-'.join(map(str, WIDTHS))}, batch {BATCH}", "mlp"),
        (f"GPT d {D}, {LAYERS} layers, T {T}, B {B}", "gpt"),
    ):
        ours = measured(f"{case}_of_ours")
        line = f"{label:36} foundation {ours:7.1f} MB"
        if has_torch:
            theirs = measured(f"{case}_of_pytorch")
            line += f"   PyTorch {theirs:7.1f} MB   {ours / theirs:.2f} of PyTorch's"
        print(line)


if __name__ == "__main__":
    main()
