"""``foundation evaluate``: how good a model is on data of one's own."""

from __future__ import annotations

import argparse
import json
import math

import numpy as np
from foundation_data import read_pairs
from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._pretrained import load_any
from foundation_transformer.cli._task import read_text
from foundation_transformer.cli._translate import translator_of
from foundation_transformer.evaluation import score_language_model, score_translations
from foundation_transformer.recipes import consecutive_windows


def evaluate(options: argparse.Namespace) -> None:
    """Print the scores, for people or as JSON.

    Raises
    ------
    OSError, ValueError
        If there is no model or no data, or they do not go together.
    """
    loaded = load_any(options.folder)
    if isinstance(loaded.model, Transformer):
        scores = _translation(loaded, options)
    elif isinstance(loaded.model, CausalLM):
        scores = _language_model(loaded, options)
    else:
        raise ValueError(f"{options.folder}: cannot evaluate a {type(loaded.model).__name__}")
    if options.json:
        print(json.dumps(scores))
    else:
        for name, value in scores.items():
            print(f"{name:16} {f'{value:,.4g}' if isinstance(value, float) else value}")


def _translation(loaded: checkpoint.Checkpoint, options: argparse.Namespace) -> dict[str, object]:
    model, *tokenizers = translator_of(options.folder, loaded)
    pairs = read_pairs(options.data)
    sources, references = [s for s, _ in pairs], [t for _, t in pairs]
    written = translate(model, sources, *tokenizers, beam_size=options.beam_size)
    scores = score_translations(written, references)
    return {
        "sentences": len(pairs),
        "BLEU": scores.bleu,
        "chrF": scores.chrf,
        "exact match": scores.exact,
        "BLEU signature": scores.signature,
    }


def _language_model(
    loaded: checkpoint.Checkpoint, options: argparse.Namespace
) -> dict[str, object]:
    tokenizer = loaded.extras.get("tokenizer")
    if tokenizer is None:
        raise ValueError(f"{options.folder}: holds a language model without its tokenizer")
    text = read_text(options.data)
    ids = np.array(tokenizer.encode(text))
    length = min(loaded.model.config.max_len, len(ids) - 1)
    scores = score_language_model(loaded.model, consecutive_windows(ids, max(1, length), 64))
    # The bytes of what was predicted: of all tokens but the first and those left over at the end.
    predicted = tokenizer.decode(ids[1 : scores.num_tokens + 1])
    num_bytes = len(predicted.encode("utf-8", "replace"))
    return {
        "tokens": scores.num_tokens,
        "loss": scores.loss,
        "perplexity": scores.perplexity,
        "accuracy": scores.accuracy,
        "bits per byte": scores.loss * scores.num_tokens / math.log(2) / max(1, num_bytes),
    }
