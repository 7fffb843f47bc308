"""What a model must be able to do so that text can be generated with it, token by token."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Token ids.
Ids: TypeAlias = NDArray[np.integer[Any]]
#: Unnormalised log-probabilities of the next token, (B, V).
Logits: TypeAlias = NDArray[np.floating[Any]]

#: Whatever the model remembers of the text so far, row by row; nobody else looks into it.
State = TypeVar("State")


class StepwiseModel(Protocol[State]):
    """Reads prompts at once, then one token per row and step.

    :func:`generate`, :func:`stream_tokens` and :func:`beam_search` drive a model through these
    three methods alone, within ``no_grad()``: ``start`` once, then ``step`` and ``select`` in any
    order.

    All that belongs to a row lies in the state, and the state of before is used up by each call:
    a model may return new arrays (a recurrent network) or write into the old ones and return
    them (a transformer with a preallocated cache of keys and values). The model itself holds
    nothing, so that two generations may run side by side.

    A model that writes *about* something, such as a translator, is bound to it first: it offers a
    method that encodes the sources and returns an object with these three methods, whose prompts
    are a column of ``bos_id``. What is computed once per source (encoder outputs, the keys and
    values of cross-attention) is put into the state by ``start`` and follows its row through
    ``select``.
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
            The most tokens any row will have been fed in the end, its prompt included: enough to
            reserve memory once, and to refuse what is longer than the model can read.

        Returns
        -------
        logits : (B, V) float array
            For the token after the last real one of each row.
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
        rows : (B',) integer array
            Each from 0 to B - 1.
        """
        ...
