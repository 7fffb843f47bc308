"""Several translations of each sentence, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from foundation_seq import beam_search

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import pad
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
    sources = [source_tokenizer.encode(sentence, add_eos=True) for sentence in sentences]
    longest = model.config.max_len
    for sentence, ids in zip(sentences, sources, strict=True):
        if len(ids) > longest:
            raise ValueError(
                f"{sentence[:60]!r} has {len(ids)} tokens, the model reads {longest}; split it"
            )
    specials = target_tokenizer.vocabulary.specials
    limits = np.minimum(2 * np.array([len(ids) for ids in sources]) + 10, longest)
    found = beam_search(
        Translator(model, *pad(sources)),
        [[specials.bos_id]] * len(sources),
        limits,
        beam_size=beam_size,
        length_penalty=length_penalty,
        stop_ids={specials.eos_id},
    )
    return [[(target_tokenizer.decode(h.tokens), h.score) for h in each] for each in found]
