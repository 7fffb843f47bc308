"""Ending a run that no longer improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation_nn._arguments import number, whole_number
from foundation_nn.engine._habit_tables import TRAINING_KEYWORDS
from foundation_nn.engine._habits import explains
from foundation_nn.training._best import Best
from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation
from foundation_nn.training._trainer import Trainer


class EarlyStopping(Callback):
    """Ends a run that no longer improves; ``stopped_by`` is then "no improvement".

    Parameters
    ----------
    patience : int
        The run ends after this number of evaluations in a row without improvement.
    metric : str
        "loss", or the name of one of the trainer's metrics.
    maximize : bool
        Whether a larger value is better, as for BLEU.
    min_delta : float
        A value that is better by no more than this does not count as an improvement.

    Raises
    ------
    ValueError
        If ``patience`` is less than 1 or ``min_delta`` negative.
    """

    @explains(TRAINING_KEYWORDS)
    def __init__(
        self,
        patience: int,
        metric: str = "loss",
        maximize: bool = False,
        min_delta: float = 0.0,
    ) -> None:
        name = "EarlyStopping"
        self.patience = whole_number(name, "patience", patience, at_least=1)
        min_delta = number(name, "min_delta", min_delta, at_least=0)
        self.best = Best(metric, maximize, min_delta)

    def on_start(self, trainer: Trainer) -> None:
        """A run that was saved when it had ended must not go on."""
        self._judge(trainer)

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self.best.observe(evaluation)
        self._judge(trainer)

    def _judge(self, trainer: Trainer) -> None:
        if self.best.waited >= self.patience:
            trainer.stop("no improvement")

    def state_dict(self) -> dict[str, Any]:
        return self.best.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best.load_state_dict(state)
