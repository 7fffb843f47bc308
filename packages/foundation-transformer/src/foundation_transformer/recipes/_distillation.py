"""A small model learns from a larger one: distillation from its likeliest tokens.

A text says which token came next. A larger model, the teacher, says how likely each token was, and
that is much more to learn from [1]_. To keep or send all V probabilities of each place is too much,
so that the k likeliest are kept. What about the others? To leave them out and scale the k up to
one would teach the student that nothing else can ever come. Here the others count as one further
outcome, "something else", with the probability that the teacher gives them together. The student is
free in how it shares that out, and told how much it is.

References
----------
.. [1] G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
   arXiv:1503.02531.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Array, Result, Tensor, no_grad, operation, train_mode
from foundation_nn import functional as F
from foundation_nn.training import Callback, Trainer
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.recipes._fit import fit
from foundation_transformer.recipes._language_model import TextBatch, texts_apart


class TopTokens(NamedTuple):
    """The k likeliest tokens of N places, by a teacher.

    Attributes
    ----------
    ids : (N, k) integer array
    log_probs : (N, k) array
        Their log-probabilities among all V tokens.
    log_rest : (N,) array
        The log-probability of all others together; -inf where there are none.
    """

    ids: NDArray[np.int64]
    log_probs: NDArray[Any]
    log_rest: NDArray[Any]


def top_tokens(logits: NDArray[Any], k: int, temperature: float = 1.0) -> TopTokens:
    """The likeliest tokens of softmax(logits / temperature).

    Parameters
    ----------
    logits : (N, V) array
    k : int
        At most V.
    temperature : float
        Above 1 the less likely tokens come to the fore.

    Examples
    --------
    >>> import numpy as np
    >>> top = top_tokens(np.log([[0.5, 0.125, 0.25, 0.125]]), k=2)
    >>> top.ids.tolist(), np.exp(top.log_probs).tolist(), np.exp(top.log_rest).round(9).tolist()
    ([[0, 2]], [[0.5, 0.25]], [0.25])
    """
    V = logits.shape[-1]
    if not 1 <= k <= V:
        raise ValueError(f"top_tokens: expected k of 1 to {V}, got {k}")
    if not temperature > 0:
        raise ValueError(f"top_tokens: expected temperature > 0, got {temperature}")
    log_p = _log_softmax(logits / logits.dtype.type(temperature))  # (N, V)
    ids = np.argpartition(-log_p, k - 1, axis=-1)[:, :k]
    order = np.argsort(-np.take_along_axis(log_p, ids, axis=-1), axis=-1, kind="stable")
    ids = np.take_along_axis(ids, order, axis=-1)
    return TopTokens(ids, np.take_along_axis(log_p, ids, axis=-1), _log_rest(log_p, ids))


def _log_softmax(z: NDArray[Any]) -> NDArray[Any]:
    shifted = z - z.max(axis=-1, keepdims=True)
    log_p: NDArray[Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_p


def _log_rest(log_p: NDArray[Any], ids: NDArray[Any]) -> NDArray[Any]:
    """log Σ p over all but ``ids``: of these few, 1 − Σ would have no digits left."""
    others = log_p.copy()
    np.put_along_axis(others, ids, -np.inf, axis=-1)
    largest = others.max(axis=-1)
    shift = np.where(np.isfinite(largest), largest, 0)  # -inf where there are no others
    with np.errstate(divide="ignore"):
        log_rest: NDArray[Any] = shift + np.log(np.exp(others - shift[:, None]).sum(axis=-1))
    return log_rest


@operation
def distillation_loss(
    logits: Array,
    ids: NDArray[np.integer[Any]],
    log_probs: NDArray[Any],
    log_rest: NDArray[Any],
    temperature: float = 1.0,
) -> Result:
    """The mean over N places of T² · KL(p ‖ q), over k tokens and the rest as one outcome.

    With the teacher's p and q = softmax(z / T) of the student,

        KL = Σ_j p_j (log p_j − log q_j) + p_rest (log p_rest − log q_rest).

    It is 0 where the student agrees on the k tokens and on the rest together, and never more than
    the KL over all tokens, with which it is equal if k = V. Its derivative by z_j / T is q_j − p_j
    for the k tokens, and q_j (1 − p_rest / q_rest) for the others, whose shares of q_rest stay.
    T² makes up for the gradients, which shrink with 1 / T² [1]_.

    Parameters
    ----------
    logits : (N, V) tensor
        The student's, z.
    ids, log_probs, log_rest
        What the teacher says, from :func:`top_tokens` with the same temperature; constants.
    temperature : float
        T.

    Returns
    -------
    () tensor
        In nats.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no place.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
       arXiv:1503.02531.

    Examples
    --------
    The formula in plain NumPy, for one place:

    >>> import numpy as np
    >>> from foundation_transformer.recipes import distillation_loss, top_tokens
    >>> rng = np.random.default_rng(0)
    >>> teacher, student, T = rng.standard_normal((1, 7)), rng.standard_normal((1, 7)), 2.0
    >>> top = top_tokens(teacher, 3, T)
    >>> q = np.exp(student[0] / T) / np.exp(student[0] / T).sum()
    >>> q_top = q[top.ids[0]]
    >>> q = np.append(q_top, 1 - q_top.sum())  # three tokens, and the rest
    >>> log_p = np.append(top.log_probs[0], top.log_rest[0])
    >>> loss = T**2 * (np.exp(log_p) * (log_p - np.log(q))).sum()
    >>> np.allclose(distillation_loss(student, *top, T).data, loss)
    True
    """
    N = len(logits)
    if not N or np.shape(log_probs) != np.shape(ids) or np.shape(log_rest) != (N,):
        raise ValueError(
            f"distillation_loss: expected ids and log_probs (N, k) and log_rest (N,) for {N} rows "
            f"of logits, got {np.shape(ids)}, {np.shape(log_probs)} and {np.shape(log_rest)}"
        )
    dtype = logits.dtype
    T = dtype.type(temperature)
    log_q = _log_softmax(logits / T)  # (N, V)
    log_q_top = np.take_along_axis(log_q, ids, axis=-1)  # (N, k)
    log_q_rest = _log_rest(log_q, ids)  # (N,)
    p_top = np.exp(log_probs).astype(dtype)
    p_rest = np.exp(log_rest).astype(dtype)
    kl = (p_top * (log_probs - log_q_top)).sum(axis=-1)
    has_rest = p_rest > 0  # where there is none, 0 · log 0 counts as 0
    log_q_rest = np.where(has_rest, log_q_rest, 0)
    kl += np.where(has_rest, p_rest * (np.where(has_rest, log_rest, 0) - log_q_rest), 0)

    def backward(g: Array) -> Array:
        dz = np.exp(log_q)  # q_j
        of_the_top = np.take_along_axis(dz, ids, axis=-1) - p_top
        # The others: q_j − p_rest q_j / q_rest. The shares q_j / q_rest are at most 1.
        dz -= p_rest[:, None] * np.exp(np.minimum(log_q - log_q_rest[:, None], 0))
        np.put_along_axis(dz, ids, of_the_top, axis=-1)
        return dz * (g * T / N)  # T² of the loss, and 1 / T of z / T

    return T * T * kl.mean(), backward


class DistillationLoss:
    """The loss of :func:`train_student`: what the teacher says, and what the text says.

    loss = α · distillation + (1 − α) · cross-entropy

    The teacher reads each batch without dropout, and no gradient goes through it.

    Parameters
    ----------
    teacher : CausalLM
        With the student's vocabulary.
    k : int
        How many tokens the teacher tells of each place.
    temperature : float
    alpha : float
        From 0 to 1.
    """

    def __init__(
        self, teacher: CausalLM, k: int = 32, temperature: float = 2.0, alpha: float = 0.9
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"DistillationLoss: expected alpha from 0 to 1, got {alpha}")
        self.teacher = teacher
        self.k = k
        self.temperature = temperature
        self.alpha = alpha

    def __call__(self, model: CausalLM, batch: TextBatch) -> tuple[Tensor, int]:
        real = np.ones(batch.ids.shape, bool) if batch.segments is None else batch.segments > 0
        row, place = np.nonzero(real)
        mask, positions = texts_apart(batch)
        with no_grad(), train_mode(None):
            hidden = self.teacher.hidden(batch.ids, mask=mask, positions=positions)
            told = self.teacher.logits(hidden[row, place]).data
        top = top_tokens(told, self.k, self.temperature)
        hidden = model.hidden(batch.ids, mask=mask, positions=positions)
        logits = model.logits(hidden[row, place])  # (N, V)
        loss = self.alpha * distillation_loss(logits, *top, self.temperature)
        if self.alpha < 1:
            loss = loss + (1 - self.alpha) * F.cross_entropy(logits, batch.targets[row, place])
        return loss, batch.num_tokens


def train_student(
    student: CausalLM,
    teacher: CausalLM,
    batches: Iterable[TextBatch],
    *,
    steps: int,
    k: int = 32,
    temperature: float = 2.0,
    alpha: float = 0.9,
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
    """Train a small language model on what a larger one says of the same texts [1]_.

    Parameters
    ----------
    student, teacher : CausalLM
        With one vocabulary. The teacher is not changed.
    batches : iterable of TextBatch
        As for :func:`train_lm`.
    steps : int
        Updates.
    k, temperature, alpha
        See :class:`DistillationLoss`; k is at most the size of the vocabulary.
    validation, lr, final_lr, warmup, weight_decay, accumulate, max_seconds, rng, callbacks, comm
        As for :func:`train_lm`. The loss that is told of ``validation`` is this one, too.

    Raises
    ------
    ValueError
        If the vocabularies differ in size, or a number is out of its range.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
       arXiv:1503.02531.
    """
    sizes = student.config.vocab_size, teacher.config.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            "train_student: expected student and teacher to have one vocabulary, got "
            f"{sizes[0]:,} and {sizes[1]:,} tokens"
        )
    return fit(
        student,
        DistillationLoss(teacher, min(k, sizes[0]), temperature, alpha),
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
