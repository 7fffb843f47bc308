"""The demo's training step beside the same model in eager PyTorch.

    nox -s bench -- translator --torch

Both train the 2+2-layer transformer of width 128 on the demo's own batches (emoji names, 64 pairs
a batch), with AdamW, clipping, dropout 0.1 and label smoothing. They take turns, a round each, in
one process, and the medians over the rounds are compared. PyTorch uses its fused AdamW.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import foundation_nn as fn
import numpy as np
from foundation_data import Batch, BatchLoader, TranslationDataset, WordTokenizer, corpora
from foundation_transformer import Transformer, TransformerConfig
from foundation_transformer.recipes import translation_loss
from threadpoolctl import threadpool_info

ROUNDS = 9
WIDTH, HEADS, LAYERS, DROPOUT, SMOOTHING, RATE = 128, 4, 2, 0.1, 0.1, 1e-3
Step = Callable[[Batch], float]


def load_batches() -> tuple[list[Batch], int, int]:
    pairs = corpora.emoji_pairs("en", "fr")
    sides = [WordTokenizer.train([pair[i] for pair in pairs]) for i in (0, 1)]
    loader = BatchLoader(TranslationDataset(pairs, *sides, max_len=64), 64, seed=0)
    return list(loader), len(sides[0]), len(sides[1])


def ours(source_size: int, target_size: int) -> Step:
    rng = np.random.default_rng(0)
    config = TransformerConfig.tiny(
        vocab_size=source_size,
        target_vocab_size=target_size,
        max_len=64,
        dropout=DROPOUT,
        tie_embeddings=False,
    )
    model = Transformer(config, rng=rng)
    optimizer = fn.optim.AdamW(model, RATE)
    loss_of = translation_loss(SMOOTHING)
    fn.keep_freed_memory()  # as Trainer.fit does

    def step(batch: Batch) -> float:
        optimizer.zero_grad()
        with fn.train_mode(rng):
            loss, _ = loss_of(model, batch)
        loss.backward()
        fn.optim.clip_grad_norm(optimizer, 1.0)
        optimizer.step()
        return loss.item()

    return step


def pytorch(source_size: int, target_size: int) -> Step | None:
    try:
        import torch
    except ImportError:
        return None
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source = nn.Embedding(source_size, WIDTH)
            self.target = nn.Embedding(target_size, WIDTH)
            t, i = torch.arange(64)[:, None], torch.arange(0, WIDTH, 2)
            angle = t / 10000 ** (i / WIDTH)
            table = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
            self.register_buffer("positions", table)
            self.dropout = nn.Dropout(DROPOUT)
            self.body = nn.Transformer(
                WIDTH,
                HEADS,
                LAYERS,
                LAYERS,
                4 * WIDTH,
                DROPOUT,
                batch_first=True,
                norm_first=True,
            )
            self.output = nn.Linear(WIDTH, target_size, bias=False)

        def embed(self, table: nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
            return self.dropout(table(ids) * WIDTH**0.5 + self.positions[: ids.shape[1]])

        def forward(
            self, source: torch.Tensor, target: torch.Tensor, padding: torch.Tensor
        ) -> torch.Tensor:
            length = target.shape[1]
            above = torch.ones(length, length, dtype=torch.bool).triu(1)
            h = self.body(
                self.embed(self.source, source),
                self.embed(self.target, target),
                tgt_mask=above,
                src_key_padding_mask=padding,
                memory_key_padding_mask=padding,
                tgt_is_causal=True,
            )
            return self.output(h)

    torch.manual_seed(0)
    torch.set_num_threads(fn.get_num_threads())
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, fused=True)

    def step(batch: Batch) -> float:
        optimizer.zero_grad()
        logits = model(
            torch.from_numpy(batch.source),
            torch.from_numpy(batch.target_in),
            torch.from_numpy(~batch.source_mask),
        )
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1),
            torch.from_numpy(batch.target_out).flatten(),
            ignore_index=0,
            label_smoothing=SMOOTHING,
        )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    batches, source_size, target_size = load_batches()
    contenders = {"foundation": ours(source_size, target_size)}
    torch_step = pytorch(source_size, target_size)
    if torch_step is not None:
        contenders["PyTorch"] = torch_step
    tokens = sum(batch.num_tokens for batch in batches)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(ROUNDS + 1):  # the first warms up and is not counted
        for name, step in contenders.items():
            started = time.perf_counter()
            for batch in batches:
                step(batch)
            if round_number:
                times[name].append(time.perf_counter() - started)

    kernels = {
        f"{info['internal_api']} {info.get('architecture', '')}".strip()
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    print(f"BLAS: {', '.join(sorted(kernels))}; {fn.get_num_threads()} threads")
    print(f"OPENBLAS_CORETYPE: {os.environ.get('OPENBLAS_CORETYPE', 'unset')}")
    print(f"{len(batches)} batches of 64 pairs, {ROUNDS} rounds in turn\n")
    print(f"{'':12} {'ms/step':>9} {'target tokens/s':>16}")
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:12} {1000 * median / len(batches):9.1f} {tokens / median:16,.0f}")
    if torch_step is None:
        print("\nPyTorch is not installed: nox -s bench -- translator --torch")
    else:
        pairs = zip(times["PyTorch"], times["foundation"], strict=True)
        ratio = statistics.median(theirs / mine for theirs, mine in pairs)
        print(f"\nfoundation runs at {ratio:.2f} times PyTorch's speed (median of the rounds)")


if __name__ == "__main__":
    main()
