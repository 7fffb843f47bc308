"""A GGUF file, seen as the folder that Hugging Face would have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from foundation_nn.files import field
from numpy.typing import NDArray

from foundation_transformer.pretrained._gguf import GGUFTensor

if TYPE_CHECKING:
    pass

_MODULES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
#: Tokens that end a text, an answer, or a message to a tool.
_ENDS = ("eos", "eot", "eom")
#: How tokens are drawn, by the names that GGUF files and transformers have for it.
_SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
_CONTROL, _USER_DEFINED = 3, 4  # types of tokens that stand in a text as they are


def config_of(metadata: Mapping[str, Any], tensors: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    """What ``config.json`` would say.

    Raises
    ------
    ValueError
        If the architecture is another one, positions are scaled, or something is missing or of the
        wrong type.
    """
    architecture = field(metadata, "general.architecture", str, default=None)
    if architecture != "llama":
        raise ValueError(
            f"GGUF files of architecture {architecture!r} are not supported; expected 'llama' "
            "(Llama, SmolLM2, TinyLlama)"
        )
    m = {name.removeprefix("llama."): value for name, value in metadata.items()}
    scaling = field(m, "rope.scaling.type", str, default="none")
    # Old files say by how much, and not how.
    for name in ("rope.scaling.factor", "rope.scale_linear"):
        if scaling == "none" and field(m, name, float, default=1.0) not in (0.0, 1.0):
            scaling = f"{name} = {m[name]:g}"
    if scaling != "none" or "rope_freqs.weight" in tensors:
        raise ValueError(f"scaled rotary positions ({scaling}) are not supported")
    heads = field(m, "attention.head_count", int)
    if heads < 1:
        raise ValueError(f"attention.head_count: expected at least 1, got {heads}")
    width = field(m, "embedding_length", int) // heads
    turned = field(m, "rope.dimension_count", int, default=width)
    if turned != width:
        raise ValueError(f"rotary positions of {turned} of {width} numbers are not supported")
    if "token_embd.weight" not in tensors:
        raise ValueError("the tensor 'token_embd.weight' is missing")
    return {
        "model_type": "llama",
        "vocab_size": tensors["token_embd.weight"].shape[0],
        "max_position_embeddings": field(m, "context_length", int),
        "hidden_size": field(m, "embedding_length", int),
        "num_attention_heads": heads,
        "num_key_value_heads": field(m, "attention.head_count_kv", int, default=None),
        "num_hidden_layers": field(m, "block_count", int),
        "intermediate_size": field(m, "feed_forward_length", int),
        # Written in float32: 1e-5 comes back as 9.999999747378752e-06.
        "rms_norm_eps": float(f"{field(m, 'attention.layer_norm_rms_epsilon', float):.7g}"),
        "rope_theta": field(m, "rope.freq_base", float, default=10000.0),
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in tensors,
        "tie_word_embeddings": "output.weight" not in tensors,
    }


class Turned(NamedTuple):
    """A query or key projection whose rows pair for rotary positions as (2i, 2i + 1)."""

    stored: GGUFTensor
    heads: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def read(self) -> NDArray[np.float32]:
        """The tensor with rows that pair as (i, i + K/2)."""
        return neighbours_to_halves(self.stored.read(), self.heads)


def tensors_of(
    config: Mapping[str, Any], tensors: Mapping[str, GGUFTensor]
) -> dict[str, GGUFTensor | Turned]:
    """The tensors under the names that Hugging Face's Llama gives them."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    renamed: dict[str, GGUFTensor | Turned] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
        if match is None or match[2] not in _MODULES:
            renamed[name] = tensor  # will be refused as unexpected
            continue
        layer = "" if match[1] is None else f"layers.{match[1]}."
        turned = match[2] in heads
        renamed[f"{layer}{_MODULES[match[2]]}.{match[3]}"] = (
            Turned(tensor, heads[match[2]] or heads["attn_q"]) if turned else tensor
        )
    return renamed


def neighbours_to_halves(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows (heads · K, ...) whose pairs are (2i, 2i + 1), with pairs (i, i + K/2)."""
    paired = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return paired.swapaxes(1, 2).reshape(rows.shape)
