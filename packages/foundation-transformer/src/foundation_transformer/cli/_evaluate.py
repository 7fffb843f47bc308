"""``foundation evaluate``: how good a model is on data of one's own."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from foundation_data import read_examples
from foundation_nn import checkpoint, did_you_mean
from foundation_nn.files import MAX_BYTES, read_text

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._corpus import files_of
from foundation_transformer.cli._folder import kind_of
from foundation_transformer.cli._pretrained import load_any
from foundation_transformer.cli._questions import show_task
from foundation_transformer.cli._run_file import is_run, read_run
from foundation_transformer.cli._streams import printable
from foundation_transformer.cli._task import read_columns
from foundation_transformer.cli._translate import translator_of
from foundation_transformer.evaluation import score_labels, score_text, score_translations
from foundation_transformer.pretrained import Pretrained

#: Flags that only one kind of data has a use for.
_OF_A_TRANSLATOR = (
    "beam_size",
    "prefix",
    "columns",
    "skip_header",
    "delimiter",
    "target_language",
)
_OF_A_TEXT = ("context", "stride", "batch_size")


def evaluate(options: argparse.Namespace) -> None:
    """Print the scores, for people or as JSON.

    Raises
    ------
    OSError, ValueError
        If there is no model or no data, or they do not go together.
    """
    if options.task is not None:
        for name in (*_OF_A_TRANSLATOR, *_OF_A_TEXT):
            if getattr(options, name):
                raise ValueError(f"--{name.replace('_', '-')}: does nothing with --task")
        show_task(options)
        return
    for name in ("chat", "system", "details", "max_new_tokens", "seed"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name.replace('_', '-')}: does nothing without --task")
    loaded = load_any(options.folder, options.base)
    if isinstance(loaded.model, TextClassifier):
        scores = _labels(loaded, options)
    elif isinstance(loaded.model, Transformer):
        scores = _translation(loaded, options)
    elif isinstance(loaded.model, CausalLM):
        scores = _language_model(loaded, options)
    else:
        raise ValueError(f"{options.folder}: holds {kind_of(loaded.model)}, which has no scores")
    if options.json:
        print(json.dumps(scores))
    else:
        for name, value in scores.items():
            shown = f"{value:,.4g}" if isinstance(value, float) else value
            print(f"{printable(name.replace('_', ' ')):16} {shown}")


def _labels(loaded: checkpoint.Checkpoint, options: argparse.Namespace) -> dict[str, object]:
    for name in (*_OF_A_TRANSLATOR, *_OF_A_TEXT, "max_bytes"):
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')}: does nothing for a classifier")
    examples = read_examples(options.data)
    if examples[0].kind != "label":
        raise ValueError(
            f"{options.data}: expected a text and its label in each line, such as "
            '{"text": "What a beautiful film.", "label": "praise"}'
        )
    known = loaded.model.labels
    for each in examples:
        if each.label not in known:
            raise ValueError(
                f"{options.data}, line {each.line}: the label {each.label!r:.60} is none that the "
                f"model has learnt{did_you_mean(each.label, list(known))}"
            )
    scores = score_labels(
        Pretrained(loaded.model, loaded.extras["tokenizer"]),
        [each.text for each in examples],
        [each.label for each in examples],
    )
    error = scores.accuracy.standard_error
    return {
        "texts": scores.num_texts,
        "accuracy": scores.accuracy.value,
        "standard_error": None if math.isnan(error) else error,
        "commonest_label": scores.commonest.value,
        "loss": scores.loss,
        **{f"found: {name}": rate.value for name, rate in scores.recall.items()},
    }


def _translation(loaded: checkpoint.Checkpoint, options: argparse.Namespace) -> dict[str, object]:
    if options.max_bytes:
        raise ValueError("--max-bytes: does nothing for a translator")
    for name in _OF_A_TEXT:
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')}: does nothing for a translator")
    translator = translator_of(options.folder, loaded).with_options(
        beam_size=options.beam_size, prefix=options.prefix
    )
    pairs = read_columns(options.data, options.columns, options.skip_header, options.delimiter)
    fits = [not translator.why_not(source) for source, _ in pairs]
    sources = [source for (source, _), fit in zip(pairs, fits, strict=True) if fit]
    translations = iter(translator.translate(sources))
    # What is too long for the model counts as not translated, which the scores show.
    written = [next(translations) if fit else "" for fit in fits]
    language = options.target_language or _language_of(options.folder)
    scores = score_translations(written, [target for _, target in pairs], language)
    return {
        "sentences": len(pairs),
        "too_long": fits.count(False),
        "bleu": scores.bleu,
        "chrf": scores.chrf,
        "exact_match": scores.exact,
        "bleu_signature": scores.signature,
    }


def _language_of(folder: Path) -> str | None:
    """The target language that a run was told; None if it is none, or was not told."""
    return read_run(folder).settings.target_language if is_run(folder) else None


def _language_model(
    loaded: checkpoint.Checkpoint, options: argparse.Namespace
) -> dict[str, object]:
    for name in _OF_A_TRANSLATOR:
        if getattr(options, name):
            raise ValueError(f"--{name.replace('_', '-')}: does nothing for a language model")
    tokenizer = loaded.extras.get("tokenizer")
    if tokenizer is None:
        raise ValueError(f"{options.folder}: holds a language model without its tokenizer")
    num_tokens = num_bytes = 0
    loss = num_right = 0.0
    for file in files_of(str(options.data)):  # each text is read from its beginning
        text = read_text(file, options.max_bytes or MAX_BYTES, "--max-bytes")
        ids = tokenizer.encode(text)
        scores = score_text(
            loaded.model,
            ids,
            tokenizer.frame.before,
            context=options.context,
            stride=options.stride,
            batch_size=options.batch_size,
        )
        # The bytes of what was foretold: without a token before it, the first one is not.
        foretold = tokenizer.decode(ids[len(ids) - scores.num_tokens :])
        num_tokens += scores.num_tokens
        num_bytes += len(foretold.encode("utf-8", "replace"))
        loss += scores.loss * scores.num_tokens
        num_right += scores.accuracy * scores.num_tokens
    return {
        "tokens": num_tokens,
        "bytes": num_bytes,
        "loss": loss / num_tokens,
        "perplexity": math.exp(loss / num_tokens),
        "accuracy": num_right / num_tokens,
        "bits_per_byte": loss / math.log(2) / max(1, num_bytes),
    }
