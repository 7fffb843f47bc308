"""``foundation generate``: a language model goes on with texts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from foundation_nn.files import read_text
from foundation_seq import Draft, NewToken, SamplingConfig, stream_text, stream_tokens

from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer.cli._pretrained import Writer, language_model
from foundation_transformer.cli._sampling import draft_of, sampling_of, tell_sampling
from foundation_transformer.cli._streams import read_standard_input


def generate_text(options: argparse.Namespace) -> None:
    """Print each prompt and its continuation as it is written.

    Raises
    ------
    OSError, ValueError
        If there is no language model, a prompt is empty or cannot be read, or a flag would do
        nothing.
    """
    sampling_of(options)  # what is wrong with the flags is said before the model is loaded
    writer = language_model(options.folder, base=options.base)
    tokenizer = writer.tokenizer
    sampling = sampling_of(options, writer.generation)
    if sampling is None and options.samples > 1:
        raise ValueError("--samples: where the likeliest token is taken, all would be the same")
    tell_sampling(options, writer.generation)
    prompts = [tokenizer.encode(prompt) for prompt in _prompts(options)]
    if not all(prompts):
        raise ValueError("there is nothing to continue; give a prompt")
    rng = np.random.default_rng(options.seed)
    several = len(prompts) * options.samples > 1
    for number, ids in enumerate(prompts, 1):
        for sample in range(1, options.samples + 1):
            if several:
                print(f"--- prompt {number}, sample {sample}")
            count = options.max_new_tokens
            written = continuation(writer, ids, count, sampling, rng, draft_of(options))
            # Prompt and continuation are decoded together: whether a space stands between two
            # words is known to the tokenizer alone.
            prompt = (NewToken(0, token, 0.0) for token in ids)
            for piece in stream_text(chain(prompt, written), tokenizer.decode):
                print(piece, end="", flush=True)
            print()


def continuation(
    writer: Writer,
    ids: list[int],
    count: int,
    sampling: SamplingConfig | None,
    rng: np.random.Generator,
    draft: Draft | None = None,
) -> Iterator[NewToken]:
    """Up to ``count`` new tokens, also beyond what the model can read at once.

    The model reads what its tokenizer puts before every text, and then the text. When its positions
    are used up, it reads the later half of the text again, after the same beginning, and goes on.
    """
    text = list(ids)
    before = writer.tokenizer.frame.before
    model = KnownTokens(writer.model, len(writer.tokenizer))
    limit = writer.model.config.max_len - len(before)
    while count > 0:
        window = text if len(text) < limit else text[-max(1, limit // 2) :]
        room = min(count, limit - len(window))
        written = 0
        for token in stream_tokens(
            model, [before + window], room, sampling, rng, stop_ids=writer.stop_ids, draft=draft
        ):
            text.append(token.id)
            written += 1
            yield token
        if written < room or not room:  # it has ended, or has no room for a single token
            return
        count -= written


def _prompts(options: argparse.Namespace) -> list[Any]:
    """From the files, and those that are typed; standard input if there are neither."""
    limit = options.max_bytes
    texts = [read_text(file, limit, "--max-bytes") for file in options.file or []]
    typed = options.prompts if options.prompts or texts else ["-"]
    return texts + [read_standard_input(limit) if text == "-" else text for text in typed]
