"""Writing text with any step-wise model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import init, no_grad, padding_mask
from numpy.typing import NDArray

from foundation_seq._request import Decode, Request, require_finite, require_stop_strings
from foundation_seq._sampling import SamplingConfig, draw, log_probabilities, token_probabilities
from foundation_seq._stepwise import Ids, Logits, StepwiseModel


class NewToken(NamedTuple):
    """One token that was written.

    Attributes
    ----------
    row : int
        Whose.
    id : int
    log_prob : float
        What the model thinks of it: log softmax(logits), before penalties, temperature and
        filters.
    """

    row: int
    id: int
    log_prob: float


def generate(
    model: StepwiseModel[Any],
    prompt: Sequence[Sequence[int]] | Ids,
    max_new_tokens: int | Sequence[int] | Ids,
    sampling: SamplingConfig | None = None,
    rng: np.random.Generator | None = None,
    *,
    stop_ids: Collection[int] = (),
    stop_strings: Sequence[str] = (),
    decode: Decode | None = None,
) -> list[list[int]]:
    """Continue each row of the prompt, one token at a time.

    Without ``sampling`` the likeliest token is taken each time (greedy decoding). A row is done
    when it has written a stop id, a stop string or as many tokens as it may; the others go on
    without it.

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
        Tokens that end a row, such as ``{eos_id}``. They are left out of the result.
    stop_strings : sequence of str
        A row ends with the token that completes one of them in its new text. That token may hold
        more than the string's end, so it is kept: the text is cut by
        ``text.partition(stop_string)[0]``, or by :func:`stream_text`.
    decode : callable, optional
        From a list of ids to their text; needed for ``stop_strings``.

    Returns
    -------
    list of B lists of int
        The new tokens of each row, without the prompt and the stop id.

    Raises
    ------
    TypeError
        If ids or limits are not integers, ``rng`` is not a generator, or stop strings come
        without ``decode``.
    ValueError
        If a prompt is empty, a limit is negative, an id is not in the vocabulary, or the
        model's logits are not finite.

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, generate
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> written = generate(model, [[1, 2, 3], [4]], max_new_tokens=7)
    >>> [len(row) for row in written]
    [7, 7]
    """
    request = Request(prompt, max_new_tokens, stop_ids)
    choose = _Chooser(request, sampling, rng)
    new: list[list[int]] = [[] for _ in request.lengths]
    for rows, tokens, _ in _steps(model, request, choose, _Ending(stop_strings, decode)):
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            new[row].append(token)
    return new


def stream_tokens(
    model: StepwiseModel[Any],
    prompt: Sequence[Sequence[int]] | Ids,
    max_new_tokens: int | Sequence[int] | Ids,
    sampling: SamplingConfig | None = None,
    rng: np.random.Generator | None = None,
    *,
    stop_ids: Collection[int] = (),
    stop_strings: Sequence[str] = (),
    decode: Decode | None = None,
) -> Iterator[NewToken]:
    """The tokens of :func:`generate` one by one, as soon as each is chosen.

    Nothing is computed ahead: who stops asking stops the model. Arguments and errors are those of
    :func:`generate`.

    Yields
    ------
    NewToken
        Step by step, and within a step by row.

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, stream_tokens
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> [token.row for token in stream_tokens(model, [[1, 2, 3], [4]], [1, 3])]
    [0, 1, 1, 1]
    """
    request = Request(prompt, max_new_tokens, stop_ids)
    choose = _Chooser(request, sampling, rng)
    steps = _steps(model, request, choose, _Ending(stop_strings, decode))

    def tokens_of(rows: Ids, tokens: Ids, logits: Logits) -> Iterator[NewToken]:
        log_p = log_probabilities(logits)[np.arange(len(rows)), tokens]
        return map(NewToken, rows.tolist(), tokens.tolist(), log_p.tolist())

    return (token for step in steps for token in tokens_of(*step))


def _steps(
    model: StepwiseModel[Any], request: Request, choose: _Chooser, ending: _Ending
) -> Iterator[tuple[Ids, Ids, Logits]]:
    """Step by step the rows that were continued, their new tokens, and the logits of these."""
    limits = request.limits
    if not limits.any():
        return
    logits, state = request.start(model)
    is_stop = np.zeros(logits.shape[1], bool)
    is_stop[request.stops] = True
    count = np.zeros_like(limits)
    rows = np.arange(len(limits))  # those still being written
    while True:
        tokens = choose(logits, rows)
        new = ~is_stop[tokens] & (count[rows] < limits[rows])
        count[rows] += new
        yield rows[new], tokens[new], logits[new]
        going = new & (count[rows] < limits[rows]) & ~ending(rows, tokens)
        if not going.any():
            return
        with no_grad():  # not around the yield, where it would hold for whoever asks
            if not going.all():
                rows, tokens = rows[going], tokens[going]
                state = model.select(state, np.flatnonzero(going))
            logits, state = model.step(state, tokens)


class _Chooser:
    """Picks the next token of rows, and remembers what each row needs for that."""

    def __init__(
        self, request: Request, sampling: SamplingConfig | None, rng: np.random.Generator | None
    ) -> None:
        self.request = request
        self.sampling = sampling
        if sampling is not None:
            self.generators = init.generator(rng).spawn(len(request.lengths))
        self.seen: NDArray[np.bool_] | None = None

    def __call__(self, logits: Logits, rows: Ids) -> Ids:
        require_finite(logits)
        if self.sampling is None:
            return np.asarray(logits.argmax(axis=1))
        if self.sampling.repetition_penalty != 1 and self.seen is None:
            ids, lengths = self.request.ids, self.request.lengths
            real = padding_mask(lengths, ids.shape[1])
            self.seen = np.zeros(logits.shape, bool)
            self.seen[np.nonzero(real)[0], ids[real]] = True
        seen = None if self.seen is None else self.seen[rows]
        p = token_probabilities(logits, self.sampling, seen)
        tokens = draw(p, np.array([self.generators[row].random() for row in rows]))
        if self.seen is not None:
            self.seen[rows, tokens] = True
        return tokens


class _Ending:
    """Tells which rows have written a stop string."""

    def __init__(self, stop_strings: Sequence[str], decode: Decode | None) -> None:
        self.stop_strings = require_stop_strings(stop_strings)
        if self.stop_strings and decode is None:
            raise TypeError("stop_strings need decode=, such as the tokenizer's")
        self.decode = decode
        self.written: dict[int, list[int]] = {}

    def __call__(self, rows: Ids, tokens: Ids) -> NDArray[np.bool_]:
        ended = np.zeros(len(rows), bool)
        if self.decode is None or not self.stop_strings:
            return ended
        for i, (row, token) in enumerate(zip(rows.tolist(), tokens.tolist(), strict=True)):
            ids = self.written.setdefault(row, [])
            ids.append(token)
            text = self.decode(ids)
            ended[i] = any(stop in text for stop in self.stop_strings)
        return ended
