"""What differs between the kinds of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_nn.training import Sample

from foundation_transformer.config import TransformerConfig


@dataclass(frozen=True)
class Task:
    """What differs between the kinds of runs.

    Attributes
    ----------
    config : TransformerConfig
    make_model : callable
        From a generator.
    loss : callable
    batches : iterable
    validation : iterable or None
        None if nothing is held out.
    batches_per_epoch : int or None
        None if there are no epochs.
    extras : dict of str to Any
        What a checkpoint has beside the model: tokenizers, and of a model that was tuned, how it
        reads and writes.
    samples : callable
    metrics : dict of str to callable
    fingerprints : dict of str to str
        Checksums of what is trained on, and of what is held out if there is anything.
    tokenizer_origin : str
        Where the tokenizers come from, for people.
    kind : str
        The class of the model, for people.
    """

    config: TransformerConfig
    make_model: Callable[[np.random.Generator], Any]
    loss: Callable[..., Any]
    batches: Any
    validation: Iterable[Any] | None
    batches_per_epoch: int | None
    extras: dict[str, Any]
    samples: Callable[[Any], Sequence[str | Sample]] | None
    metrics: dict[str, Callable[[Any], float]]
    fingerprints: dict[str, str]
    tokenizer_origin: str
    kind: str = "CausalLM"
