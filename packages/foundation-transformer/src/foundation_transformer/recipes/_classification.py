"""Training a head that classifies texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from foundation_nn import Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer

from foundation_transformer._heads import TextClassifier
from foundation_transformer.adapters import Lora
from foundation_transformer.recipes._fit import fit, trimmed


def classifier_of(model: TextClassifier | Lora) -> TextClassifier:
    """The classifier itself, also of a change beside one.

    Raises
    ------
    TypeError
        If it is a change beside another kind of model.
    """
    found = model.model if isinstance(model, Lora) else model
    if not isinstance(found, TextClassifier):
        raise TypeError(
            f"expected a TextClassifier, or a Lora around one, got a {type(found).__name__}"
        )
    return found


def classification_loss(model: TextClassifier | Lora, batch: Any) -> tuple[Tensor, int]:
    """The loss that belongs to the model's scores, and the number of texts.

    softmax: cross-entropy of targets (B,), the numbers of the labels. sigmoid: binary cross-entropy
    of targets (B, labels), 0 or 1 each. identity: the mean squared error of targets (B, labels).

    Parameters
    ----------
    model : TextClassifier or Lora
        A Lora around a classifier.
    batch : (ids, key_mask, targets), or with token types as the fourth
    """
    ids, key_mask, targets, *token_types = batch
    logits = model(*trimmed(ids, key_mask, *token_types))  # (B, labels)
    score = classifier_of(model).score
    if score == "softmax":
        return F.cross_entropy(logits, targets), len(ids)
    wanted = np.asarray(targets, logits.dtype)
    if score == "sigmoid":
        return F.binary_cross_entropy_with_logits(logits, wanted), len(ids)
    return F.mse_loss(logits, wanted), len(ids)


def classification_accuracy(model: TextClassifier | Lora, batches: Iterable[Any]) -> float:
    """The share of texts whose likeliest label is the right one; of each label for "sigmoid".

    Raises
    ------
    ValueError
        If there is no text, or the model's scores are no probabilities.
    """
    score = classifier_of(model).score
    if score == "identity":
        raise ValueError("classification_accuracy: a model with score='identity' has no labels")
    right = count = 0
    for ids, key_mask, targets, *token_types in batches:
        with no_grad():
            logits = model(*trimmed(ids, key_mask, *token_types)).data
        chosen = logits.argmax(axis=1) if score == "softmax" else logits > 0
        right += int((chosen == np.asarray(targets)).sum())
        count += chosen.size
    if not count:
        raise ValueError("classification_accuracy: expected at least one text, got none")
    return right / count


def train_classifier(
    model: TextClassifier | Lora,
    batches: Iterable[Any],
    *,
    steps: int,
    validation: Iterable[Any] | None = None,
    lr: float = 1e-4,
    final_lr: float | None = None,
    warmup: int = 20,
    weight_decay: float = 0.01,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train a classifier: its head, and what of its body is not frozen.

    Parameters
    ----------
    model : TextClassifier or Lora
        After ``model.body.freeze()`` the head alone is trained, which needs a larger rate, such
        as 1e-2. With ``Lora.around(model)`` a small change of the body is learnt with the head.
    batches : iterable of (ids, key_mask, targets)
        Such as ``training.batches(*padded(rows), targets, batch_size=32, rng=rng)``.
    steps : int
        Updates.
    validation, lr, final_lr, warmup, weight_decay, accumulate, max_seconds, rng, callbacks, comm
        As for :func:`train_lm`.

    Examples
    --------
    Which of two words does a text hold?

    >>> import numpy as np
    >>> from foundation_nn import training
    >>> from foundation_transformer import TextClassifier, TextEncoder, TransformerConfig, recipes
    >>> rng = np.random.default_rng(0)
    >>> config = TransformerConfig.bert(vocab_size=11, d_model=16, num_heads=2, num_layers=1)
    >>> model = TextClassifier(TextEncoder(config, rng=rng), ["five", "six"], rng=rng)
    >>> targets = rng.integers(2, size=64)
    >>> rows = [rng.permutation([5 + t, 1, 2, 3, 4])[: rng.integers(5, 6)] for t in targets]
    >>> data = training.batches(*recipes.padded(rows), targets, batch_size=16, rng=rng)
    >>> trainer = recipes.train_classifier(model, data, steps=60, lr=3e-3, rng=rng)
    >>> recipes.classification_accuracy(model, data)
    1.0
    """
    return fit(
        model,
        classification_loss,
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
