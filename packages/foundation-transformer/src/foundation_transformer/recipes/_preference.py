"""Learning what people prefer, from pairs of answers: direct preference optimisation.

A prompt x has two answers, a chosen one y₊ and a rejected one y₋. A model π is trained to prefer
the first more than a reference does, which is the model before training [1]_:

    loss = −log σ(β [(log π(y₊|x) − log π_ref(y₊|x)) − (log π(y₋|x) − log π_ref(y₋|x))])

The reference keeps the model from forgetting everything else: what matters is how much more likely
an answer has become, not how likely it is. It never changes, so that its log-probabilities are
computed once, before training, and the reference itself need not stay in memory.

References
----------
.. [1] R. Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a Reward
   Model", NeurIPS 2023, arXiv:2305.18290.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Array, Result, Tensor, no_grad, operation
from foundation_nn import functional as F
from foundation_nn.files import MAX_BYTES, field, read_json_lines
from foundation_nn.training import Callback, Trainer
from foundation_nn.training import batches as cut_into_batches
from numpy.typing import NDArray

from foundation_transformer._build import Ids
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.recipes._fit import fit, padded


@operation
def dpo_loss(
    chosen: Array,
    rejected: Array,
    reference_chosen: NDArray[Any],
    reference_rejected: NDArray[Any],
    beta: float = 0.1,
) -> Result:
    """The mean of −log σ(β m), m = (chosen − reference_chosen) − (rejected − reference_rejected).

    m is by how much more the model prefers the chosen answer than the reference does, in nats. The
    derivative of −log σ(z) is −σ(−z): pairs that are told apart already hardly count.

    Parameters
    ----------
    chosen, rejected : (B,) tensor
        log π(y|x) of both answers: the sums over their tokens.
    reference_chosen, reference_rejected : (B,) array
        The same by the reference; constants.
    beta : float
        Above 0. The larger, the sooner a pair counts as told apart, and the nearer the model stays
        to the reference.

    Returns
    -------
    () tensor
        log 2 where nothing was learnt yet.

    Raises
    ------
    ValueError
        If the shapes differ, there is no pair, or β is not positive.

    Examples
    --------
    The formula in plain NumPy:

    >>> import numpy as np
    >>> from foundation_transformer.recipes import dpo_loss
    >>> chosen, rejected = np.array([-3.0, -5.0]), np.array([-4.0, -4.0])
    >>> reference_chosen, reference_rejected = np.array([-4.0, -5.0]), np.array([-4.0, -5.0])
    >>> margin = (chosen - reference_chosen) - (rejected - reference_rejected)  # 1 and -1
    >>> loss = -np.log(1 / (1 + np.exp(-0.5 * margin))).mean()
    >>> found = dpo_loss(chosen, rejected, reference_chosen, reference_rejected, beta=0.5)
    >>> np.allclose(found.data, loss)
    True
    """
    shapes = {np.shape(x) for x in (chosen, rejected, reference_chosen, reference_rejected)}
    if len(shapes) != 1 or chosen.ndim != 1 or not chosen.size:
        raise ValueError(
            "dpo_loss: expected four arrays of one shape (B,), with at least one pair, got "
            f"{', '.join(map(str, sorted(shapes)))}"
        )
    if not beta > 0:
        raise ValueError(f"dpo_loss: expected beta > 0, got {beta}")
    margin = (chosen - reference_chosen) - (rejected - reference_rejected)  # (B,)
    z = (beta * margin).astype(chosen.dtype)
    losses = np.logaddexp(0, -z)  # −log σ(z) = log(1 + e^−z), which does not overflow

    def backward(g: Array) -> tuple[Array, Array]:
        slope = -np.exp(-np.logaddexp(0, z))  # −σ(−z)
        d_margin = g * beta * slope / len(z)
        return d_margin, -d_margin

    return losses.mean(), backward


class Preference(NamedTuple):
    """A prompt with two answers, as texts or as lists of ids."""

    prompt: Any
    chosen: Any
    rejected: Any


def read_preferences(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> list[Preference]:
    """The pairs of a file in JSON lines with ``prompt``, ``chosen`` and ``rejected``.

    Further fields are left alone.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a line lacks one of them, an answer is empty, or both are the same; names the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> place = pathlib.Path(tempfile.mkdtemp(), "pairs.jsonl")
    >>> _ = place.write_text('{"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}')
    >>> read_preferences(place)
    [Preference(prompt='2 + 2 =', chosen=' 4', rejected=' 5')]
    """
    found = []
    for number, record in read_json_lines(path, max_bytes):
        try:
            each = Preference(*(field(record, name, str) for name in Preference._fields))
            for name in ("chosen", "rejected"):
                if not record[name].strip():
                    raise ValueError(f"{name}: expected an answer, got an empty text")
            if each.chosen == each.rejected:
                raise ValueError("chosen and rejected are the same text; there is nothing to learn")
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}, line {number}: {error}") from None
        found.append(each)
    return found


def encode_preferences(
    pairs: Iterable[Preference],
    encode: Callable[[str], Sequence[int]],
    *,
    before: Sequence[int] = (),
    after: Sequence[int] = (),
) -> list[Preference]:
    """Texts as ids; the answer follows the prompt as it stands, so that a space belongs to one.

    Parameters
    ----------
    pairs : iterable of Preference
    encode : callable
        A tokenizer's.
    before : sequence of int
        What stands before every prompt, such as ``tokenizer.frame.before``.
    after : sequence of int
        What ends an answer, such as ``[eos_id]``, so that the model learns to stop.
    """
    found = []
    for prompt, chosen, rejected in pairs:
        ids = [*before, *encode(prompt)]
        found.append(Preference(ids, [*encode(chosen), *after], [*encode(rejected), *after]))
    return found


@dataclass(frozen=True)
class PreferenceBatch:
    """B prompts with two answers each: row 0 of each is the chosen one, row 1 the rejected.

    Attributes
    ----------
    ids : (B, 2, T) integer array
        Prompt and answer, padded at the end.
    targets : (B, 2, T) integer array
        The token after each; -1 where it is no token of an answer, which does not count.
    reference : (B, 2) array
        log π_ref of each answer.
    """

    ids: Ids
    targets: Ids
    reference: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)


def preference_arrays(pairs: Sequence[Preference], max_len: int | None = None) -> PreferenceBatch:
    """All pairs in one batch, the reference still zero.

    Parameters
    ----------
    pairs : sequence of Preference
        Of ids: see :func:`encode_preferences`.
    max_len : int, optional
        The longest that a model reads; a prompt that is too long is cut at its beginning.

    Raises
    ------
    ValueError
        If there is no pair, a prompt or an answer is empty, or an answer alone is too long.
    """
    if not pairs:
        raise ValueError("preference_arrays: expected at least one pair, got none")
    rows: list[list[int]] = []
    counted: list[list[int]] = []
    for number, (prompt, *answers) in enumerate(pairs):
        longest = max(map(len, answers))
        if not prompt or not all(answers):
            raise ValueError(f"preference_arrays: pair {number} has an empty prompt or answer")
        room = len(prompt) if max_len is None else max_len + 1 - longest
        if room < 1:
            raise ValueError(
                f"preference_arrays: pair {number} has an answer of {longest} tokens, which leaves "
                f"no room for its prompt; the model reads {max_len}"
            )
        start = list(prompt)[-room:]
        for answer in answers:
            rows.append([*start, *answer][:-1])
            counted.append([*[-1] * (len(start) - 1), *answer])
    ids, _ = padded(rows)
    targets, _ = padded(counted, -1)
    shape = (len(pairs), 2, ids.shape[1])
    return PreferenceBatch(ids.reshape(shape), targets.reshape(shape), np.zeros((len(pairs), 2)))


def answer_log_probs(model: CausalLM, ids: Ids, targets: Ids) -> Tensor:
    """log p of the targets of each row that are not -1, added up, (N, T) to (N,).

    Logits are computed for these alone.
    """
    row, place = np.nonzero(targets >= 0)
    hidden = model.hidden(ids)[row, place]  # (M, D)
    nats = F.cross_entropy(model.logits(hidden), targets[row, place], reduction="none")  # (M,)
    belongs = (np.arange(len(ids))[:, None] == row).astype(nats.dtype)  # (N, M)
    return -(Tensor.wrap(belongs) @ nats)


def with_reference(
    reference: CausalLM, pairs: PreferenceBatch, batch_size: int = 8
) -> PreferenceBatch:
    """The same pairs with the log-probabilities that the reference gives their answers."""
    found = []
    for start in range(0, len(pairs), batch_size):
        rows = slice(start, start + batch_size)
        ids, targets = _trimmed(pairs.ids[rows], pairs.targets[rows])
        with no_grad():
            found.append(answer_log_probs(reference, ids, targets).data.reshape(-1, 2))
    return replace(pairs, reference=np.concatenate(found).astype(np.float64))


def preference_loss(beta: float = 0.1) -> Callable[[CausalLM, Any], tuple[Tensor, int]]:
    """The loss of :func:`train_dpo`, for a trainer of one's own: ``loss(model, batch)``.

    A batch is a :class:`PreferenceBatch` or a tuple of its arrays.
    """

    def loss(model: CausalLM, batch: Any) -> tuple[Tensor, int]:
        if not isinstance(batch, PreferenceBatch):
            batch = PreferenceBatch(*batch)
        ids, targets = _trimmed(batch.ids, batch.targets)
        log_probs = answer_log_probs(model, ids, targets)  # (2B,): chosen, rejected, chosen, ...
        chosen, rejected = log_probs[0::2], log_probs[1::2]
        known = batch.reference.astype(log_probs.dtype)
        mean = dpo_loss(chosen, rejected, known[:, 0], known[:, 1], beta)
        return mean, len(batch)

    return loss


def _trimmed(ids: Ids, targets: Ids) -> tuple[Ids, Ids]:
    """(B, 2, T) as (2B, T'), without the columns that are padding in all of these rows."""
    T = ids.shape[-1]
    last = np.nonzero((targets >= 0).any(axis=(0, 1)))[0].max() + 1
    return ids.reshape(-1, T)[:, :last], targets.reshape(-1, T)[:, :last]


def preference_accuracy(model: CausalLM, pairs: PreferenceBatch, batch_size: int = 8) -> float:
    """The share of pairs whose chosen answer has become more likely, against the reference."""
    now = with_reference(model, pairs, batch_size).reference - pairs.reference
    return float((now[:, 0] > now[:, 1]).mean())


def train_dpo(
    model: CausalLM,
    pairs: Sequence[Preference],
    *,
    steps: int,
    reference: CausalLM | None = None,
    beta: float = 0.1,
    batch_size: int = 8,
    validation: Sequence[Preference] | None = None,
    lr: float = 1e-5,
    final_lr: float | None = None,
    warmup: int = 10,
    weight_decay: float = 0.0,
    accumulate: int = 1,
    max_seconds: float | None = None,
    rng: np.random.Generator | None = None,
    callbacks: Sequence[Callback] = (),
    comm: Any = None,
) -> Trainer:
    """Train a language model to prefer the chosen answers, by direct preference optimisation [1]_.

    The reference reads all pairs once, before the first step.

    Parameters
    ----------
    model : CausalLM
    pairs : sequence of Preference
        Of ids, see :func:`encode_preferences`.
    steps : int
        Updates.
    reference : CausalLM, optional
        What the model is compared with; the model itself as it is now by default.
    beta : float
        See :func:`dpo_loss`.
    batch_size : int
        Pairs at once, each of which has two rows.
    validation : sequence of Preference, optional
    lr, final_lr, warmup, weight_decay, accumulate, max_seconds, callbacks, comm
        As for :func:`train_lm`.
    rng : numpy.random.Generator, optional
        Draws the order of the pairs, and dropout.

    Raises
    ------
    ValueError
        As :func:`preference_arrays` and :func:`dpo_loss`.

    References
    ----------
    .. [1] R. Rafailov et al., "Direct Preference Optimization: Your Language Model is Secretly a
       Reward Model", NeurIPS 2023, arXiv:2305.18290.

    Examples
    --------
    A model learns to answer 1 with 2, and not with 3:

    >>> import numpy as np
    >>> from foundation_transformer import CausalLM, TransformerConfig, recipes
    >>> config = TransformerConfig.gpt2(vocab_size=5, d_model=16, num_heads=2, num_layers=1)
    >>> model = CausalLM(config, rng=np.random.default_rng(0))
    >>> pairs = [recipes.Preference([1], [2], [3])]
    >>> trainer = recipes.train_dpo(model, pairs, steps=20, lr=1e-2)
    >>> logits = model(np.array([[1]])).data[0, -1]
    >>> bool(logits[2] > logits[3] + 1)
    True
    """
    rng = np.random.default_rng() if rng is None else rng
    compared = model if reference is None else reference
    room = model.config.max_len if model.config.has_length_limit else None

    def prepared(some: Sequence[Preference], order: np.random.Generator | None) -> Any:
        known = with_reference(compared, preference_arrays(some, room), batch_size)
        arrays = (known.ids, known.targets, known.reference)
        return cut_into_batches(*arrays, batch_size=batch_size, rng=order)

    return fit(
        model,
        preference_loss(beta),
        prepared(pairs, rng),
        steps=steps,
        validation=None if validation is None else prepared(validation, None),
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
