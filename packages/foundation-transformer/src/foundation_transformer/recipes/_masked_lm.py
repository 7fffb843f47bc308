"""Training an encoder on text alone: tokens are hidden, and it tells them from both sides.

Of the tokens of a text a share of 15 % is chosen at random. Of these, 80 % are replaced by a token
that says "hidden", 10 % by a token that is drawn at random, and 10 % stay as they are [1]_. The
loss is the cross-entropy of what stood at the chosen places. Were they all replaced by "hidden",
the encoder would learn to speak about that token alone, which no text ever holds.

The choice is made anew each time a text is read, so that it is another exercise in each epoch [2]_.

References
----------
.. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
   Understanding", NAACL 2019, arXiv:1810.04805.
.. [2] Y. Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019,
   arXiv:1907.11692.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from foundation_nn import Tensor
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer
from foundation_nn.training import batches as cut_into_batches
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._heads import MaskedLM
from foundation_transformer.recipes._fit import fit, padded


@dataclass(frozen=True)
class MaskedBatch:
    """Texts of which some tokens are hidden.

    Attributes
    ----------
    ids : (B, T) integer array
        What the model reads.
    targets : (B, T) integer array
        What stood there.
    key_mask : (B, T) bool array
        Which places are real.
    hidden : (B, T) bool array
        Which places count: those that were chosen.
    """

    ids: Ids
    targets: Ids
    key_mask: NDArray[np.bool_]
    hidden: NDArray[np.bool_]

    @property
    def num_tokens(self) -> int:
        """Targets that count."""
        return int(self.hidden.sum())


def mask_tokens(
    ids: Ids,
    key_mask: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    mask_id: int,
    vocab_size: int,
    special_ids: Collection[int] = (),
    share: float = 0.15,
) -> MaskedBatch:
    """Hide tokens as BERT's training does: 80 % "hidden", 10 % random, 10 % as they are.

    Parameters
    ----------
    ids : (B, T) integer array
    key_mask : (B, T) bool array
        True where a token is real.
    rng : numpy.random.Generator
    mask_id : int
        The token that says "hidden".
    vocab_size : int
        Random tokens are drawn below it.
    special_ids : collection of int
        Tokens that are never chosen, such as those at the beginning and at the end of a text.
    share : float
        Of the tokens that are chosen, each for itself.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.arange(1, 1001)[None]
    >>> real = np.ones(ids.shape, bool)
    >>> batch = mask_tokens(ids, real, np.random.default_rng(0), mask_id=0, vocab_size=1001)
    >>> chosen = batch.ids[batch.hidden]
    >>> said_hidden, unchanged = chosen == 0, chosen == batch.targets[batch.hidden]
    >>> batch.num_tokens, int(said_hidden.sum()), int(unchanged.sum())
    (131, 109, 10)
    """
    if not 0 < share <= 1:
        raise ValueError(f"mask_tokens: expected a share above 0 and at most 1, got {share}")
    may_be_chosen = key_mask & ~np.isin(ids, list(special_ids))
    hidden = may_be_chosen & (rng.random(ids.shape) < share)
    what = rng.random(ids.shape)
    drawn = rng.integers(vocab_size, size=ids.shape)
    read = np.where(hidden & (what < 0.8), mask_id, ids)
    read = np.where(hidden & (what >= 0.8) & (what < 0.9), drawn, read)
    return MaskedBatch(read, np.array(ids), np.array(key_mask), hidden)


class MaskedBatches:
    """Batches of texts with hidden tokens, chosen anew in each epoch, and resumable.

    Each ``for`` loop is one epoch, in an order of its own. What is hidden depends on the seed, the
    epoch and the batch, so that a run that is resumed sees what it would have seen.

    Parameters
    ----------
    rows : sequence of sequences of int
        One text each, with what stands around it.
    batch_size : int
    mask_id, vocab_size, special_ids, share
        As for :func:`mask_tokens`.
    rng : numpy.random.Generator, optional
        Two numbers are drawn from it, here. Without it, the texts come in the order they have, and
        the same tokens are hidden each time: for evaluation.

    Examples
    --------
    >>> import numpy as np
    >>> rows = [[1, 5, 6, 7, 2], [1, 8, 9, 2]]
    >>> batches = MaskedBatches(rows, 2, mask_id=3, vocab_size=10, special_ids=[1, 2], share=0.5)
    >>> (batch,) = batches
    >>> batch.targets.tolist()
    [[1, 5, 6, 7, 2], [1, 8, 9, 2, 0]]
    """

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        batch_size: int,
        *,
        mask_id: int,
        vocab_size: int,
        special_ids: Collection[int] = (),
        share: float = 0.15,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._rows = rows
        self._options: dict[str, Any] = {
            "mask_id": mask_id,
            "vocab_size": vocab_size,
            "special_ids": special_ids,
            "share": share,
        }
        self._seed = None if rng is None else int(rng.integers(2**63))
        self._order = cut_into_batches(np.arange(len(rows)), batch_size=batch_size, rng=rng)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self._order)

    def __iter__(self) -> Iterator[MaskedBatch]:
        for chosen in self._order:
            place = self._order.state_dict()
            seed = [0] if self._seed is None else [self._seed, place["epoch"]]
            rng = np.random.default_rng([*seed, place["given"]])
            ids, key_mask = padded([self._rows[i] for i in chosen.tolist()])
            yield mask_tokens(ids, key_mask, rng, **self._options)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is."""
        return {"seed": self._seed, "order": self._order.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken.

        Raises
        ------
        ValueError
            If that was with other texts or another batch size, or the state is malformed.
        """
        seed = state.get("seed")
        if (seed is None) != (self._seed is None) or not isinstance(seed, int | None):
            raise ValueError(f"MaskedBatches: malformed state: {dict(state)!r:.80}")
        self._order.load_state_dict(state["order"])
        self._seed = seed


def masked_lm_loss(model: MaskedLM, batch: MaskedBatch) -> tuple[Tensor, int]:
    """The cross-entropy of the hidden tokens, and how many there are."""
    logits = model(batch.ids, batch.key_mask, at=batch.hidden)  # (N, V)
    return F.cross_entropy(logits, batch.targets[batch.hidden]), batch.num_tokens


def train_masked_lm(
    model: MaskedLM,
    batches: Iterable[MaskedBatch],
    *,
    steps: int,
    validation: Iterable[MaskedBatch] | None = None,
    lr: float = 5e-4,
    final_lr: float | None = None,
    warmup: int = 100,
    weight_decay: float = 0.01,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train an encoder to tell hidden tokens [1]_.

    Parameters
    ----------
    model : MaskedLM
        What is trained further afterwards is ``model.encoder``.
    batches : iterable of MaskedBatch
        Such as :class:`MaskedBatches`.
    steps : int
        Updates.
    validation, lr, final_lr, warmup, weight_decay, accumulate, max_seconds, rng, callbacks, comm
        As for :func:`train_lm`.

    References
    ----------
    .. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding", NAACL 2019, arXiv:1810.04805.
    """
    return fit(
        model,
        masked_lm_loss,
        batches,
        steps=steps,
        validation=validation,
        lr=lr,
        final_lr=final_lr,
        warmup=warmup,
        betas=(0.9, 0.999),
        weight_decay=weight_decay,
        accumulate=accumulate,
        max_seconds=max_seconds,
        rng=rng,
        callbacks=callbacks,
        comm=comm,
    )
