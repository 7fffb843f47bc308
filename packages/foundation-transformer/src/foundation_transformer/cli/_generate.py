"""``foundation generate``: a language model goes on with a text."""

from __future__ import annotations

import argparse
import sys

import numpy as np
from foundation_nn import checkpoint
from foundation_seq import SamplingConfig, stream_text, stream_tokens

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer.cli._folder import find_checkpoint


def generate_text(options: argparse.Namespace) -> None:
    """Print the prompt's continuation as it is written.

    Raises
    ------
    OSError, ValueError
        If there is no language model, or the prompt is too long or empty.
    """
    loaded = checkpoint.load(find_checkpoint(options.folder))
    tokenizer = loaded.extras.get("tokenizer")
    if not isinstance(loaded.model, CausalLM) or tokenizer is None:
        raise ValueError(
            f"{options.folder}: holds a {type(loaded.model).__name__}, not a language model with "
            "its tokenizer"
        )
    prompt = sys.stdin.read() if options.prompt == "-" else options.prompt
    ids = tokenizer.encode(prompt)
    if not ids:
        raise ValueError("there is nothing to continue; give a prompt")
    room = loaded.model.config.max_len - len(ids)
    if room < 1:
        raise ValueError(
            f"the prompt has {len(ids)} tokens, the model reads {loaded.model.config.max_len}; "
            "shorten it"
        )
    sampling = (
        SamplingConfig(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)
        if options.temperature > 0
        else None
    )
    rng = np.random.default_rng(options.seed)
    specials = tokenizer.vocabulary.specials
    tokens = stream_tokens(
        loaded.model,
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
