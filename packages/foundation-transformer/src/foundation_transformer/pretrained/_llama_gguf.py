"""A GGUF file of the Llama family, seen as the folder that Hugging Face would have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from foundation_nn.files import field
from numpy.typing import NDArray

from foundation_transformer.chat import ChatTemplate
from foundation_transformer.pretrained._generation import GenerationDefaults
from foundation_transformer.pretrained._gguf import GGUFTensor
from foundation_transformer.pretrained._tokenizer import byte_level_bpe

if TYPE_CHECKING:
    from foundation_data import Tokenizer

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


def has_tokenizer(metadata: Mapping[str, Any]) -> bool:
    """Whether the file holds a tokenizer, of whichever kind."""
    return "tokenizer.ggml.model" in metadata


def tokenizer_of(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of the file, with the ends that it puts around a text.

    Raises
    ------
    ValueError
        If it is of a kind that is not known, something is missing or of the wrong type, or a token
        has two ids.
    """
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    kind = field(m, "model", str)
    if kind != "gpt2":
        raise ValueError(
            f"a tokenizer of kind {kind!r:.60} is not supported; expected 'gpt2'; "
            "load_pretrained(path, tokenizer=False) loads the model alone"
        )
    tokens = field(m, "tokens", list[str])
    ids = {token: index for index, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        index, token = next((i, t) for i, t in enumerate(tokens) if ids[t] != i)
        raise ValueError(
            f"tokens: {token!r:.60} stands there twice, with the ids {index} and {ids[token]}"
        )
    types = np.asarray(m.get("token_type", np.ones(len(tokens))))
    if types.shape != (len(tokens),):
        raise ValueError(f"token_type: expected {len(tokens)} numbers, got shape {types.shape}")
    roles = {role: tokens[index] for role, index in _role_ids(m, len(tokens)).items()}
    tokenizer = byte_level_bpe(
        ids,
        field(m, "merges", list[str]),
        field(m, "pre", str, default="gpt-2"),
        special=[token for token, kind in zip(tokens, types, strict=True) if kind == _CONTROL],
        added=[token for token, kind in zip(tokens, types, strict=True) if kind == _USER_DEFINED],
        roles=roles,
    )
    add_bos, add_eos = (
        field(m, f"add_{role}_token", bool, default=False) and role in roles
        for role in ("bos", "eos")
    )
    return tokenizer.with_ends(add_bos, add_eos) if add_bos or add_eos else tokenizer


def chat_template_of(metadata: Mapping[str, Any]) -> ChatTemplate | None:
    """How the model was taught to read a conversation; None if it was not.

    Raises
    ------
    ValueError
        If something is of the wrong type.
    """
    prefix = "tokenizer.chat_template"
    names = field(metadata, f"{prefix}s", list[str], default=[])
    keys = {"default": prefix} | {name: f"{prefix}.{name}" for name in names}
    texts = {name: field(metadata, key, str) for name, key in keys.items() if key in metadata}
    if not texts:
        return None
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    tokens = field(m, "tokens", list[str], default=[])
    roles = _role_ids(m, len(tokens))
    return ChatTemplate(texts, {f"{role}_token": tokens[index] for role, index in roles.items()})


def generation_of(metadata: Mapping[str, Any]) -> GenerationDefaults:
    """Where texts end, and how tokens are drawn, as far as the file says.

    Raises
    ------
    ValueError
        If something is of the wrong type.
    """
    m = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    ends = (field(m, f"{name}_token_id", int, default=None) for name in _ENDS)
    said: dict[str, Any] = {
        "bos_token_id": field(m, "bos_token_id", int, default=None),
        "pad_token_id": field(m, "padding_token_id", int, default=None),
        "eos_token_id": list(dict.fromkeys(end for end in ends if end is not None)),
    }
    for theirs, ours in _SAMPLING.items():
        value = field(metadata, f"general.sampling.{theirs}", float, default=None)
        # Written in float32: 0.6 comes back as 0.6000000238418579.
        said[ours] = float(f"{value:.7g}") if isinstance(value, float) else value
    return GenerationDefaults.from_json(
        {name: v for name, v in said.items() if v not in (None, [])}
    )


def _role_ids(m: Mapping[str, Any], num_tokens: int) -> dict[str, int]:
    """The ids of bos, eos, unk and pad, as far as the file says."""
    roles: dict[str, int] = {}
    for role, name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        index = field(m, f"{name}_token_id", int, default=None)
        if index is not None:
            if not 0 <= index < num_tokens:
                raise ValueError(f"{name}_token_id: {index} is no id of {num_tokens} tokens")
            roles[role] = index
    return roles
