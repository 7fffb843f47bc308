"""``foundation generate``: a language model goes on with a text."""

from __future__ import annotations

import argparse

import numpy as np
from foundation_seq import SamplingConfig, stream_text, stream_tokens

from foundation_transformer.cli._pretrained import language_model
from foundation_transformer.cli._streams import read_standard_input


def generate_text(options: argparse.Namespace) -> None:
    """Print the prompt's continuation as it is written.

    Raises
    ------
    OSError, ValueError
        If there is no language model, or the prompt is too long or empty.
    """
    model, tokenizer = language_model(options.folder)
    prompt = read_standard_input() if options.prompt == "-" else options.prompt
    ids = tokenizer.encode(prompt)
    if not ids:
        raise ValueError("there is nothing to continue; give a prompt")
    room = model.config.max_len - len(ids)
    if room < 1:
        raise ValueError(
            f"the prompt has {len(ids)} tokens, the model reads {model.config.max_len}; shorten it"
        )
    sampling = (
        SamplingConfig(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)
        if options.temperature
        else None
    )
    rng = np.random.default_rng(options.seed)
    specials = tokenizer.vocabulary.specials
    tokens = stream_tokens(
        model,
        [ids],
        min(room, options.tokens),
        sampling,
        rng,
        stop_ids={specials.eos_id},
    )
    print(prompt, end="")
    for piece in stream_text(tokens, tokenizer.decode):
        print(piece, end="", flush=True)
    print()
