"""Reading several guessed tokens at once, instead of one token after the other.

A step of a large model takes about as long for eight tokens as for one: most of its time goes into
fetching the weights from memory. So somebody guesses the next few tokens, which costs nearly
nothing, and the model reads all of them in one call. That call gives its logits after each of them.
From these the tokens are chosen as always, one after the other; a guess only tells whether the
logits for the next token are there already. They are as long as the token that was chosen is the
one that was guessed. At the first that is not, what the model has read beyond it is taken back.

So drafts decide how fast a text is written, and never which text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from foundation_nn import no_grad
from numpy.typing import NDArray

from foundation_seq.generation._choose import TokenChooser
from foundation_seq.generation._endings import Endings
from foundation_seq.generation._request import Request
from foundation_seq.generation._stepwise import Ids, Logits, State, StepwiseModel

#: Guesses how a text goes on: from all its ids so far, (n,), to any number of further ids.
Draft: TypeAlias = Callable[[Ids], Sequence[int] | Ids]


class DraftReader(StepwiseModel[State], Protocol[State]):
    """A step-wise model that reads several tokens at once, and can take some of them back.

    :func:`generate` and :func:`stream_tokens` ask for these two methods beside those of
    :class:`StepwiseModel` when they are given a ``draft``. As there, a state is used up by the call
    it is given to.

    A ``CausalLM`` has both: to take tokens back, it shortens its caches. Recurrent networks have
    neither. Each token overwrites their state, and what it was before is not kept.

    Examples
    --------
    A model that always foretells the token one higher, and remembers all tokens of its row:

    >>> import numpy as np
    >>> class Counting:
    ...     def start(self, prompt, lengths, capacity):
    ...         return self.logits(prompt[:, -1]), prompt
    ...     def step(self, state, tokens):
    ...         return self.logits(tokens), np.column_stack([state, tokens])
    ...     def select(self, state, rows):
    ...         return state[rows]
    ...     def read_ahead(self, state, tokens):
    ...         return self.logits(tokens), np.concatenate([state, tokens], axis=1)
    ...     def take_back(self, state, count):
    ...         return state[:, : state.shape[1] - count]
    ...     def logits(self, latest):
    ...         return np.eye(12)[latest + 1]
    >>> from foundation_seq import generate
    >>> generate(Counting(), [[1, 2]], max_new_tokens=5, draft=lambda ids: [4, 5, 9])
    [[3, 4, 5, 6, 7]]
    """

    def read_ahead(self, state: State, tokens: Ids) -> tuple[NDArray[np.floating[Any]], State]:
        """Append several tokens to each row.

        Parameters
        ----------
        state
        tokens : (B, n) integer array

        Returns
        -------
        logits : (B, n, V) float array
            After each of the tokens.
        state
        """
        ...

    def take_back(self, state: State, count: int) -> State:
        """The state as it was before the last ``count`` tokens of each row were read.

        Parameters
        ----------
        state
        count : int
            At most as many as the latest ``read_ahead`` has appended.
        """
        ...


@dataclass(frozen=True)
class PromptLookup:
    """Guesses that the text goes on as it did the last time it read like this [1]_, [2]_.

    The last few tokens are searched in the text before them, and what followed them there the last
    time is the guess. That is often right where a text quotes itself: code that is edited,
    summaries, answers with citations. A guess that reaches the end of the text goes on with its own
    beginning.

    Parameters
    ----------
    max_tokens : int
        How many tokens to guess.
    match : int
        How many last tokens must have stood together before. With fewer there are more guesses,
        and more of them are wrong; a wrong one costs the time of two or three steps.

    Raises
    ------
    ValueError
        If a number is less than one.

    References
    ----------
    .. [1] A. Saxena, "Prompt Lookup Decoding", 2023.
    .. [2] Y. Leviathan, M. Kalman and Y. Matias, "Fast Inference from Transformers via Speculative
       Decoding", ICML 2023, arXiv:2211.17192.

    Examples
    --------
    >>> guess = PromptLookup(max_tokens=4, match=2)
    >>> guess(np.array([7, 1, 2, 3, 8, 9, 1, 2])).tolist()
    [3, 8, 9, 1]
    >>> guess(np.array([5, 6, 5, 6])).tolist()
    [5, 6, 5, 6]
    >>> guess(np.array([1, 2, 3])).tolist()
    []
    """

    max_tokens: int = 16
    match: int = 3

    def __post_init__(self) -> None:
        for name in ("max_tokens", "match"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"PromptLookup: expected {name} to be 1 or more, got {value!r}")

    def __call__(self, ids: Ids) -> Ids:
        """The guess for a text (n,)."""
        num_places = len(ids) - self.match  # where the last tokens may stand earlier
        if num_places < 1:
            return ids[:0]
        found = np.ones(num_places, bool)
        for i, token in enumerate(ids[-self.match :]):
            found &= ids[i : i + num_places] == token
        places = np.flatnonzero(found)
        if not len(places):
            return ids[:0]
        followed = ids[places[-1] + self.match :]
        return followed[np.arange(self.max_tokens) % len(followed)]


def require_reader(model: StepwiseModel[Any], draft: Any) -> DraftReader[Any]:
    """The model, if it can read several tokens at once.

    Raises
    ------
    TypeError
        If it cannot, or ``draft`` cannot be called.
    """
    if not callable(draft):
        raise TypeError(f"draft: expected a function such as PromptLookup(), got {draft!r}")
    for method in ("read_ahead", "take_back"):
        if not hasattr(model, method):
            raise TypeError(
                f"draft: a {type(model).__name__} has no method {method}(), see "
                "foundation_seq.DraftReader; write without draft="
            )
    return cast(DraftReader[Any], model)


def write_with_drafts(
    model: DraftReader[Any], request: Request, choose: TokenChooser, endings: Endings, draft: Draft
) -> Iterator[tuple[Ids, Ids, Logits]]:
    """Write the rows of a request one after the other.

    Their guesses are right for different lengths, so that they would not stay side by side.

    Yields for each token the number of its row (1,), the token (1,), and the logits (1, V) from
    which it was chosen.
    """
    for row in range(len(request.limits)):
        if request.limits[row]:
            yield from _write_row(model, request, row, choose, endings, draft)


def _write_row(
    model: DraftReader[Any],
    request: Request,
    row: int,
    choose: TokenChooser,
    endings: Endings,
    draft: Draft,
) -> Iterator[tuple[Ids, Ids, Logits]]:
    rows = np.array([row])
    length = int(request.lengths[row])
    end = length + int(request.limits[row])
    text = np.zeros(end, np.intp)
    text[:length] = request.ids[row, :length]
    alone = Request(text[None, :length], end - length, request.stop_ids)
    logits, state = alone.start(model)  # (1, V)
    guess: Ids = text[:0]
    while True:
        # Row i of the logits is for the token after the text and i tokens of the guess.
        for i in range(len(logits)):
            tokens = choose(logits[i : i + 1], rows)
            if int(tokens[0]) in request.stop_ids:
                return
            yield rows, tokens, logits[i : i + 1]
            text[length] = tokens[0]
            length += 1
            if length == end or endings.reached(rows, tokens)[0]:
                return
            if i < len(guess) and tokens[0] != guess[i]:
                break
        num_wrong = len(logits) - 1 - i
        # The model never reads the last token, so it need not guess that one.
        guess = np.asarray(draft(text[:length]), np.intp)[: end - length - 1]
        # Not around the yield: there it would hold for the code that asks for the tokens.
        with no_grad():
            if num_wrong:
                state = model.take_back(state, num_wrong)
            unread = np.append(text[length - 1 : length], guess)  # the latest token, and the guess
            several, state = model.read_ahead(state, unread[None])
        logits = several[0]  # (1 + guessed, V)
