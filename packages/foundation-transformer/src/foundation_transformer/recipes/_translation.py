"""Training a translator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from foundation_nn import Tensor, current_generator, optim, schedules
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._transformer import Transformer
from foundation_transformer.adapters import Lora


class TranslationBatch(Protocol):
    """What a batch of sentence pairs must hold; ``foundation_data.Batch`` does.

    Both masks, (B, S) and (B, T), say which tokens are real.
    """

    @property
    def source(self) -> Ids: ...
    @property
    def source_mask(self) -> NDArray[np.bool_]: ...
    @property
    def target_in(self) -> Ids: ...
    @property
    def target_out(self) -> Ids: ...
    @property
    def target_mask(self) -> NDArray[np.bool_]: ...
    @property
    def num_tokens(self) -> int: ...


class Batches(Protocol):
    """Batches whose number is known; each iteration is one epoch."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...


def translation_loss(
    label_smoothing: float = 0.1,
) -> Callable[[Transformer | Lora, TranslationBatch], tuple[Tensor, int]]:
    """The cross-entropy of the target tokens, padding left out, and their number.

    As dropout, label smoothing acts within ``train_mode`` alone: an evaluation measures the plain
    loss, which can be compared between runs and whose exponential is the perplexity.
    """

    def loss(model: Transformer | Lora, batch: TranslationBatch) -> tuple[Tensor, int]:
        logits = model(batch.source, batch.target_in, batch.source_mask, batch.target_mask)
        targets = np.where(batch.target_mask, batch.target_out, -1)
        smoothing = 0.0 if current_generator() is None else label_smoothing
        value = F.cross_entropy(logits, targets, ignore_index=-1, label_smoothing=smoothing)
        return value, batch.num_tokens

    return loss


def train_translator(
    model: Transformer | Lora,
    batches: Batches,
    *,
    epochs: int,
    max_seconds: float | None = None,
    validation: Batches | None = None,
    lr: float = 3e-3,
    label_smoothing: float = 0.1,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train an encoder-decoder transformer on sentence pairs.

    AdamW with β₂ = 0.98 and gradients clipped to norm 1; the learning rate rises over the first
    tenth of the steps (at most 400) and falls to zero along a cosine, at the last step or when the
    time is over.

    Parameters
    ----------
    model : Transformer or Lora
        A Lora around a transformer that can translate already learns its change alone.
    batches : sized iterable of TranslationBatch
        One epoch for each iteration.
    epochs : int
    max_seconds : float, optional
        Stop earlier.
    validation : sized iterable of TranslationBatch, optional
    lr : float
        The peak.
    label_smoothing : float
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
    """
    steps = max(2, epochs * len(batches))
    rate = schedules.cosine(lr, steps, warmup=min(400, steps // 10))
    started = time.perf_counter()

    def schedule(step: int) -> float:
        """The cosine over the steps, or over the time if that runs out first."""
        if max_seconds is not None:
            elapsed = (time.perf_counter() - started) / max_seconds
            step = max(step, min(steps, round(steps * elapsed)))
        return rate(step)

    optimizer = optim.AdamW(model, lr, betas=(0.9, 0.98), weight_decay=0.01)
    trainer = Trainer(
        model,
        translation_loss(label_smoothing),
        optimizer,
        schedule=schedule,
        clip_norm=1.0,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
    trainer.fit(batches, validation=validation, max_epochs=epochs, max_seconds=max_seconds)
    return trainer


def train_like_vaswani(
    model: Transformer,
    batches: Batches,
    *,
    epochs: int,
    warmup: int = 4000,
    factor: float = 1.0,
    validation: Batches | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train an encoder-decoder transformer as the original was trained, [1]_ section 5.

    Adam with β₁ = 0.9, β₂ = 0.98 and ε = 1e-9; the learning rate of equation 3,
    d_model^-½ · min(step^-½, step · warmup^-3/2); label smoothing of 0.1; dropout as the model's
    configuration has it. :func:`train_translator` is quicker on small data.

    Parameters
    ----------
    model : Transformer
    batches : sized iterable of TranslationBatch
    epochs : int
    warmup : int
        The steps over which the rate rises; a run must be longer than that.
    factor : float
        Multiplies the rate.
    validation, rng, callbacks, comm
        As for :func:`train_translator`.

    Returns
    -------
    Trainer

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    """
    schedule = schedules.noam(model.config.d_model, warmup, factor)
    trainer = Trainer(
        model,
        translation_loss(label_smoothing=0.1),
        optim.Adam(model, schedule(1), betas=(0.9, 0.98), eps=1e-9),
        schedule=schedule,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
    trainer.fit(batches, validation=validation, max_epochs=epochs)
    return trainer
