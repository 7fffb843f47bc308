"""Tiny Shakespeare: the validation loss of nanoGPT's CPU configuration, and of a better recipe.

    python benchmarks/shakespeare.py FILE [--recipe nanogpt|best] [--seeds 0 1 2]
    mpiexec -n 2 python benchmarks/shakespeare.py FILE --mpi

``nanogpt``: 4 layers, 4 heads, d 128, context 64, batch 12, 2000 updates without dropout, AdamW
with β₂ 0.99, decay 0.1 and clipping at 1, 1e-3 → 1e-4 along a cosine after 100 steps of warm-up;
its authors report a validation loss of 1.88, estimated from 20 random batches [1]_. ``best``: as
many updates on the same batches by a model of the same size, with what has changed since. The
first 90 % of the text are for training, and the loss is the mean over every character of the rest;
beside it stands what an estimate from 20 random batches would say, and how far such estimates
scatter.

References
----------
.. [1] A. Karpathy, "nanoGPT", 2022, https://github.com/karpathy/nanoGPT, README: ``eval_iters=20``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from foundation_nn import distributed
from foundation_nn.training import Progress, Trainer
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.evaluation import score_language_model
from foundation_transformer.examples.shakespeare import LENGTH, ROWS, STEPS, Characters, train
from foundation_transformer.recipes import RandomWindows, consecutive_windows, train_lm
from numpy.typing import NDArray


def best(characters: Characters, rng: np.random.Generator, comm: Any = None) -> Trainer:
    """Rotary positions, RMS norm and a gated network, at a higher rate that falls to nothing."""
    config = TransformerConfig.llama(
        vocab_size=len(characters.alphabet),
        max_len=LENGTH,
        d_model=128,
        num_heads=4,
        num_layers=4,
        d_ff=344,  # 8/3 of the width: as many parameters as before
        tie_embeddings=True,
    )
    return train_lm(
        CausalLM(config, rng=rng),
        RandomWindows(characters.train, LENGTH, ROWS, rng),
        steps=STEPS,
        lr=4e-3,
        final_lr=0.0,
        callbacks=[Progress()],
        comm=comm,
    )


def estimates(model: CausalLM, text: NDArray[np.integer]) -> list[float]:
    """Fifty losses, each from 20 batches that begin anywhere in the text."""
    windows = iter(RandomWindows(text, LENGTH, ROWS, np.random.default_rng(0)))
    return [score_language_model(model, islice(windows, 20)).loss for _ in range(50)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--recipe", choices=("nanogpt", "best"), default="nanogpt")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, help="all cores by default")
    parser.add_argument("--mpi", action="store_true", help="train with all processes of mpiexec")
    options = parser.parse_args()
    comm = distributed.world() if options.mpi else None
    if options.threads is not None:
        fn.set_num_threads(options.threads)
    characters = Characters.of(options.file.read_text(encoding="utf-8"))
    recipe = train if options.recipe == "nanogpt" else best
    for seed in options.seeds:
        started = time.perf_counter()
        trainer = recipe(characters, np.random.default_rng(seed), comm=comm)
        seconds = time.perf_counter() - started
        if comm is not None and comm.rank > 0:
            continue  # the first process alone measures
        held_out = characters.held_out
        scores = score_language_model(trainer.model, consecutive_windows(held_out, LENGTH, 128))
        guesses = estimates(trainer.model, held_out)
        print(
            f"{options.recipe}, seed {seed}: validation loss {scores.loss:.4f} nats a character, "
            f"accuracy {scores.accuracy:.1%}, {trainer.steps} updates in {seconds:.0f} s on "
            f"{1 if comm is None else comm.size} x {fn.get_num_threads()} threads; "
            "from 20 random batches "
            f"{statistics.mean(guesses):.3f} ± {statistics.stdev(guesses):.3f}"
        )


if __name__ == "__main__":
    main()
