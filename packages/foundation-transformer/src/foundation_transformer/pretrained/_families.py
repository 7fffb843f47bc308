"""The families of models that are read and written: their configurations and names of weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import Module
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained import _configs as configs


@dataclass(frozen=True)
class Family:
    """How Hugging Face writes one kind of model.

    Attributes
    ----------
    name : str
    model : type
        Ours.
    read, write : callable
        From the content of ``config.json`` and back.
    modules : mapping from str to str
        The names of our modules and theirs; several of theirs, parted by spaces, are stacked in
        one of ours. ``{i}`` is the number of a layer.
    prefix : str
        Of the names in a file, but for the output layer's; a file of the bare model has none.
    ignored : str
        A pattern of what may be in a file and is no weight of the model.
    renamed : mapping from str to str
        Ends of names in old files, and those that they have since.
    transposed : bool
        Whether weights in the layers are (in, out).
    """

    name: str
    model: type[CausalLM] | type[TextEncoder]
    read: Callable[[Mapping[str, Any]], TransformerConfig]
    write: Callable[[TransformerConfig], dict[str, Any]]
    modules: Mapping[str, str]
    prefix: str
    ignored: str
    renamed: Mapping[str, str] = dataclass_field(default_factory=dict)
    transposed: bool = False


_GPT2 = {
    "embedding": "wte",
    "positions": "wpe",
    "stack.layers.{i}.norm1": "h.{i}.ln_1",
    "stack.layers.{i}.self_attn.in_proj": "h.{i}.attn.c_attn",
    "stack.layers.{i}.self_attn.out_proj": "h.{i}.attn.c_proj",
    "stack.layers.{i}.norm2": "h.{i}.ln_2",
    "stack.layers.{i}.linear1": "h.{i}.mlp.c_fc",
    "stack.layers.{i}.linear2": "h.{i}.mlp.c_proj",
    "stack.norm": "ln_f",
    "output": "lm_head",
}
_LLAMA = {
    "embedding": "embed_tokens",
    "stack.layers.{i}.norm1": "layers.{i}.input_layernorm",
    "stack.layers.{i}.self_attn.in_proj": (
        "layers.{i}.self_attn.q_proj layers.{i}.self_attn.k_proj layers.{i}.self_attn.v_proj"
    ),
    "stack.layers.{i}.self_attn.out_proj": "layers.{i}.self_attn.o_proj",
    "stack.layers.{i}.norm2": "layers.{i}.post_attention_layernorm",
    "stack.layers.{i}.linear1": "layers.{i}.mlp.gate_proj layers.{i}.mlp.up_proj",
    "stack.layers.{i}.linear2": "layers.{i}.mlp.down_proj",
    "stack.norm": "norm",
    "output": "lm_head",
}
_BERT = {
    "embedding": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "stack.layers.{i}.self_attn.in_proj": (
        "encoder.layer.{i}.attention.self.query encoder.layer.{i}.attention.self.key "
        "encoder.layer.{i}.attention.self.value"
    ),
    "stack.layers.{i}.self_attn.out_proj": "encoder.layer.{i}.attention.output.dense",
    "stack.layers.{i}.norm1": "encoder.layer.{i}.attention.output.LayerNorm",
    "stack.layers.{i}.linear1": "encoder.layer.{i}.intermediate.dense",
    "stack.layers.{i}.linear2": "encoder.layer.{i}.output.dense",
    "stack.layers.{i}.norm2": "encoder.layer.{i}.output.LayerNorm",
    "pooler": "pooler.dense",
}

FAMILIES = {
    "gpt2": Family(
        "GPT-2",
        CausalLM,
        configs.read_gpt2,
        configs.write_gpt2,
        _GPT2,
        prefix="transformer.",
        ignored=r"h\.\d+\.attn\.(masked_)?bias",  # the causal mask
        transposed=True,
    ),
    "llama": Family(
        "Llama",
        CausalLM,
        configs.read_llama,
        configs.write_llama,
        _LLAMA,
        prefix="model.",
        ignored=r".*rotary_emb\.inv_freq",
    ),
    "bert": Family(
        "BERT",
        TextEncoder,
        configs.read_bert,
        configs.write_bert,
        _BERT,
        prefix="bert.",
        ignored=r"embeddings\.position_ids",
        renamed={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    ),
}


class Weight(NamedTuple):
    """One of our parameters, and the tensors it is made of.

    Attributes
    ----------
    name : str
        Ours.
    parts : list of (str, shape)
        Their names and shapes, in the order in which they are stacked.
    transposed : bool
        Whether they are.
    """

    name: str
    parts: list[tuple[str, tuple[int, ...]]]
    transposed: bool

    def join(self, read: Callable[[str], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Our array from theirs."""
        arrays = [read(name) for name, _ in self.parts]
        if self.transposed:
            arrays = [array.T for array in arrays]
        if len(arrays) == 1:
            return np.ascontiguousarray(arrays[0])
        return np.concatenate(arrays)

    def split(self, array: NDArray[np.float32]) -> Iterable[tuple[str, NDArray[np.float32]]]:
        """Their arrays from ours, as views."""
        start = 0
        for name, shape in self.parts:
            rows = shape[1] if self.transposed else shape[0]
            part = array[start : start + rows]
            yield name, part.T if self.transposed else part
            start += rows


def weights_of(model: Module, config: TransformerConfig, family: Family) -> list[Weight]:
    """All parameters of a model, with their names in a file, but for the prefix."""
    weights = []
    for name, p in model.named_parameters():
        module, kind = re.fullmatch(r"(.*)[._](weight|bias)", name).groups()  # type: ignore[union-attr]
        layer = re.search(r"layers\.(\d+)", module)
        i = layer[1] if layer else ""
        ours = re.sub(r"layers\.\d+", "layers.{i}", module)
        theirs = [f"{part.format(i=i)}.{kind}" for part in family.modules[ours].split()]
        transposed = family.transposed and layer is not None and p.ndim == 2
        rows = _rows(p.shape[0], len(theirs), config)
        shapes = [(n, *p.shape[1:]) for n in rows]
        if transposed:
            shapes = [shape[::-1] for shape in shapes]
        weights.append(Weight(name, list(zip(theirs, shapes, strict=True)), transposed))
    return weights


def _rows(total: int, parts: int, c: TransformerConfig) -> list[int]:
    """How many rows of ours each part has: queries, keys and values differ, others do not."""
    if parts == 3:
        shared = (total - c.d_model) // 2
        return [c.d_model, shared, shared]
    return [total // parts] * parts


def family_of(model: Module) -> Family:
    """The family that can say all that a model's configuration does.

    Raises
    ------
    TypeError
        If it is no model of these kinds.
    ValueError
        If there is none; the message says where each differs.
    """
    if not isinstance(model, CausalLM | TextEncoder):
        raise TypeError(
            f"save_pretrained: expected a CausalLM or a TextEncoder, got {type(model).__name__}"
        )
    reasons = []
    for family in FAMILIES.values():
        if isinstance(model, family.model):
            differences = _differences(model.config, family)
            if not differences:
                return family
            reasons.append(f"{family.name} differs in {', '.join(differences)}")
    raise ValueError(f"save_pretrained: no family has such a model: {'; '.join(reasons)}")


def _differences(config: TransformerConfig, family: Family) -> list[str]:
    """The fields that do not come back from a family's ``config.json``."""
    written = family.write(config)
    try:
        again = family.read(written)
    except ValueError as error:
        return [str(error)]
    wanted, found = _spelled_out(config), _spelled_out(again)
    # Pairs of rotary positions are an order of rows, dropout and pooler no part of what is lost.
    for name in ("rotary_pairs", "dropout", "pooler"):
        del wanted[name]
    return [f"{name}={value!r}" for name, value in wanted.items() if value != found[name]]


def _spelled_out(c: TransformerConfig) -> dict[str, Any]:
    """All fields, with what None stands for."""
    shapes = {"num_kv_heads": c.num_kv_heads or c.num_heads, "d_ff": c.feed_forward_width}
    return c.to_dict() | shapes
