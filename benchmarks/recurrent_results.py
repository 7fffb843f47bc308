"""What the recurrent networks learn, over several seeds: adding, reversal, tiny Shakespeare.

python benchmarks/recurrent_results.py adding | reverse | shakespeare FILE
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn import Linear, Module, Tensor, no_grad, optim
from foundation_nn import functional as F
from foundation_nn.training import Trainer
from foundation_seq import LSTM, RNN, RecurrentLM, recipes
from foundation_seq.examples import reverse
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Adder(Module):
    """A recurrent layer and a linear output on its last state."""

    def __init__(self, kind: type[RNN] | type[LSTM], rng: np.random.Generator) -> None:
        self.layer = kind(2, 64, rng=rng)
        self.output = Linear(64, 1, rng=rng)

    def forward(self, x: Floats) -> Tensor:
        y: Tensor = self.output(self.layer(Tensor(x))[0][:, -1])
        return y


def adding(rng: np.random.Generator, batch: int, width: int) -> tuple[Floats, Floats]:
    """Numbers in [0, 1) with two of them marked, one in each half; the answer is their sum."""
    values = rng.random((batch, width), np.float32)
    marks = np.zeros_like(values)
    for low, high in ((0, width // 2), (width // 2, width)):
        marks[np.arange(batch), rng.integers(low, high, batch)] = 1
    return np.stack([values, marks], axis=2), (values * marks).sum(axis=1, keepdims=True)


def adding_loss(model: Adder, batch: tuple[Floats, Floats]) -> tuple[Tensor, int]:
    x, y = batch
    return F.mse_loss(model(x), y), len(y)


def run_adding(seed: int, updates: int, width: int = 200) -> None:
    """Until the LSTM is below 1e-3 on new sequences; the RNN is given as many updates."""
    test = adding(np.random.default_rng([seed, 1]), 1000, width)
    for kind in (LSTM, RNN):
        data = np.random.default_rng([seed, 2])

        def batches(data: np.random.Generator = data) -> Iterator[Any]:
            while True:
                yield adding(data, 32, width)

        model = Adder(kind, np.random.default_rng(seed))
        trainer = Trainer(model, adding_loss, optim.Adam(model, 2e-3), clip_norm=1.0)
        stream, started, error = batches(), time.perf_counter(), np.inf
        while trainer.steps < updates and (kind is RNN or error >= 1e-3):
            trainer.fit(stream, max_steps=500)
            with no_grad():
                error = adding_loss(model, test)[0].item()
        updates = trainer.steps
        print(
            f"adding, T {width}, seed {seed}, {kind.__name__}: mean squared error {error:.5f} "
            f"after {updates} updates, {time.perf_counter() - started:.0f} s",
            flush=True,
        )


def run_reverse(seed: int) -> None:
    started = time.perf_counter()
    model, _ = reverse.train(seed)
    exact = reverse.exact_match(model, np.random.default_rng([seed, 2]))
    print(
        f"reverse, seed {seed}: exact match {exact:.4f}, {time.perf_counter() - started:.0f} s",
        flush=True,
    )


def run_shakespeare(seed: int, text: str, minutes: float) -> None:
    characters = "".join(sorted(set(text)))
    number = {character: i for i, character in enumerate(characters)}
    ids = np.array([number[character] for character in text])
    split = len(ids) * 9 // 10
    model = RecurrentLM(len(characters), 64, 400, dropout=0.2, rng=np.random.default_rng(seed))
    held_out = recipes.ConsecutiveWindows(ids[split:], 100, 32)
    trainer = Trainer(
        model,
        recipes.language_model_loss,
        optim.AdamW(model, 3e-3, weight_decay=0.01),
        clip_norm=1.0,
        rng=np.random.default_rng([seed, 1]),
    )
    train = recipes.ConsecutiveWindows(ids[:split], 100, 64)
    started, best = time.perf_counter(), np.inf
    while (spent := time.perf_counter() - started) < 60 * minutes:
        trainer.optimizer.lr = 3e-3 * (1 - 0.95 * spent / (60 * minutes))
        trainer.fit(train, validation=held_out, max_epochs=1, max_seconds=60 * minutes - spent)
        best = min(best, trainer.history.evaluations[-1].loss)
    print(
        f"shakespeare, seed {seed}: {model.num_parameters():,} parameters, "
        f"{trainer.steps} updates, {minutes:g} minutes, "
        f"last {trainer.history.evaluations[-1].loss:.3f}, best {best:.3f} "
        "nats per held-out character",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["adding", "reverse", "shakespeare"])
    parser.add_argument("file", nargs="?", type=Path, help="the text, for shakespeare")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=20_000, help="at most, for adding")
    parser.add_argument("--minutes", type=float, default=9.5, help="for shakespeare")
    args = parser.parse_args()
    if args.task == "shakespeare" and args.file is None:
        parser.error("shakespeare: expected the text as a file")
    for seed in range(args.seeds):
        if args.task == "adding":
            run_adding(seed, args.updates)
        elif args.task == "reverse":
            run_reverse(seed)
        else:
            run_shakespeare(seed, args.file.read_text(encoding="utf-8"), args.minutes)


if __name__ == "__main__":
    main()
