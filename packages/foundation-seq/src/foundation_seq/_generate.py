"""Writing text with any step-wise model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from foundation_nn import init, no_grad, padding_mask
from numpy.typing import NDArray

from foundation_seq._sampling import SamplingConfig, draw, token_probabilities
from foundation_seq._stepwise import Ids, Logits, StepwiseModel


def generate(
    model: StepwiseModel[Any],
    prompt: Sequence[Sequence[int]] | Ids,
    max_new_tokens: int | Sequence[int] | Ids,
    sampling: SamplingConfig | None = None,
    rng: np.random.Generator | None = None,
    *,
    stop_ids: Collection[int] = (),
) -> list[list[int]]:
    """Continue each row of the prompt, one token at a time.

    Without ``sampling`` the likeliest token is taken each time (greedy decoding). A row is done
    when it has written a stop id or as many tokens as it may; the others go on without it.

    Parameters
    ----------
    model : StepwiseModel
        A language model, or a translator bound to its sources.
    prompt : (B, T) integer array or sequence of B sequences of ids
        Rows may differ in length, but none may be empty. For a translator, ``[[bos_id]] * B``.
    max_new_tokens : int or (B,) integers
        The limit, for all rows or for each.
    sampling : SamplingConfig, optional
    rng : numpy.random.Generator, optional
        Each row draws from a generator of its own, spawned from this one, so that what is drawn
        for row i depends on i and not on the other rows. Greedy decoding draws nothing.
    stop_ids : collection of int
        Tokens that end a row, such as ``{eos_id}``.

    Returns
    -------
    list of B lists of int
        The new tokens of each row, without the prompt and the stop id: a row is shorter than its
        limit exactly when a stop id has ended it.

    Raises
    ------
    TypeError
        If ids or limits are not integers, or ``rng`` is not a generator.
    ValueError
        If a prompt is empty, a limit is negative, a stop id is not in the vocabulary, or the
        model's logits are not finite.

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, generate
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> written = generate(model, [[1, 2, 3], [4]], max_new_tokens=7)
    >>> [len(row) for row in written]
    [7, 7]
    """
    padded, lengths = _padded(prompt)
    limits = _limits(max_new_tokens, len(lengths))
    stops = _stops(stop_ids)
    new: list[list[int]] = [[] for _ in lengths]
    if not limits.any():
        return new
    choose = _Chooser(sampling, rng, padded, lengths)
    rows = np.arange(len(lengths))  # those still being written
    with no_grad():
        # The last token of a row is written, but never fed.
        logits, state = model.start(padded, lengths, int((lengths + limits).max()) - 1)
        outside = stops.difference(range(logits.shape[1]))
        if outside:
            raise ValueError(
                f"generate: stop id {min(outside)} lies outside the vocabulary of "
                f"{logits.shape[1]} tokens"
            )
        while True:
            tokens = choose(logits, rows)
            going = np.zeros(len(rows), bool)
            for i, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
                if token not in stops and len(new[row]) < limits[row]:
                    new[row].append(token)
                    going[i] = len(new[row]) < limits[row]
            if not going.any():
                return new
            if not going.all():
                rows, tokens = rows[going], tokens[going]
                state = model.select(state, np.flatnonzero(going))
            logits, state = model.step(state, tokens)


class _Chooser:
    """Picks the next token of rows, and remembers what each row needs for that."""

    def __init__(
        self,
        sampling: SamplingConfig | None,
        rng: np.random.Generator | None,
        prompt: Ids,
        lengths: Ids,
    ) -> None:
        self.sampling = sampling
        if sampling is not None:
            self.generators = init.generator(rng).spawn(len(prompt))
        self.prompt = prompt
        self.real = padding_mask(lengths, prompt.shape[1])
        self.seen: NDArray[np.bool_] | None = None

    def __call__(self, logits: Logits, rows: Ids) -> Ids:
        if not np.isfinite(logits.max(axis=1)).all():
            raise ValueError(
                "generate: the model's logits are NaN, infinite or all -inf; has its training "
                "diverged?"
            )
        if self.sampling is None:
            return np.asarray(logits.argmax(axis=1))
        if self.sampling.repetition_penalty == 1:
            p = token_probabilities(logits, self.sampling)
        else:
            if self.seen is None:
                self.seen = np.zeros(logits.shape, bool)
                self.seen[np.nonzero(self.real)[0], self.prompt[self.real]] = True
            p = token_probabilities(logits, self.sampling, self.seen[rows])
        uniforms = np.array([self.generators[row].random() for row in rows])
        tokens = draw(p, uniforms)
        if self.seen is not None:
            self.seen[rows, tokens] = True
        return tokens


def _integers(name: str, values: Any) -> NDArray[np.intp]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"generate: expected {name} to be integers, got {array.dtype}")
    return array.astype(np.intp)


def _padded(prompt: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows side by side, zeros behind the shorter ones, and their lengths."""
    rows = [_integers("prompt", row) for row in prompt]
    if any(row.ndim != 1 for row in rows):
        raise ValueError(
            "generate: expected the prompt to be rows of ids, (B, T); for a single row write [ids]"
        )
    lengths = np.array([len(row) for row in rows], np.intp)
    if not lengths.all():
        raise ValueError(
            f"generate: the prompt of row {lengths.argmin()} is empty; begin with at least one "
            "token, such as bos_id"
        )
    padded = np.zeros((len(rows), lengths.max(initial=0)), np.intp)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded, lengths


def _limits(max_new_tokens: Any, batch: int) -> NDArray[np.intp]:
    limits = _integers("max_new_tokens", max_new_tokens)
    if limits.shape not in ((), (batch,)):
        raise ValueError(
            f"generate: expected max_new_tokens to be one number or of shape (B={batch},), "
            f"got shape {limits.shape}"
        )
    if limits.min(initial=0) < 0:
        raise ValueError(f"generate: expected max_new_tokens >= 0, got {limits.min()}")
    return np.broadcast_to(limits, batch)


def _stops(stop_ids: Any) -> frozenset[int]:
    if np.ndim(stop_ids) == 0 and not isinstance(stop_ids, Collection):
        raise TypeError(
            f"generate: expected stop_ids to be a collection, got {stop_ids!r}; "
            f"write stop_ids=[{stop_ids!r}]"
        )
    return frozenset(_integers("stop_ids", list(stop_ids)).tolist())
