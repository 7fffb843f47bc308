"""A progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation, Step

if TYPE_CHECKING:
    from tqdm import tqdm

    from foundation_nn.training._trainer import Trainer

#: Within 80 columns, also of a long run.
_BAR = "{percentage:3.0f}%|{bar:6}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}]{postfix}"


class Progress(Callback):
    """Step, loss, learning rate, tokens per second and the time left.

    On a terminal one line, redrawn in place; elsewhere a line every ``every`` seconds. If nothing
    can be written to the stream any more, because it was closed or the terminal is gone, the run
    goes on without it.

    Parameters
    ----------
    file : text stream, optional
        Standard error by default.
    every : float
        Seconds between the lines of a log.
    """

    def __init__(self, file: TextIO | None = None, every: float = 10.0) -> None:
        self.file = file
        self.every = every
        self._stream: TextIO | None = None
        self._bar: tqdm[Any] | None = None
        self._started = 0.0
        self._shown = 0.0
        self._first_step = 0
        self._loss: float | None = None
        self._tokens = 0

    def on_start(self, trainer: Trainer) -> None:
        self._stream = sys.stderr if self.file is None else self.file  # None if there is none
        self._started = self._shown = time.perf_counter()
        self._first_step = trainer.steps
        self._loss = None
        self._tokens = 0
        with self._until_closed():
            if self._stream is not None and self._stream.isatty():
                from tqdm import tqdm  # a quarter of the time of importing the whole package

                self._bar = tqdm(total=1.0, file=self._stream, bar_format=_BAR, unit="steps")

    def on_step(self, trainer: Trainer, step: Step) -> None:
        # A running mean says more than the loss of the last batch.
        self._loss = step.loss if self._loss is None else 0.95 * self._loss + 0.05 * step.loss
        self._tokens += step.tokens
        now = time.perf_counter()
        elapsed = now - self._started
        left = self._seconds_left(trainer, elapsed)
        rate = f"{self._tokens / elapsed:,.0f} tokens/s"
        text = f"loss {self._loss:.3f}, lr {step.lr:.1e}, {rate}"
        if self._bar is not None:
            done = trainer.steps - self._first_step
            with self._until_closed():
                self._bar.total = done if left is None else done * (elapsed + left) / elapsed
                self._bar.set_postfix_str(f"loss {self._loss:.3f}, {rate}", refresh=False)
                self._bar.update()
        elif now - self._shown >= self.every:
            self._shown = now
            self._line(
                f"step {step.step:,}{'' if left is None else f' ({left:.0f} s left)'}: {text}"
            )

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:  # noqa: ARG002
        metrics = "".join(f", {name} {value:.4g}" for name, value in evaluation.metrics.items())
        self._line(f"step {evaluation.step:,}: held-out loss {evaluation.loss:.3f}{metrics}")
        for sample in evaluation.samples:
            self._line(f"  {sample}")

    def on_skip(self, trainer: Trainer, message: str) -> None:  # noqa: ARG002
        self._line(f"skipped: {message}")

    def on_end(self, trainer: Trainer) -> None:  # noqa: ARG002
        with self._until_closed():
            if self._bar is not None:
                self._bar.close()
        self._bar = self._stream = None

    def _seconds_left(self, trainer: Trainer, elapsed: float) -> float | None:
        """By whichever limit comes first, if the run has one that can be told."""
        left = []
        if trainer.planned_steps is not None:
            done = trainer.steps - self._first_step
            left.append((trainer.planned_steps - trainer.steps) * elapsed / done)
        if trainer.planned_seconds is not None:
            left.append(trainer.planned_seconds - elapsed)
        return max(0.0, min(left)) if left else None

    def _line(self, text: str) -> None:
        with self._until_closed():
            if self._bar is not None:
                self._bar.write(text, file=self._stream)
            elif self._stream is not None:
                print(text, file=self._stream, flush=True)

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Say nothing more once the stream is closed, its reader has left, or its disk is full."""
        try:
            yield
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and "closed file" not in str(error):
                raise
            if self._bar is not None:
                self._bar.disable = True  # or it would write again when it is collected
            self._bar = self._stream = None
