"""``foundation inspect``: what is in a checkpoint or a published model."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from foundation_data import Tokenizer
from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._sentence_translator import SentenceTranslator
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._pretrained import is_published, load_any, load_with_tokenizer
from foundation_transformer.cli._streams import printable
from foundation_transformer.pretrained import Pooling, Pretrained, find_model


def inspect(options: argparse.Namespace) -> None:
    """Print files, configuration, extras and arrays; a checkpoint is verified thereby.

    Raises
    ------
    OSError, ValueError
        If there is none, or it is damaged.
    """
    published = is_published(options.folder)
    place = find_model(options.folder) if published else find_checkpoint(options.folder)
    if published:
        pretrained, tokenizer = load_with_tokenizer(place, base=options.base)
        extras: dict[str, object] = {"tokenizer": tokenizer}
        if pretrained.target_tokenizer is not None:
            extras = {
                "source_tokenizer": tokenizer,
                "target_tokenizer": pretrained.target_tokenizer,
            }
        loaded = checkpoint.Checkpoint(pretrained.model, extras, None)
        beside = _said_beside(pretrained, tokenizer)
    else:
        loaded = load_any(place, options.base)
        beside = {}
    model = loaded.model
    print(f"{place}: {'published' if published else 'whole, every file as it was written'}")
    for file in [place] if place.is_file() else sorted(place.iterdir()):
        print(f"  {file.name:26} {file.stat().st_size:>13,} bytes")
    print(f"\n{type(model).__name__}, {model.num_parameters():,} parameters")
    for name, value in model.to_dict().items():
        print(f"  {name:26} {value}")
    print("\nsaved beside it")
    for name, value in loaded.extras.items():
        print(f"  {name:26} {_short(value)}")
    if loaded.optimizer is not None:
        print(f"  {'optimizer':26} after step {int(loaded.optimizer['steps']):,}")
    for title, lines in beside.items():
        print(f"\n{title}", *(f"  {printable(line)}" for line in lines), sep="\n")
    print("\narrays")
    for name, array in model.state_dict().items():
        print(f"  {name:44} {array.dtype!s:8} {'×'.join(map(str, array.shape)) or 'scalar'}")


def _said_beside(loaded: Pretrained, tokenizer: Tokenizer) -> dict[str, list[str]]:
    """What a folder says beside its weights: a title, and a line for each thing."""
    said: dict[str, list[str]] = {}
    around = [
        part.text if part.ids else "the text" if part.text == "A" else "a second text"
        for part in (tokenizer.frame.pair if _reads_pairs(loaded) else tokenizer.frame.single)
    ]
    said["the model reads"] = [" ".join(around)]
    if isinstance(loaded.model, TextEncoder):
        said["the vector of a text"] = _pooling_lines(loaded.pooling)
    if isinstance(loaded.model, CausalLM):
        said["writing"] = _writing_lines(loaded, tokenizer)
    if isinstance(loaded.model, Transformer):
        said["translating"] = _translating_lines(loaded.translator)
    if loaded.left_out:
        said["left out, heads that it has no place for"] = list(loaded.left_out)
    return said


def _reads_pairs(loaded: Pretrained) -> bool:
    """Whether it is a cross-encoder, which reads a question and a text."""
    return isinstance(loaded.model, TextClassifier) and len(loaded.model.labels) == 1


def _pooling_lines(pooling: Pooling) -> list[str]:
    lines = [f"{' and '.join(pooling.modes)} of the tokens' vectors"]
    lines += [
        f"a dense layer from {layer.weight.shape[1]} to {layer.weight.shape[0]} numbers, "
        f"{layer.activation}"
        for layer in pooling.dense
    ]
    if pooling.normalize:
        lines.append("scaled to length one")
    if pooling.max_tokens is not None:
        lines.append(f"of at most {pooling.max_tokens:,} tokens")
    for name, prompt in pooling.prompts.items():
        default = " (the default)" if name == pooling.default_prompt else ""
        lines.append(f"prompt {name}{default}: {prompt!r}")
    return lines


def _writing_lines(loaded: Pretrained, tokenizer: Tokenizer) -> list[str]:
    known = [i for i in loaded.stop_ids if i < len(tokenizer)]
    lines = [f"ends with {' or '.join(tokenizer.vocabulary.to_tokens(known)) or 'nothing'}"]
    generation = loaded.generation
    if generation.says_how:
        sampling = generation.sampling()
        lines.append("takes the likeliest token" if sampling is None else f"draws by {sampling}")
    lines += [f"not obeyed: {setting}" for setting in generation.not_obeyed]
    has_template = "has" if loaded.chat_template is not None else "has no"
    return [*lines, f"{has_template} chat template"]


def _translating_lines(translator: SentenceTranslator) -> list[str]:
    decoding = translator.decoding
    tokenizer: Any = translator.target_tokenizer
    known = len(tokenizer)

    def names(ids: Iterable[int]) -> str:
        chosen = [i for i in ids if 0 <= i < known]  # others have no name
        return " or ".join(tokenizer.vocabulary.to_tokens(chosen)) or "nothing"

    lines = [f"begins with {names([translator.start_id])}"]
    lines.append(f"ends with {names(decoding.stop_ids or ())}")
    if decoding.beam_size == 1:
        lines.append("takes the likeliest token each time")
    else:
        lines.append(
            f"follows {decoding.beam_size} translations at the same time, length penalty "
            f"{decoding.length_penalty:g}"
        )
    if decoding.max_new_tokens is not None:
        lines.append(f"of at most {decoding.max_new_tokens:,} tokens")
    if any(i < known for i in decoding.forbidden_ids):
        lines.append(f"never writes {names(decoding.forbidden_ids)}")
    return [*lines, *(f"not obeyed: {setting}" for setting in decoding.ignored)]


def _short(value: object) -> str:
    if hasattr(value, "__len__") and hasattr(value, "vocabulary"):
        return f"{type(value).__name__} of {len(value):,} tokens"
    text = str(value) if isinstance(value, int | float | str) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:59]}…"
