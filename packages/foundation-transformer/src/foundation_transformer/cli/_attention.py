"""``foundation attention``: where a model looks, as a page for the browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import LayerMap, save_page
from foundation_nn import checkpoint, no_grad

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._folder import kind_of
from foundation_transformer.cli._labels import labels
from foundation_transformer.cli._pretrained import load_any
from foundation_transformer.cli._run_file import is_run
from foundation_transformer.cli._translate import translator_of, written_ids


def attention(options: argparse.Namespace) -> None:
    """Write the weights of all heads on one sentence.

    Raises
    ------
    OSError, ValueError
        If there is no model, or the sentence is too long for it.
    """
    # Beside the report of the run, if it is the model of one.
    folder = options.folder if is_run(options.folder) else Path()
    out = options.out or folder / "attention.html"
    write_attention(options.folder, options.sentence, out, options.base)
    print(out)


def write_attention(folder: Path, sentence: str, out: Path, base: Path | None = None) -> None:
    """Write the page of one sentence, as the model in a folder reads it."""
    loaded = load_any(folder, base)
    if isinstance(loaded.model, Transformer):
        layers, title = _of_translation(loaded, folder, sentence)
    elif isinstance(loaded.model, CausalLM | TextEncoder) and "tokenizer" in loaded.extras:
        layers, title = _of_text(loaded, sentence), sentence
    else:
        raise ValueError(
            f"{folder}: holds {kind_of(loaded.model)}, without a tokenizer to show it by"
        )
    save_page(layers, out, title)


def _of_translation(
    loaded: checkpoint.Checkpoint, folder: Path, sentence: str
) -> tuple[list[LayerMap], str]:
    translator = translator_of(folder, loaded)
    read, write = translator.source_tokenizer, translator.target_tokenizer
    _require_tokens(read, sentence)
    source, target = written_ids(translator, sentence)
    with no_grad(), capture_attention(translator.model) as maps:
        translator.model(np.array([source]), np.array([target[:-1] or target]))
    source_tokens = labels(read, source)
    target_tokens = labels(write, target)
    length = maps[-1].weights.shape[-2]
    # A row of the decoder reads a token and writes the next one. Where it looks in the source is
    # told of what it writes; where it looks in the text so far, of what it reads.
    read_so_far = target_tokens[:length]
    written_next = target_tokens[1 : length + 1] if len(target) > 1 else read_so_far
    layers = []
    for m in maps:
        if m.kind == "cross":
            queries, keys = written_next, source_tokens
        elif m.name.startswith("encoder"):
            queries, keys = source_tokens, source_tokens
        else:
            queries, keys = read_so_far, read_so_far
        layers.append(LayerMap(m.title, m.weights[0], queries, keys, m.kind))
    return layers, f"{sentence} → {write.decode(target)}"


def _of_text(loaded: checkpoint.Checkpoint, sentence: str) -> list[LayerMap]:
    tokenizer = loaded.extras["tokenizer"]
    _require_tokens(tokenizer, sentence)
    if isinstance(loaded.model, TextEncoder):
        ids = tokenizer.encode(sentence, framed=True)
    else:  # a language model reads what stands before a text, and goes on with it
        ids = tokenizer.frame.before + tokenizer.encode(sentence)
    with no_grad(), capture_attention(loaded.model) as maps:
        loaded.model(np.array([ids]))
    tokens = labels(tokenizer, ids)
    return [LayerMap(m.title, m.weights[0], tokens, tokens, m.kind) for m in maps]


def _require_tokens(tokenizer: Any, sentence: str) -> None:
    if not tokenizer.encode(sentence):
        raise ValueError("there is nothing to look at; give a sentence")
