"""Writing text with any step-wise model, one token at a time.

A language model tells, for a text, how likely each token of its vocabulary is to come next. To
write with it, one chooses a token, appends it to the text, and asks again. The loop below,
``_write_together``, does that for several texts side by side, which are called rows:

* the model does not read the whole text again for each token: it keeps a state, and ``step`` reads
  the new token alone (``_stepwise.py``);
* a token is chosen from the logits in ``_choose.py``: the likeliest, or one that is drawn from the
  probabilities that ``_sampling.py`` computes;
* a row is finished when it has as many tokens as it may have, or has written what stops it; then it
  leaves the batch, and the others go on without it.

With guesses of what comes next the model reads several tokens at once (``_drafts.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import no_grad

from foundation_seq.generation._choose import TokenChooser
from foundation_seq.generation._drafts import Draft, require_reader, write_with_drafts
from foundation_seq.generation._endings import Endings
from foundation_seq.generation._growing_text import Decode
from foundation_seq.generation._request import Request
from foundation_seq.generation._sampling import SamplingConfig, log_probabilities
from foundation_seq.generation._stepwise import Ids, Logits, StepwiseModel


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
    draft: Draft | None = None,
) -> list[list[int]]:
    """Continue each row of the prompt, one token at a time.

    Without ``sampling`` the likeliest token is taken each time (greedy decoding). No repetition
    penalty acts then, because it is a part of the sampling; with
    ``SamplingConfig(top_k=1, repetition_penalty=1.2)`` the likeliest token after the penalty is
    taken. A row is done when it has written a stop id, a stop string or as many tokens as it may;
    the others go on without it.

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
        From a list of ids to their text; needed for ``stop_strings``. It is called with the latest
        few ids of a row alone, so how a token reads may depend on up to eight tokens before it,
        not on the whole text.
    draft : callable, optional
        Guesses how a text goes on, such as :class:`PromptLookup`. The model reads all that is
        guessed in one call, which is quicker where the guess is right. What is written stays the
        same, drawn or not, up to rounding: reading several tokens at once may change the last
        digits of a logit. Rows are written one after the other then, and the model must be a
        :class:`DraftReader`, which says which models are.

    Returns
    -------
    list of B lists of int
        The new tokens of each row, without the prompt and the stop id.

    Raises
    ------
    TypeError
        If ids or limits are not integers, ``rng`` is not a generator, stop strings come without
        ``decode``, or a draft with a model that is no :class:`DraftReader`.
    ValueError
        If a prompt is empty, a limit is negative, an id is not in the vocabulary, or a logit of
        the model is NaN or +inf, or all logits of a row are -inf (single ones may be: they forbid
        a token).

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, generate
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> written = generate(model, [[1, 2, 3], [4]], max_new_tokens=7)
    >>> [len(row) for row in written]
    [7, 7]

    The same for the first row, without a state and with nothing but the definition:

    >>> ids = [1, 2, 3]
    >>> for _ in range(7):
    ...     logits = model(np.array([ids])).data[0, -1]  # (V,): of the token after the last
    ...     ids.append(int(logits.argmax()))
    >>> ids[3:] == written[0]
    True
    """
    request = Request(prompt, max_new_tokens, stop_ids)
    choose = TokenChooser(request.ids, request.lengths, sampling, rng)
    endings = Endings(stop_strings, decode)
    new_tokens: list[list[int]] = [[] for _ in request.lengths]
    for rows, tokens, _ in _write(model, request, choose, endings, draft):
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            new_tokens[row].append(token)
    return new_tokens


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
    draft: Draft | None = None,
) -> Iterator[NewToken]:
    """The tokens of :func:`generate` one by one, as soon as each is chosen.

    Nothing is computed ahead: the model works only when the next token is asked for. Arguments and
    errors are those of :func:`generate`.

    Yields
    ------
    NewToken
        Step by step, and within a step by row; with a ``draft`` row by row.

    Examples
    --------
    >>> from foundation_seq import RecurrentLM, stream_tokens
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> [token.row for token in stream_tokens(model, [[1, 2, 3], [4]], [1, 3])]
    [0, 1, 1, 1]
    """
    request = Request(prompt, max_new_tokens, stop_ids)
    choose = TokenChooser(request.ids, request.lengths, sampling, rng)
    endings = Endings(stop_strings, decode)
    # The arguments are checked here, at once; a generator would check them at its first token.
    return _one_by_one(_write(model, request, choose, endings, draft))


def _one_by_one(steps: Iterator[tuple[Ids, Ids, Logits]]) -> Iterator[NewToken]:
    for rows, tokens, logits in steps:
        log_probs = log_probabilities(logits)[np.arange(len(rows)), tokens]
        yield from map(NewToken, rows.tolist(), tokens.tolist(), log_probs.tolist())


def _write(
    model: StepwiseModel[Any],
    request: Request,
    choose: TokenChooser,
    endings: Endings,
    draft: Draft | None,
) -> Iterator[tuple[Ids, Ids, Logits]]:
    """Write all rows of a request, side by side or, with a draft, one after the other."""
    if draft is None:
        return _write_together(model, request, choose, endings)
    return write_with_drafts(require_reader(model, draft), request, choose, endings, draft)


def _write_together(
    model: StepwiseModel[Any], request: Request, choose: TokenChooser, endings: Endings
) -> Iterator[tuple[Ids, Ids, Logits]]:
    """Write all rows of a request, a token each per step.

    Yields for each step the numbers of the rows that were continued, their new tokens, and the
    logits from which these were chosen.
    """
    limits = request.limits
    if not limits.any():
        return
    logits, state = request.start(model)
    is_stop = np.zeros(logits.shape[1], bool)
    is_stop[request.stop_ids] = True
    num_written = np.zeros_like(limits)
    # Row i of the batch, that is of logits, tokens and state, belongs to row rows[i] of the prompt.
    rows = np.arange(len(limits))
    while True:
        # Choose a token for each row. `choose` draws from the generator of the row, and remembers
        # the token for its repetition penalty.
        tokens = choose(logits, rows)
        # A stop id is not written, and nothing is where the limit is 0, which is reached at once.
        written = ~is_stop[tokens] & (num_written[rows] < limits[rows])
        num_written[rows] += written
        yield rows[written], tokens[written], logits[written]

        # `endings` remembers the text of each row, and says whether a stop string is in it now.
        ended = endings.reached(rows, tokens)
        unfinished = written & (num_written[rows] < limits[rows]) & ~ended
        if not unfinished.any():
            return
        # A generator stands still at its yield. If no_grad() were around the whole loop, it would
        # be in force there, too, for the code that asks for the tokens.
        with no_grad():
            if not unfinished.all():
                state = model.select(state, np.flatnonzero(unfinished))
                rows = rows[unfinished]
                tokens = tokens[unfinished]
            logits, state = model.step(state, tokens)
