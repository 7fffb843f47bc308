"""From a model of ours to files that others load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import write_file
from numpy.typing import NDArray

from foundation_transformer._build import refuse_compact
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.pretrained._families import family_of, weights_of
from foundation_transformer.pretrained._llama_gguf import neighbours_to_halves
from foundation_transformer.pretrained._safetensors import write_safetensors
from foundation_transformer.pretrained._tokenizer import write_tokenizer


def save_pretrained(
    folder: str | os.PathLike[str],
    model: CausalLM | TextEncoder,
    tokenizer: Mapping[str, Any] | None = None,
    chat_template: str | None = None,
) -> Path:
    """Write a folder that Hugging Face's ``transformers`` and :func:`load_pretrained` load.

    Parameters
    ----------
    folder : path
        Made if need be; files of the same names are replaced.
    model : CausalLM or TextEncoder
        With a configuration that GPT-2, Llama or BERT has, in float32.
    tokenizer : dict, optional
        What ``to_dict()`` of a subword tokenizer of foundation_data gives.
    chat_template : str, optional

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TypeError
        If it is another kind of model, or a compact one.
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

    def tensors() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for weight in weights:
            parts = weight.split(values[weight.name].data)
            for i, (name, array) in enumerate(parts):
                turned = "self_attn.in_proj" in weight.name and config.positions == "rotary"
                if turned and i < 2 and config.rotary_pairs == "neighbours":
                    heads = (config.num_heads, config.num_kv_heads or config.num_heads)[i]
                    array = neighbours_to_halves(array, heads)
                # A bare BERT is written without the prefix, language models with it.
                bare = name.startswith("lm_head") or isinstance(model, TextEncoder)
                yield name if bare else family.prefix + name, array

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tensors())
    described = {"dtype": "float32", **family.write(config)}
    text = json.dumps(described, indent=1) + "\n"
    write_file(folder / "config.json", text)
    if tokenizer is not None:
        write_tokenizer(folder, tokenizer, chat_template)
    return folder
