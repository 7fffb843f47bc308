"""What a model must be able to do so that text can be generated with it, token by token."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Token ids.
Ids: TypeAlias = NDArray[np.integer[Any]]
#: Unnormalised log-probabilities of the next token, (B, V).
Logits: TypeAlias = NDArray[np.floating[Any]]

#: Whatever the model remembers of the text so far, row by row. Only the model looks into it.
State = TypeVar("State")


class StepwiseModel(Protocol[State]):
    """Reads prompts at once, then one token per row and step.

    :func:`generate`, :func:`stream_tokens` and :func:`beam_search` call these three methods alone,
    within ``no_grad()``: ``start`` once, then ``step`` and ``select`` in any order.

    **A state is used up by the call it is given to.** ``step`` and ``select`` may write into the
    state and return the same object (a transformer whose keys and values lie in preallocated
    arrays), or leave it alone and return a new one (a recurrent network). So go on with the state
    that was returned, and never use the former one again. To follow two continuations of one
    text, repeat its row with ``select``, or call ``start`` twice.

    Everything that belongs to a row lies in the state. The model itself holds nothing of it, so
    that two generations may run side by side.

    A model that writes *about* something, such as a translator, is bound to it first: it offers a
    method that encodes the sources and returns an object with these three methods, whose prompts
    are a column of ``bos_id``. What is computed once per source (encoder outputs, the keys and
    values of cross-attention) is put into the state by ``start`` and follows its row through
    ``select``.

    Examples
    --------
    A model that always foretells the token one higher, and remembers the latest token of each row:

    >>> import numpy as np
    >>> class Counting:
    ...     def start(self, prompt, lengths, capacity):
    ...         latest = prompt[np.arange(len(prompt)), lengths - 1]
    ...         return self.logits(latest), latest
    ...     def step(self, state, tokens):
    ...         return self.logits(tokens), tokens
    ...     def select(self, state, rows):
    ...         return state[rows]
    ...     def logits(self, latest):
    ...         return np.eye(10)[latest + 1]
    >>> from foundation_seq import generate
    >>> generate(Counting(), [[1, 2], [5]], max_new_tokens=3)
    [[3, 4, 5], [6, 7, 8]]
    """

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[Logits, State]:
        """Read the prompts.

        Parameters
        ----------
        prompt : (B, T) integer array
            Padded at the end with any ids of the vocabulary, which must have no influence.
        lengths : (B,) integer array
            From 1 to T: how much of each row is real.
        capacity : int
            How many tokens the longest row will have read in the end, its prompt included. With it
            a model can reserve memory once, and refuse what is longer than it can read.

        Returns
        -------
        logits : (B, V) float array
            For the token after the last real one of each row. -inf forbids a token; NaN, +inf and
            a row of nothing but -inf are refused by those who choose.
        state

        Raises
        ------
        ValueError
            If an id lies outside the vocabulary, or a row outgrows what the model can read.
        """
        ...

    def step(self, state: State, tokens: Ids) -> tuple[Logits, State]:
        """Append one token to each row.

        Parameters
        ----------
        state
            As the call before returned it; it may be written into, and must not be used again.
        tokens : (B,) integer array

        Returns
        -------
        logits : (B, V) float array
            For the token after it.
        state
        """
        ...

    def select(self, state: State, rows: Ids) -> State:
        """The state in which row i is the former row ``rows[i]``.

        Rows may be left out (finished), repeated (one beam becomes several) and moved (beams
        change places); their number may shrink and grow.

        Parameters
        ----------
        state
            As the call before returned it; it may be written into, and must not be used again.
        rows : (B',) integer array
            Each from 0 to B - 1.
        """
        ...
