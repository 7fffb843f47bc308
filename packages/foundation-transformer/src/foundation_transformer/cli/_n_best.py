"""Several translations of each sentence, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foundation_seq import beam_search

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import default_limits, encode_sources, pad
from foundation_transformer._translator import Translator


def n_best(
    model: Transformer,
    sentences: Sequence[str],
    source_tokenizer: Any,
    target_tokenizer: Any,
    beam_size: int,
    length_penalty: float,
) -> list[list[tuple[str, float]]]:
    """All hypotheses of a beam search, the best first, with the score they are ranked by.

    Raises
    ------
    ValueError
        If a sentence is longer than the model's positions.
    """
    sources = encode_sources(model, sentences, source_tokenizer)
    specials = target_tokenizer.vocabulary.specials
    found = beam_search(
        Translator(model, *pad(sources)),
        [[specials.bos_id]] * len(sources),
        default_limits(model, sources),
        beam_size=beam_size,
        length_penalty=length_penalty,
        stop_ids={specials.eos_id},
    )
    return [[(target_tokenizer.decode(h.tokens), h.score) for h in each] for each in found]
