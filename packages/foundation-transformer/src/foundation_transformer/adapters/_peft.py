"""Adapters in the files of Hugging Face's library peft.

A folder holds ``adapter_config.json``, which says what the adapter is, and
``adapter_model.safetensors`` with the matrices A and B, whose names are those of the layers in
Hugging Face's model::

    base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight   (r, in)
    base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight   (out, r)
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import MAX_BYTES, field, read_json, write_file
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.adapters._layout import Model, layout_of
from foundation_transformer.adapters._lora import Lora
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors
from foundation_transformer.pretrained.families import Family, family_of
from foundation_transformer.pretrained.families._gguf import neighbours_to_halves

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_NAME = re.compile(r"(.+)\.lora_([AB])\.weight")
_TASKS: dict[type, str] = {CausalLM: "CAUSAL_LM", Transformer: "SEQ_2_SEQ_LM"}
#: What a configuration may say that would change what the adapter computes, and the values with
#: which it does not.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "lora_bias": (False, None),
    "bias": ("none",),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
}


def save_adapter(
    folder: str | os.PathLike[str], lora: Lora, base: str | os.PathLike[str] | None = None
) -> Path:
    """Write an adapter that Hugging Face's ``peft`` and :func:`load_adapter` load.

    Parameters
    ----------
    folder : path
        Made if need be; files of the same names are replaced.
    lora : Lora
        Around its model, which tells what the layers are called.
    base : str, optional
        Where the model is, such as "owner/name", for who loads the adapter.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If Hugging Face's model has one matrix where the adapter changes parts of it, or a head was
        learnt with the change.
    """
    model = lora.model
    if isinstance(model, TextClassifier):
        raise ValueError(
            "save_adapter: a head was learnt with this change, which these files are not written "
            "with; merge the change, and save the classifier by save_pretrained"
        )
    family = family_of(model)
    names = {place: name for name, place in _names(model, family)}
    tensors: list[tuple[str, NDArray[np.float32]]] = []
    modules: set[str] = set()
    for path, adapter in lora.layers.items():
        for part, pair in adapter.pairs.items():
            if (path, part) not in names:
                raise ValueError(
                    f"save_adapter: {family.name} has one matrix for queries, keys and values, and "
                    f'{path} changes {part!r} alone; make the adapter with targets "qkv"'
                )
            name = names[path, part]
            modules.add(name.rpartition(".")[2])
            B = pair.B.data
            turned = model.config.positions == "rotary" and part in ("q", "k")
            if turned and model.config.rotary_pairs == "neighbours":
                layer: Any = dict(model.named_modules())[path]
                B = neighbours_to_halves(B, layer.num_heads if part == "q" else layer.num_kv_heads)
            tensors.append((f"{_PREFIX}{name}.lora_A.weight", pair.A.data.astype(np.float32)))
            tensors.append((f"{_PREFIX}{name}.lora_B.weight", B.astype(np.float32)))
    content = {
        "peft_type": "LORA",
        "task_type": _TASKS.get(type(model)),
        "base_model_name_or_path": None if base is None else os.fspath(base),
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": sorted(modules),
        "bias": "none",
        "fan_in_fan_out": family.transposed,
        "inference_mode": True,
        "use_rslora": False,
        "use_dora": False,
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / _WEIGHTS, tensors)
    write_file(folder / _CONFIG, json.dumps(content, indent=1) + "\n")
    return folder


def load_adapter(
    folder: str | os.PathLike[str], model: Model, *, max_bytes: int = MAX_BYTES
) -> Lora:
    """Put an adapter that ``peft`` or :func:`save_adapter` has written around a model.

    Parameters
    ----------
    folder : path
    model : CausalLM, TextEncoder or Transformer
        The one that it was made for.
    max_bytes : int
        How large the configuration may be.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If it is of a kind that is not supported, damaged, or an adapter for another model: then
        with a table of names and shapes.
    """
    folder = Path(folder)
    rank, alpha, dropout = _read_config(folder / _CONFIG, max_bytes)
    stored = read_header(folder / _WEIGHTS, max_bytes)
    family = family_of(model)
    places = dict(_names(model, family))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, tensor in stored.items():
        match = _NAME.fullmatch(name.removeprefix(_PREFIX))
        place = None
        if match is not None:
            bare = match[1].removeprefix(family.prefix)
            place = places.get(match[1]) or places.get(family.prefix + bare) or places.get(bare)
        if match is None or place is None:
            raise ValueError(
                f"{folder / _WEIGHTS}: {name} has no place in this {family.name} of "
                f"{model.config.num_layers} layers; is it an adapter for another model?"
            )
        found.setdefault(place, {})[match[2]] = tensor
    whole = _all_parts(model)
    problems: list[str] = []
    layout: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {}
    for (path, part), tensors in found.items():
        width, parts = whole[path]
        start, stop = parts[part]
        for side, shape in (("A", (rank, width)), ("B", (stop - start, rank))):
            if side not in tensors:
                problems.append(f"  missing      {path} {part}: lora_{side} {shape}")
            elif tensors[side].shape != shape:
                problems.append(
                    f"  wrong shape  {path} {part}: lora_{side}: expected {shape}, got "
                    f"{tensors[side].shape}"
                )
        layout.setdefault(path, (width, {}))[1][part] = (start, stop)
    if problems:
        shown = problems[:8] + [f"  and {len(problems) - 8} more"] * (len(problems) > 8)
        raise ValueError(f"{folder / _WEIGHTS}: is no adapter for this model:\n" + "\n".join(shown))
    if not layout:
        raise ValueError(f"{folder / _WEIGHTS}: holds no adapter")
    try:
        lora = Lora(layout, rank, alpha, dropout, rng=np.random.default_rng(0))
    except ValueError as error:
        raise ValueError(f"{folder / _CONFIG}: {error}") from None
    for (path, part), tensors in found.items():
        pair = lora.layers[path].pairs[part]
        for matrix, tensor in ((pair.A, tensors["A"]), (pair.B, tensors["B"])):
            array = tensor.read()
            if not np.isfinite(array).all():
                raise ValueError(
                    f"{folder / _WEIGHTS}: {path} {part} holds infinity or NaN; fetch it again"
                )
            matrix.data = array
    lora.attach(model)
    return lora


def _read_config(file: Path, max_bytes: int) -> tuple[int, float, float]:
    """Rank, α and dropout.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    content = read_json(file, max_bytes)
    try:
        kind = field(content, "peft_type", str)
        if kind != "LORA":
            raise ValueError(f"peft_type: expected 'LORA', got {kind!r:.60}")
        for name, neutral in _NEUTRAL.items():
            if content.get(name, neutral[0]) not in neutral:
                raise ValueError(f"{name}={content[name]!r:.60} is not supported")
        for name, value in content.items():  # each of them is another formula
            if name.startswith("use_") and name != "use_rslora" and value:
                raise ValueError(f"{name}={value!r:.60} is not supported")
        rank = field(content, "r", int)
        if rank < 1:
            raise ValueError(f"r: expected at least 1, got {rank}")
        alpha = field(content, "lora_alpha", float)
        if field(content, "use_rslora", bool, default=False):
            alpha *= math.sqrt(rank)  # what is divided by √r there is divided by r here
        return rank, alpha, field(content, "lora_dropout", float, default=0.0)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _all_parts(model: Model) -> dict[str, tuple[int, dict[str, tuple[int, int]]]]:
    """The rows of every part of every matrix, those of all three projections as "qkv", too."""
    parts = {path: (width, dict(rows)) for path, (width, rows) in layout_of(model).items()}
    for _, rows in parts.values():
        if "q" in rows:
            rows["qkv"] = (0, rows["v"][1])
    return parts


def _names(model: Model, family: Family) -> Iterator[tuple[str, tuple[str, str]]]:
    """Hugging Face's name of each matrix, and the path and part that it has here."""
    prefix = "" if isinstance(model, TextEncoder) else family.prefix
    modules = family.modules_of(model.config)
    for path, (_, rows) in layout_of(model).items():
        attention = "q" in rows
        layer, _, place = path.partition(".layers.")
        i, _, matrix = place.partition(".")
        ours = f"{layer}.layers.{{i}}.{matrix}"
        theirs = modules[f"{ours}.in_proj" if attention else ours].split()
        parts = tuple(rows)
        if len(theirs) < len(parts):  # one matrix for all three, or a network without a gate
            parts = ("qkv",) if attention else parts[-1:]
        for name, part in zip(theirs, parts, strict=True):
            yield prefix + name.format(i=i), (path, part)
