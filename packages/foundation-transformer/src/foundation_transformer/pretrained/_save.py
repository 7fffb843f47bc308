"""From a model of ours to files that others load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn.files import write_file
from numpy.typing import NDArray

from foundation_transformer._build import refuse_compact
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.pretrained._generation import GenerationDefaults, ids_of
from foundation_transformer.pretrained._safetensors import write_safetensors
from foundation_transformer.pretrained._tokenizer import write_tokenizer
from foundation_transformer.pretrained.families import family_of, weights_of
from foundation_transformer.pretrained.families._gguf import neighbours_to_halves

if TYPE_CHECKING:
    from foundation_data import Tokenizer


def save_pretrained(
    folder: str | os.PathLike[str],
    model: CausalLM | TextEncoder | Transformer,
    tokenizer: Tokenizer | None = None,
    chat_template: ChatTemplate | None = None,
    generation: GenerationDefaults | None = None,
    target_tokenizer: Tokenizer | None = None,
) -> Path:
    """Write a folder that Hugging Face's ``transformers`` and :func:`load_pretrained` load.

    Parameters
    ----------
    folder : path
        Made if need be; files of the same names are replaced.
    model : CausalLM, TextEncoder or Transformer
        With a configuration that a family has, in float32.
    tokenizer : foundation_data.Tokenizer, optional
        Of subwords; of a translator, that of the source.
    chat_template : ChatTemplate, optional
        Written with the tokenizer.
    generation : GenerationDefaults, optional
        Special ids, and how the model is meant to write. By default the ids are the tokenizer's.
    target_tokenizer : foundation_data.Tokenizer, optional
        Of a translator, that of the target, if it differs.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TypeError
        If it is another kind of model, or a compact one, or a tokenizer of another kind.
    ValueError
        If no family has such a configuration: the message says where each differs.
    """
    family = family_of(model)
    config = model.config
    weights = weights_of(model, config, family)
    values = dict(model.named_parameters())
    for name, value in values.items():
        if value.dtype != np.float32:
            raise TypeError(f"save_pretrained: expected float32, got {value.dtype} for {name}")
    refuse_compact(model)
    outputs = family.outputs(config)

    def tensors() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for weight in weights:
            parts = weight.split(values[weight.name].data)
            for i, (name, array) in enumerate(parts):
                turned = "self_attn.in_proj" in weight.name and config.positions == "rotary"
                if turned and i < 2 and config.rotary_pairs == "neighbours":
                    heads = (config.num_heads, config.num_kv_heads or config.num_heads)[i]
                    array = neighbours_to_halves(array, heads)
                # A bare BERT is written without the prefix, other models with it.
                bare = name in outputs or isinstance(model, TextEncoder)
                yield name if bare else family.prefix + name, array

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tensors())
    if tokenizer is not None:
        write_tokenizer(folder, tokenizer, chat_template, target_tokenizer)
        if generation is None:
            specials = (target_tokenizer or tokenizer).vocabulary.specials
            ids = {
                "bos_token_id": specials.bos_id,
                "eos_token_id": specials.eos_id,
                "pad_token_id": specials.pad_id,
            }
            if isinstance(model, Transformer):
                ids["decoder_start_token_id"] = specials.bos_id
            generation = GenerationDefaults.from_json(ids)
    said = {} if generation is None else dict(generation.content)
    described = {"dtype": "float32", **family.write(config), **ids_of(said)}
    _write_json(folder / "config.json", described)
    if said:
        _write_json(folder / "generation_config.json", said)
    return folder


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    write_file(file, json.dumps(content, indent=1) + "\n")
