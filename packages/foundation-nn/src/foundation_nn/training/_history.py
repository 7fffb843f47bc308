"""What happened in a run, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as field_of_dataclass
from typing import Any, Self

from foundation_nn._arguments import whole_number
from foundation_nn.engine._html import heading
from foundation_nn.files import field, from_object
from foundation_nn.training._curve import loss_curve


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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The opposite of :func:`dataclasses.asdict`.

        Raises
        ------
        ValueError
            If a name is unknown or missing, or a value is no number.
        """
        step = from_object(cls, content)
        for name in ("step", "tokens"):
            whole_number("Step", name, getattr(step, name), at_least=0)
        return step


@dataclass(frozen=True, slots=True)
class Sample:
    """What a model made of an input, beside what it should have made of it.

    Attributes
    ----------
    given : str
        What it read.
    written : str
    expected : str, optional
        The reference, if there is one.

    Examples
    --------
    >>> print(Sample("I am cold.", "J'ai chaud.", "J'ai froid."))
    I am cold. → J'ai chaud. (expected: J'ai froid.)
    """

    given: str
    written: str
    expected: str | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The opposite of :func:`dataclasses.asdict`.

        Raises
        ------
        ValueError
            If a name is unknown or missing, or a value is no text.
        """
        return from_object(cls, content)

    @property
    def is_right(self) -> bool:
        """Whether the model wrote what was expected."""
        return self.written == self.expected

    def __str__(self) -> str:
        text = f"{self.given} → {self.written}"
        if self.expected is not None and not self.is_right:
            text += f" (expected: {self.expected})"
        return text.replace("\n", "⏎")


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
    samples : list of str or Sample
        What the trainer's ``samples`` returned.
    """

    step: int
    loss: float
    metrics: dict[str, float] = field_of_dataclass(default_factory=dict)
    samples: list[str | Sample] = field_of_dataclass(default_factory=list)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The opposite of :func:`dataclasses.asdict`.

        Raises
        ------
        ValueError
            If a name is unknown or missing, or a value is not what it should be.
        """
        samples = field(content, "samples", list, default=[])
        read = [Sample.from_dict(each) if isinstance(each, dict) else each for each in samples]
        evaluation = from_object(cls, {**content, "samples": read})
        whole_number("Evaluation", "step", evaluation.step, at_least=0)
        return evaluation

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


@dataclass(repr=False)
class History:
    """All steps and evaluations of a run.

    At the end of a cell of a notebook it shows the loss as a picture; ``repr`` is one line.
    """

    steps: list[Step] = field_of_dataclass(default_factory=list)
    evaluations: list[Evaluation] = field_of_dataclass(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """Over all steps; 0 before the first."""
        seconds = sum(s.seconds for s in self.steps)
        return sum(s.tokens for s in self.steps) / seconds if seconds else 0.0

    @property
    def num_clipped(self) -> int:
        """Steps whose gradients were scaled down."""
        return sum(s.clipped for s in self.steps)

    def __repr__(self) -> str:
        return f"History({self._in_short()})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        losses = [(step.step, step.loss) for step in self.steps]
        held_out = [(e.step, e.loss) for e in self.evaluations]
        return heading("History", self._in_short()) + loss_curve(losses, held_out)

    def _in_short(self) -> str:
        """Such as "200 steps, loss 0.71 → 0.02; 3 evaluations, the best 0.03 at step 150"."""
        if not self.steps and not self.evaluations:
            return "nothing yet"
        text = f"{len(self.steps):,} steps"
        if self.steps:
            text += f", loss {self.steps[0].loss:.4g} → {self.steps[-1].loss:.4g}"
        if self.evaluations:
            best = min(self.evaluations, key=lambda e: e.loss)
            text += (
                f"; {len(self.evaluations):,} evaluations, the best {best.loss:.4g} at step "
                f"{best.step:,}"
            )
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            If it is something else.
        """
        return cls(
            list(map(Step.from_dict, field(content, "steps", list))),
            list(map(Evaluation.from_dict, field(content, "evaluations", list))),
        )
