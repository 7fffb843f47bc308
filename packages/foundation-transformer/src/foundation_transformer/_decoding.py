"""How translations are written: where they begin and end, and how they are searched for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from foundation_seq import Hypothesis, beam_search, generate

from foundation_transformer._build import IntArray
from foundation_transformer._transformer import Transformer
from foundation_transformer._translator import Translator


class Written(NamedTuple):
    """What was written for one source.

    Attributes
    ----------
    ids : list of int
        Without the start and the end.
    stopped : bool
        Whether it has an end, rather than being as long as it may be.
    """

    ids: list[int]
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How a translator writes.

    Attributes
    ----------
    start_id : int or None
        The token that a translation begins with; None: ``bos_id`` of the target's tokenizer.
    stop_ids : tuple of int or None
        Those that end one; None: ``eos_id`` of the target's tokenizer.
    max_new_tokens : int or None
        The longest translation, its end included; None: twice the source and ten more.
    beam_size : int
        1 takes the likeliest token each time, more is :func:`foundation_seq.beam_search`.
    length_penalty, penalty, patience
        Of the beam search.
    forbidden_ids : tuple of int
        Tokens that are never written.
    renormalize : bool
        Whether the probability of forbidden tokens is shared out among the others.
    forced_stop_id : int or None
        The end of a translation that is as long as it may be.
    prefix : str
        What is put before each source, such as T5's "translate English to French: ".
    ignored : tuple of str
        What a folder says about writing and is not obeyed, such as "no_repeat_ngram_size=3".

    Examples
    --------
    The beam with which the paper of 2017 translates:

    >>> Decoding(beam_size=4).length_penalty
    0.6
    """

    start_id: int | None = None
    stop_ids: tuple[int, ...] | None = None
    max_new_tokens: int | None = None
    beam_size: int = 1
    length_penalty: float = 0.6
    penalty: str = "wu"
    patience: str = "exact"
    forbidden_ids: tuple[int, ...] = ()
    renormalize: bool = True
    forced_stop_id: int | None = None
    prefix: str = ""
    ignored: tuple[str, ...] = field(default=(), compare=False)

    def write(
        self, model: Transformer, source: Any, mask: Any, start: int, limits: IntArray
    ) -> list[Written]:
        """The best translation of each row of a batch, as far as its limit.

        Parameters
        ----------
        model : Transformer
        source : (B, S) integer array
        mask : (B, S) bool array
        start : int
            What each translation begins with.
        limits : (B,) integer array
        """
        if self.beam_size != 1:
            found = self.search(model, source, mask, start, limits)
            return [Written(best.tokens, best.stopped) for best, *_ in found]
        forced = self.forced_stop_id is not None
        longest = np.maximum(limits - 1, 0) if forced else limits  # the last one is the end
        translator = Translator(model, source, mask, self.forbidden_ids)
        rows = generate(translator, [[start]] * len(source), longest, stop_ids=self._stops)
        pairs = zip(rows, longest.tolist(), strict=True)
        return [Written(ids, forced or len(ids) < limit) for ids, limit in pairs]

    def search(
        self, model: Transformer, source: Any, mask: Any, start: int, limits: IntArray
    ) -> list[list[Hypothesis]]:
        """All that a beam search finds, the best first; arguments as for :meth:`write`."""
        forbidden: Collection[int] = self.forbidden_ids
        hidden, kept = (forbidden, ()) if self.renormalize else ((), forbidden)
        return beam_search(
            Translator(model, source, mask, hidden),
            [[start]] * len(source),
            limits,
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            stop_ids=self._stops,
            penalty=self.penalty,
            patience=self.patience,
            forbidden_ids=kept,
            forced_stop_id=self.forced_stop_id,
        )

    @property
    def _stops(self) -> tuple[int, ...]:
        return () if self.stop_ids is None else self.stop_ids
