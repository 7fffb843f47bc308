"""A GGUF file of the Llama family, seen as the folder that Hugging Face would have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_transformer.pretrained._gguf import GGUFTensor
from foundation_transformer.pretrained._tokenizer import byte_level_bpe

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
_CONTROL, _USER_DEFINED = 3, 4  # types of tokens that stand in a text as they are


def config_of(metadata: Mapping[str, Any], tensors: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    """What ``config.json`` would say.

    Raises
    ------
    ValueError
        If the architecture is another one, or positions are scaled.
    """
    architecture = metadata.get("general.architecture")
    if architecture != "llama":
        raise ValueError(
            f"GGUF files of architecture {architecture!r} are not supported; expected 'llama' "
            "(Llama, SmolLM2, TinyLlama)"
        )
    m = {name.removeprefix("llama."): value for name, value in metadata.items()}
    scaling = m.get("rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in tensors:
        raise ValueError(f"scaled rotary positions ({scaling}) are not supported")
    width = m["embedding_length"] // m["attention.head_count"]
    if m.get("rope.dimension_count", width) != width:
        raise ValueError(
            f"rotary positions of {m['rope.dimension_count']} of {width} numbers are not supported"
        )
    return {
        "model_type": "llama",
        "vocab_size": tensors["token_embd.weight"].shape[0],
        "max_position_embeddings": m["context_length"],
        "hidden_size": m["embedding_length"],
        "num_attention_heads": m["attention.head_count"],
        "num_key_value_heads": m.get("attention.head_count_kv"),
        "num_hidden_layers": m["block_count"],
        "intermediate_size": m["feed_forward_length"],
        # Written in float32: 1e-5 comes back as 9.999999747378752e-06.
        "rms_norm_eps": float(f"{m['attention.layer_norm_rms_epsilon']:.7g}"),
        "rope_theta": m.get("rope.freq_base", 10000.0),
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


def tokenizer_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """For ``foundation_data.Tokenizer.from_dict``; None if it is of no kind that is known."""
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    if m.get("model") != "gpt2":
        return None
    tokens = m["tokens"]
    types = m.get("token_type", [1] * len(tokens))
    roles = {
        role: tokens[m[f"{name}_token_id"]]
        for role, name in (
            ("bos", "bos"),
            ("eos", "eos"),
            ("unk", "unknown"),
            ("pad", "padding"),
        )
        if f"{name}_token_id" in m
    }
    return byte_level_bpe(
        {token: index for index, token in enumerate(tokens)},
        m["merges"],
        m.get("pre", "gpt-2"),
        special=[token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL],
        added=[token for token, kind in zip(tokens, types, strict=True) if kind == _USER_DEFINED],
        roles=roles,
    )
