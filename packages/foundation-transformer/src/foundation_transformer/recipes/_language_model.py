"""Training a language model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.recipes._fit import fit


class TextBatch(Protocol):
    """What a batch of text must hold; ``foundation_data.TextBatch`` and `WindowBatch` do."""

    @property
    def ids(self) -> Ids: ...
    @property
    def targets(self) -> Ids: ...
    @property
    def segments(self) -> Ids | None: ...
    @property
    def num_tokens(self) -> int: ...


class PackedBatch(TextBatch, Protocol):
    """The same with several texts in a row, which must not see each other."""

    @property
    def mask(self) -> NDArray[np.bool_]: ...
    @property
    def positions(self) -> Ids: ...


def language_model_loss(model: CausalLM, batch: TextBatch) -> tuple[Tensor, int]:
    """The cross-entropy of the next token, padding left out, and the number of targets.

    ``segments`` tell which text of its row a token belongs to, from 1; 0 is padding. None: all is
    one text.
    """
    targets = batch.targets
    if batch.segments is None:
        return F.cross_entropy(model(batch.ids), targets), batch.num_tokens
    targets = np.where(batch.segments > 0, targets, -1)
    mask, positions = texts_apart(batch)
    logits = model(batch.ids, mask=mask, positions=positions)
    return F.cross_entropy(logits, targets, ignore_index=-1), batch.num_tokens


def texts_apart(batch: TextBatch) -> tuple[NDArray[np.bool_] | None, Ids | None]:
    """Pattern and positions, where a row holds several texts; padding at its end needs neither."""
    if batch.segments is None or batch.segments.max(initial=0) <= 1:
        return None, None
    packed: PackedBatch = batch  # type: ignore[assignment]
    return packed.mask, packed.positions


def train_lm(
    model: CausalLM,
    batches: Iterable[TextBatch],
    *,
    steps: int,
    validation: Iterable[TextBatch] | None = None,
    lr: float = 1e-3,
    final_lr: float | None = None,
    warmup: int = 100,
    weight_decay: float = 0.1,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train a decoder-only language model.

    AdamW with β₂ = 0.99 and gradients clipped to norm 1; the learning rate rises over the warm-up
    and falls along a cosine: what [1]_ trains small models with.

    Parameters
    ----------
    model : CausalLM
    batches : iterable of TextBatch
        Such as :class:`RandomWindows`, or a loader of foundation-data.
    steps : int
        Updates.
    validation : iterable of TextBatch, optional
        Evaluated at the end, and after each epoch if ``batches`` ends.
    lr, final_lr : float
        The peak, and where the rate ends; a tenth of the peak by default.
    warmup : int
        At most half the steps are used for it.
    weight_decay : float
        Of matrices.
    accumulate : int
        Batches for each update, which is the one that all their rows in one batch would give.
    max_seconds : float, optional
        Stop earlier.
    rng : numpy.random.Generator, optional
        Dropout is drawn from it, and nothing else: the first weights come with the model, and the
        order of the batches is theirs. A model without dropout needs none.
    callbacks : sequence of Callback
    comm : mpi4py.MPI.Comm, optional
        Processes that train together, such as ``foundation_nn.distributed.world()``.

    Returns
    -------
    Trainer
        With the history, and in ``stopped_by`` why it ended.

    References
    ----------
    .. [1] A. Karpathy, "nanoGPT", 2022, https://github.com/karpathy/nanoGPT.
    """
    return fit(
        model,
        language_model_loss,
        batches,
        steps=steps,
        validation=validation,
        lr=lr,
        final_lr=final_lr,
        warmup=warmup,
        weight_decay=weight_decay,
        accumulate=accumulate,
        max_seconds=max_seconds,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
