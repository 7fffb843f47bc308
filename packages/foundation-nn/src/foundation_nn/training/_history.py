"""What happened in a run, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Step:
    """One update of the parameters.

    Attributes
    ----------
    step : int
        From 1.
    loss : float
        Mean over the targets of the step, before its update.
    lr : float
    grad_norm : float
        Before clipping.
    tokens : int
        Targets that counted.
    seconds : float
        Duration.
    clipped : bool
        The gradients were scaled down.
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of an evaluation.

    Attributes
    ----------
    step : int
    loss : float
        On the validation data, a mean over all targets.
    metrics : dict of str to float
        The values of the trainer's ``metrics``.
    samples : list of str
        What the trainer's ``samples`` returned.
    """

    step: int
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)

    def value(self, metric: str) -> float:
        """The loss, or one of the metrics.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if metric == "loss":
            return self.loss
        if metric not in self.metrics:
            raise ValueError(
                f"no metric {metric!r} was evaluated; there are {['loss', *self.metrics]}"
            )
        return self.metrics[metric]


@dataclass
class History:
    """All steps and evaluations of a run."""

    steps: list[Step] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """Over all steps; 0 before the first."""
        seconds = sum(s.seconds for s in self.steps)
        return sum(s.tokens for s in self.steps) / seconds if seconds else 0.0

    @property
    def num_clipped(self) -> int:
        """Steps whose gradients were scaled down."""
        return sum(s.clipped for s in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`."""
        return cls(
            [Step(**s) for s in content["steps"]], [Evaluation(**e) for e in content["evaluations"]]
        )
