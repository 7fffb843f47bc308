"""A run that kills itself at a given moment: what ``test_resume.py`` starts in processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import BatchLoader, TranslationDataset, tasks
from foundation_nn import optim, schedules
from foundation_nn.training import Checkpoints, EarlyStopping, JsonLog, Trainer, checkpoints_of
from foundation_transformer import Transformer, TransformerConfig
from foundation_transformer.recipes import translation_loss


class Deadline:
    """Counts what happens, and kills the process at one of the moments."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0
        self.names: list[str] = []

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.names.append(name)
            self.count += 1
            if self.count == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call


def train(folder: Path, fatal: int, moments: Any = None) -> None:
    """Begin a run, or go on with it; everything that a resume has to remember is in use."""
    deadline = Deadline(fatal)
    # A file that was not flushed survives a kill, if not a power cut; the disk is slow.
    os.fsync = deadline.watch("saving", lambda _: None)
    os.replace = deadline.watch("renaming", os.replace)

    rng = np.random.default_rng(1)
    pairs = tasks.reverse_task(rng, 30, vocab_size=9, max_len=5)
    dataset = TranslationDataset.from_ids(pairs[:23])
    validation = BatchLoader(TranslationDataset.from_ids(pairs[23:]), 4, shuffle=False)
    config = TransformerConfig.tiny(vocab_size=9, d_model=4, num_heads=2, num_layers=1, max_len=8)
    model = Transformer(config, rng=rng)
    optimizer = optim.AdamW(model, lr=0.01)
    trainer = Trainer(
        model,
        deadline.watch("accumulating", translation_loss()),
        optimizer,
        schedule=schedules.plateau(0.01, factor=0.5, patience=1, threshold=0.05),
        clip_norm=0.5,
        accumulate=2,
        ema=optim.EMA(optimizer, 0.9),
        rng=rng,
        callbacks=[JsonLog(folder / "history.jsonl"), Checkpoints(folder, every=2, keep=2)],
    )
    trainer.callbacks.append(EarlyStopping(patience=4, min_delta=0.01))
    if saved := checkpoints_of(folder):
        trainer.resume(saved[-1])
    loader = BatchLoader(dataset, 3, seed=3, prefetch=2)
    trainer.fit(loader, validation=validation, evaluate_every=3, max_epochs=3)
    if moments is not None:
        moments.put(deadline.names)
