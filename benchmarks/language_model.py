"""A GPT's training step and its writing beside the same model in eager PyTorch.

    nox -s bench -- language_model --torch

Two sizes: nanoGPT's CPU configuration (d 128, 4 layers, 64 tokens, 12 rows) and one of 10 million
parameters (d 384, 6 layers, 256 tokens, 8 rows). PyTorch uses its fused AdamW and its
scaled_dot_product_attention. Both take turns, a round each, in one process, and the medians over
the rounds are compared. The same for writing, one token after the other, from a cache; there the
same arithmetic by hand on bare arrays takes part, too: what NumPy takes at least.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import foundation_nn as fn
import numpy as np
from foundation_seq import generate
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.recipes import WindowBatch, language_model_loss

sys.path.insert(0, str(Path(__file__).parent))
from _bare_gpt import bare_greedy
from _compare import Step, in_turn, row, say_where, torch_or_none

VOCABULARY = 65


class Size(NamedTuple):
    width: int
    heads: int
    layers: int
    length: int
    rows: int

    def __str__(self) -> str:
        return f"d {self.width}, {self.layers} layers, T {self.length}, B {self.rows}"


SMALL, LARGE = Size(128, 4, 4, 64, 12), Size(384, 6, 6, 256, 8)


def batch_of(size: Size) -> WindowBatch:
    ids = np.random.default_rng(0).integers(VOCABULARY, size=(size.rows, size.length + 1))
    return WindowBatch(ids[:, :-1], ids[:, 1:])


def make(size: Size) -> CausalLM:
    config = TransformerConfig.gpt2(
        vocab_size=VOCABULARY,
        max_len=size.length,
        d_model=size.width,
        num_heads=size.heads,
        num_layers=size.layers,
        dropout=0.0,
        bias=False,
    )
    return CausalLM(config, rng=np.random.default_rng(0))


def ours(size: Size) -> Step:
    model, batch = make(size), batch_of(size)
    optimizer = fn.optim.AdamW(model, 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss, _ = language_model_loss(model, batch)
        loss.backward()
        fn.optim.clip_grad_norm(optimizer, 1.0)
        optimizer.step()

    return step


def gpt(torch: Any, size: Size) -> Any:
    """The model of nanoGPT: pre-norm, learned positions, tied, without biases."""
    nn, F = torch.nn, torch.nn.functional
    D, H = size.width, size.heads

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(D, bias=False), nn.LayerNorm(D, bias=False)
            self.qkv = nn.Linear(D, 3 * D, bias=False)
            self.proj = nn.Linear(D, D, bias=False)
            self.up = nn.Linear(D, 4 * D, bias=False)
            self.down = nn.Linear(4 * D, D, bias=False)

        def forward(self, x: Any, past: list[Any] | None) -> Any:
            B, T, _ = x.shape
            q, k, v = (
                part.view(B, T, H, D // H).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(D, -1)
            )
            if past is not None:
                if past:
                    k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
                past[:] = [k, v]
            y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
            x = x + self.proj(y.transpose(1, 2).reshape(B, T, D))
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, D)
            self.places = nn.Embedding(size.length, D)
            self.blocks = nn.ModuleList(Block() for _ in range(size.layers))
            self.norm = nn.LayerNorm(D, bias=False)

        def forward(self, ids: Any, start: int = 0, past: list[list[Any]] | None = None) -> Any:
            x = self.tokens(ids) + self.places.weight[start : start + ids.shape[1]]
            for i, block in enumerate(self.blocks):
                x = block(x, None if past is None else past[i])
            return self.norm(x) @ self.tokens.weight.T

    return GPT()


def theirs(torch: Any, size: Size) -> Step:
    model, batch = gpt(torch, size), batch_of(size)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    ids, targets = torch.from_numpy(batch.ids), torch.from_numpy(batch.targets).flatten()

    def step() -> None:
        optimizer.zero_grad()
        logits = model(ids).flatten(0, 1)
        torch.nn.functional.cross_entropy(logits, targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def training(torch: Any, size: Size) -> None:
    steps = {"foundation": ours(size)}
    if torch is not None:
        steps["PyTorch"] = theirs(torch, size)
    seconds = in_turn(steps, rounds=9)
    row(f"training step, {size}", seconds)
    parameters = make(size).num_parameters() - size.length * size.width
    flops = 6 * parameters * size.length * size.rows  # PaLM's count, without attention
    rate = flops / seconds["foundation"] / sgemm_peak()
    print(f"{'':44} {rate:.0%} of the sgemm peak of this machine")


def sgemm_peak(width: int = 1024) -> float:
    """The most floating-point operations a second that a matrix product reaches."""
    a = np.ones((width, width), np.float32)
    out = np.empty_like(a)
    best = np.inf
    for _ in range(15):
        started = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - started)
    return float(2 * width**3 / best)


def writing(torch: Any, size: Size) -> None:
    model, count = make(size), size.length - 1
    assert bare_greedy(model, count) == generate(model, [[0]], count)[0]
    steps: dict[str, Step] = {
        "foundation": lambda: generate(model, [[0]], count),
        "by hand": lambda: bare_greedy(model, count),
    }
    if torch is not None:
        net = gpt(torch, size)

        def greedy() -> None:
            past: list[list[Any]] = [[] for _ in range(size.layers)]
            token = torch.zeros(1, 1, dtype=torch.long)
            with torch.inference_mode():
                for t in range(count):
                    token = net(token, t, past)[:, -1:].argmax(-1)

        steps["PyTorch"] = greedy
    times = in_turn(steps, rounds=7)
    row(f"a token from a cache, {size}", {k: t / count for k, t in times.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="only the smaller model")
    options, _ = parser.parse_known_args()
    fn.keep_freed_memory()  # as Trainer.fit does
    say_where()
    torch = torch_or_none()
    for size in (SMALL,) if options.small else (SMALL, LARGE):
        training(torch, size)
        writing(torch, size)


if __name__ == "__main__":
    main()
