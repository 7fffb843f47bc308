"""A progress bar."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

from foundation_nn.training._history import Evaluation, Step
from foundation_nn.training._trainer import Callback, Trainer


class Progress(Callback):
    """One line with step, loss, learning rate, tokens per second and the time left.

    Redrawn in place on a terminal; elsewhere a plain line every ``every`` seconds.

    Parameters
    ----------
    file : text stream, optional
        Standard error by default.
    every : float
        Seconds between the lines of a log.
    """

    def __init__(self, file: TextIO | None = None, every: float = 10.0) -> None:
        self.file = sys.stderr if file is None else file
        self.every = every
        self._bar: tqdm[Any] | None = None

    def on_start(self, trainer: Trainer) -> None:
        self._live = self.file.isatty()
        self._started = self._shown = time.perf_counter()
        self._first = trainer.steps
        self._loss: float | None = None
        self._tokens = 0
        if self._live:
            # Whichever limit comes first decides what the bar fills up with.
            self._seconds = trainer.planned_steps is None
            self._bar = tqdm(
                total=round(trainer.planned_seconds or 0)
                if self._seconds
                else (trainer.planned_steps or 0) - trainer.steps,
                desc="training",
                unit="s" if self._seconds else "step",
                file=self.file,
                bar_format="{desc} {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} {unit}"
                " [{elapsed}, {remaining} left]{postfix}",
            )

    def on_step(self, trainer: Trainer, step: Step) -> None:
        # A running mean says more than the loss of the last batch.
        self._loss = step.loss if self._loss is None else 0.95 * self._loss + 0.05 * step.loss
        self._tokens += step.tokens
        elapsed = time.perf_counter() - self._started
        text = f"loss {self._loss:.3f}, lr {step.lr:.1e}, {self._tokens / elapsed:,.0f} tokens/s"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(
                min(round(elapsed), self._bar.total) - self._bar.n if self._seconds else 1
            )
        elif time.perf_counter() - self._shown >= self.every:
            self._shown = time.perf_counter()
            self._line(f"step {step.step}{self._left(trainer, elapsed)}: {text}")

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self._line(f"step {evaluation.step}: validation loss {evaluation.loss:.3f}")

    def on_end(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _left(self, trainer: Trainer, elapsed: float) -> str:
        done = trainer.steps - self._first
        left = []
        if trainer.planned_steps is not None:
            left.append((trainer.planned_steps - trainer.steps) * elapsed / max(1, done))
        if trainer.planned_seconds is not None:
            left.append(trainer.planned_seconds - elapsed)
        return f" ({max(0, min(left)):.0f} s left)" if left else ""

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self.file)
        else:
            print(text, file=self.file, flush=True)
