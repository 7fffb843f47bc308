"""From a model of ours to a GGUF file, as llama.cpp reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from foundation_nn import did_you_mean
from foundation_nn.files import new_file
from numpy.typing import NDArray

from foundation_transformer._build import refuse_compact
from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._rotary_scaling import RotaryScaling
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained._generation import GenerationDefaults
from foundation_transformer.pretrained._gguf_text import (
    CONTROL,
    ENDS,
    NORMAL,
    SAMPLING,
    USER_DEFINED,
)
from foundation_transformer.pretrained._narrow import narrowed, require_scale
from foundation_transformer.pretrained._save import paired_as_halves
from foundation_transformer.pretrained._tokenizer import name_of_cut
from foundation_transformer.pretrained.families import family_of, weights_of
from foundation_transformer.pretrained.families._gguf import (
    architecture_of,
    halves_to_neighbours,
    is_permuted,
    metadata_of,
    require_readable,
    times_slower,
)

if TYPE_CHECKING:
    from foundation_data import Tokenizer

#: Kinds of numbers: of matrices; vectors are float32 always.
KINDS = ("f32", "f16", "bf16", "q8_0")
_ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}


def save_gguf(
    file: str | os.PathLike[str],
    model: CausalLM,
    tokenizer: Tokenizer,
    chat_template: ChatTemplate | None = None,
    generation: GenerationDefaults | None = None,
    *,
    kind: str = "f16",
    name: str = "",
) -> Path:
    """Write a file that llama.cpp and :func:`load_pretrained` load.

    Needs the library ``gguf``, the extra of that name.

    Parameters
    ----------
    file : path
        Such as ``model.gguf``; its folder is made if need be. An older file is replaced when the
        new one is whole.
    model : CausalLM
        Of one of the families Llama, Mistral, Qwen 2 and 3, Gemma 2 and 3, SmolLM3, Phi-3 and
        OLMo 2, in float32.
    tokenizer : foundation_data.BPETokenizer
        Of byte-level BPE.
    chat_template, generation
        As :func:`save_pretrained` takes them.
    kind : {"f32", "f16", "bf16", "q8_0"}
        Of the numbers in matrices: four bytes, two, or one with a scale for each 32 of them. A
        matrix whose rows are no multiple of 32 is written in two bytes instead; vectors have four
        always.
    name : str
        Of the model, for people.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ImportError
        Without the library.
    TypeError
        If it is another kind of model or tokenizer, or a compact model.
    ValueError
        If the model is of another family, or it, its positions or the way in which texts are cut
        have no place in these files. If a number is too large for the type: the message names its
        tensor.
    """
    try:
        import gguf
        from gguf.quants import quantize
    except ImportError:
        raise ImportError(
            "GGUF files need the library gguf: pip install foundation-transformer[gguf]"
        ) from None
    if kind not in KINDS:
        raise ValueError(f"save_gguf: unknown kind {kind!r}{did_you_mean(kind, list(KINDS))}")
    refuse_compact(model)
    family = family_of(model)
    architecture, _ = architecture_of(family)
    c = model.config
    types = {
        "f32": gguf.GGMLQuantizationType.F32,
        "f16": gguf.GGMLQuantizationType.F16,
        "bf16": gguf.GGMLQuantizationType.BF16,
        "q8_0": gguf.GGMLQuantizationType.Q8_0,
    }
    metadata = metadata_of(c, architecture)
    scaling = _scaling(c, architecture)
    require_readable(c, metadata | scaling, dict(_tensors(model, architecture)))
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with new_file(file) as unfinished:
        writer = gguf.GGUFWriter(unfinished, architecture)
        writer.add_name(name or file.stem)
        add: dict[type, Any] = {
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
        }
        for field, value in (metadata | scaling).items():
            if field != "general.architecture":  # which the writer has said
                add[type(value)](field, value)
        writer.add_file_type(
            {
                "f32": gguf.LlamaFileType.ALL_F32,
                "f16": gguf.LlamaFileType.MOSTLY_F16,
                "bf16": gguf.LlamaFileType.MOSTLY_BF16,
                "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
            }[kind]
        )
        _add_text(writer, tokenizer, c.vocab_size, chat_template, generation)
        for tensor, array in _tensors(model, architecture):
            # A row that is no whole number of blocks stays as exact as it can be.
            fits = array.ndim == 2 and (kind != "q8_0" or array.shape[1] % 32 == 0)
            chosen = kind if fits else "f16" if array.ndim == 2 else "f32"
            _require_range(tensor, array, chosen)
            packed = quantize(np.ascontiguousarray(array), types[chosen])
            writer.add_tensor(tensor, packed, raw_dtype=types[chosen])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return file


def _require_range(name: str, array: NDArray[np.float32], kind: str) -> None:
    """Refuse a tensor whose numbers are too large for a type.

    Raises
    ------
    ValueError
    """
    try:
        if kind == "q8_0":
            require_scale(name, array)
        else:
            narrowed(name, array, kind)
    except ValueError as error:
        raise ValueError(f"save_gguf: {error}") from None


def _tensors(model: CausalLM, architecture: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """All weights by their names there, with the numbers that we compute with."""
    family = family_of(model)
    _, names = architecture_of(family)
    values = dict(model.named_parameters())
    c = model.config
    if c.rotary_scaling is not None and c.rotary_scaling.kind == "llama3":
        yield "rope_freqs.weight", times_slower(c.rotary_scaling, c.width_of_heads, c.rotary_base)
    heads = {"attn_q": c.num_heads, "attn_k": c.num_kv_heads or c.num_heads}
    for weight in weights_of(model, c, replace(family, changed={})):
        whole = values[weight.name].data
        if "self_attn.in_proj" in weight.name:
            whole = paired_as_halves(whole, c)
        for theirs, array in weight.split(whole):
            module, _, kind = theirs.rpartition(".")
            block = ""
            if module.startswith("layers."):
                _, number, module = module.split(".", 2)
                block = f"blk.{number}."
            name = names[module]
            if name in heads and is_permuted(architecture):
                array = halves_to_neighbours(array, heads[name])
            yield f"{block}{name}.{kind}", array


def _scaling(c: TransformerConfig, architecture: str) -> dict[str, Any]:
    """How rotary positions are scaled; those of Llama 3.1 by a tensor, see :func:`_tensors`."""
    scaling = c.rotary_scaling
    if scaling is None:
        return {}
    usual = {
        "linear": scaling,
        "llama3": RotaryScaling(kind="llama3", factor=scaling.factor, original_max_len=8192),
        "yarn": replace(scaling, attention_factor=None),
    }
    if scaling != usual[scaling.kind]:
        raise ValueError(f"save_gguf: these files have no place for all of {scaling}")
    if scaling.kind == "llama3":
        return {}
    said: dict[str, Any] = {"type": scaling.kind, "factor": float(scaling.factor)}
    if scaling.kind == "yarn":
        said["original_context_length"] = scaling.original_max_len
        for name, turns in (("yarn_beta_fast", scaling.fast), ("yarn_beta_slow", scaling.slow)):
            if turns is not None:
                said[name] = float(turns)
    return {f"{architecture}.rope.scaling.{name}": value for name, value in said.items()}


def _add_text(
    writer: Any,
    tokenizer: Tokenizer,
    vocab_size: int,
    chat_template: ChatTemplate | None,
    generation: GenerationDefaults | None,
) -> None:
    """The tokenizer, the chat template, and how the model is meant to write."""
    described = tokenizer.to_dict()
    document = described.get("tokenizer", {})
    if described.get("kind") != "bpe":
        raise TypeError(
            f"save_gguf: expected a BPETokenizer, got {type(tokenizer).__name__}, which these "
            "files have no place for"
        )
    vocabulary: dict[str, int] = document["model"]["vocab"]
    special = {entry["content"]: entry["special"] for entry in document["added_tokens"]}
    tokens = {index: token for token, index in vocabulary.items()}
    tokens.update({entry["id"]: entry["content"] for entry in document["added_tokens"]})
    # A model may have more rows than there are tokens; they are named, so that counts agree.
    names = [tokens.get(i, f"[PAD{i}]") for i in range(max(vocab_size, len(tokens)))]
    kinds = [
        NORMAL if name not in special else CONTROL if special[name] else USER_DEFINED
        for name in names
    ]
    merges = [m if isinstance(m, str) else " ".join(m) for m in document["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    ignores_merges = document["model"].get("ignore_merges", False)
    writer.add_tokenizer_pre(name_of_cut(document["pre_tokenizer"], ignores_merges))
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    specials = tokenizer.vocabulary.specials
    for role, theirs in _ROLES.items():
        writer.add_uint32(f"tokenizer.ggml.{theirs}_token_id", getattr(specials, f"{role}_id"))
    around = tokenizer.frame.around([])
    writer.add_add_bos_token(specials.bos_id in around[:1])
    writer.add_add_eos_token(specials.eos_id in around[-1:])
    if chat_template is not None:
        writer.add_chat_template(
            chat_template.text()
            if list(chat_template.texts) == ["default"]
            else [{"name": n, "template": text} for n, text in chat_template.texts.items()]
        )
    if generation is None:
        return
    others = [i for i in generation.eos_ids if i != specials.eos_id]
    for end, index in zip(ENDS[1:], others, strict=False):
        writer.add_uint32(f"tokenizer.ggml.{end}_token_id", index)
    for theirs, ours in SAMPLING.items():
        value = generation.settings.get(ours)
        if value is not None:
            add = writer.add_int32 if ours == "top_k" else writer.add_float32
            add(f"general.sampling.{theirs}", value)
