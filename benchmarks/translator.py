"""The demo's training step beside the same model in eager PyTorch.

    nox -s bench -- translator --torch

Both train the 2+2-layer transformer of width 128 on the demo's own batches (emoji names, 64 pairs
a batch), with AdamW, clipping, dropout 0.1 and label smoothing; then one of 3+3 layers and width
256 on sentences of about ten words. They take turns, a round each, in one process, and the medians
over the rounds are compared. PyTorch uses its fused AdamW.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import foundation_nn as fn
import numpy as np
from foundation_data import Batch, BatchLoader, TranslationDataset, WordTokenizer, corpora
from foundation_transformer import Transformer, TransformerConfig
from foundation_transformer.recipes import translation_loss

sys.path.insert(0, str(Path(__file__).parent))
from _compare import Step, in_turn, row, say_where, torch_or_none

ROUNDS = 5
DROPOUT, SMOOTHING, RATE = 0.1, 0.1, 1e-3
WORDS = 4000
TrainStep = Callable[[Batch], float]


class Size(NamedTuple):
    width: int
    heads: int
    layers: int


SMALL, LARGE = Size(128, 4, 2), Size(256, 8, 3)


def load_batches() -> tuple[list[Batch], int, int]:
    pairs = corpora.emoji_pairs("en", "fr")
    sides = [WordTokenizer.train([pair[i] for pair in pairs]) for i in (0, 1)]
    loader = BatchLoader(TranslationDataset(pairs, *sides, max_len=64), 64, seed=0)
    return list(loader), len(sides[0]), len(sides[1])


def sentences() -> list[Batch]:
    """Ten batches of 64 pairs of sentences, of 8 to 12 words a side."""
    rng = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(map(str, rng.integers(WORDS, size=rng.integers(8, 13))))

    pairs = [(sentence(), sentence()) for _ in range(640)]
    tokenizer = WordTokenizer.train([" ".join(map(str, range(WORDS)))])
    return list(
        BatchLoader(TranslationDataset(pairs, tokenizer, tokenizer, max_len=64), 64, seed=0)
    )


def ours(size: Size, source_size: int, target_size: int) -> TrainStep:
    rng = np.random.default_rng(0)
    config = TransformerConfig.tiny(
        vocab_size=source_size,
        target_vocab_size=target_size,
        max_len=64,
        d_model=size.width,
        num_heads=size.heads,
        num_layers=size.layers,
        d_ff=4 * size.width,
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


def torch_model(torch: Any, size: Size, source_size: int, target_size: int) -> Any:
    """The same model, around PyTorch's own encoder and decoder."""
    nn = torch.nn
    D, H, layers = size

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.source = nn.Embedding(source_size, D)
            self.target = nn.Embedding(target_size, D)
            t, i = torch.arange(64)[:, None], torch.arange(0, D, 2)
            angle = t / 10000 ** (i / D)
            table = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
            self.register_buffer("positions", table)
            self.dropout = nn.Dropout(DROPOUT)
            self.body = nn.Transformer(
                D,
                H,
                layers,
                layers,
                4 * D,
                DROPOUT,
                batch_first=True,
                norm_first=True,
            )
            self.output = nn.Linear(D, target_size, bias=False)

        def embed(self, table: Any, ids: Any) -> Any:
            return self.dropout(table(ids) * D**0.5 + self.positions[: ids.shape[1]])

        def forward(self, source: Any, target: Any, padding: Any) -> Any:
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

    return Model()


def pytorch(torch: Any, size: Size, source_size: int, target_size: int) -> TrainStep:
    nn = torch.nn
    model = torch_model(torch, size, source_size, target_size)
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


def compare(
    torch: Any, what: str, size: Size, batches: list[Batch], source_size: int, target_size: int
) -> None:
    steps = {"foundation": ours(size, source_size, target_size)}
    if torch is not None:
        steps["PyTorch"] = pytorch(torch, size, source_size, target_size)

    def epoch(step: TrainStep) -> Step:
        return lambda: [step(batch) for batch in batches]

    times = in_turn({name: epoch(step) for name, step in steps.items()}, ROUNDS)
    row(what, {k: t / len(batches) for k, t in times.items()})
    tokens = sum(batch.num_tokens for batch in batches)
    for name, seconds in times.items():
        print(f"{name}: {tokens / seconds:,.0f} target tokens/s")


def main() -> None:
    say_where()
    torch = torch_or_none()
    compare(torch, "training step, the demo's model", SMALL, *load_batches())
    batches = sentences()
    size = WORDS + 8  # and special tokens
    compare(torch, "training step, d 256, 3+3 layers, 10 words", LARGE, batches, size, size)


if __name__ == "__main__":
    main()
