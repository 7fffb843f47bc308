"""What a run of ``foundation finetune`` learns: a change beside a model, or the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from foundation_transformer.adapters import Lora, layout_of
from foundation_transformer.cli._settings import Settings


def learner_of(settings: Settings, model: Any, rng: np.random.Generator) -> Any:
    """What is trained: a change beside the model, or the model itself."""
    if settings.rank is None:
        return model
    return Lora.around(
        model, settings.rank, settings.alpha, settings.lora_dropout, _targets(settings), rng=rng
    )


def require_change(settings: Settings, model: Any) -> None:
    """Refuse a change that the model cannot have, before a run is begun.

    Raises
    ------
    ValueError
        If the rank is too large, or a matrix to change is not there.
    """
    if settings.rank is not None:
        Lora(layout_of(model, _targets(settings)), settings.rank)


def tuned(learner: Any) -> Any:
    """The model that is tuned, by a change beside it or as a whole."""
    return learner.model if isinstance(learner, Lora) else learner


def _targets(settings: Settings) -> list[str] | None:
    """The matrices to change; None: all."""
    return None if settings.targets is None else settings.targets.split(",")
