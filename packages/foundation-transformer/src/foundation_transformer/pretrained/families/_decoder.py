"""What the decoders since Llama have in common; each family says where it differs.

Llama [1]_ normalises by the root mean square before each branch, turns queries and keys by their
positions, gates its feed-forward network by SiLU and has no biases.

References
----------
.. [1] H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023,
   arXiv:2302.13971.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._fields import Fields
from foundation_transformer.pretrained.families._rotary import read_rotary, write_rotary

#: The names of our modules and theirs.
MODULES = {
    "embedding": "embed_tokens",
    "stack.layers.{i}.norm1": "layers.{i}.input_layernorm",
    "stack.layers.{i}.self_attn.in_proj": (
        "layers.{i}.self_attn.q_proj layers.{i}.self_attn.k_proj layers.{i}.self_attn.v_proj"
    ),
    "stack.layers.{i}.self_attn.q_norm": "layers.{i}.self_attn.q_norm",
    "stack.layers.{i}.self_attn.k_norm": "layers.{i}.self_attn.k_norm",
    "stack.layers.{i}.self_attn.out_proj": "layers.{i}.self_attn.o_proj",
    "stack.layers.{i}.norm2": "layers.{i}.post_attention_layernorm",
    "stack.layers.{i}.linear1": "layers.{i}.mlp.gate_proj layers.{i}.mlp.up_proj",
    "stack.layers.{i}.linear2": "layers.{i}.mlp.down_proj",
    "stack.norm": "norm",
    "output": "lm_head",
}
#: What may stand in a file and follows from the configuration.
IGNORED = r".*rotary_emb\.inv_freq"
_KINDS = {"full_attention": "global", "sliding_attention": "local"}
#: Special tokens, whose ids in a class of transformers are those of its first model.
_ROLES = ("bos_token_id", "eos_token_id", "pad_token_id")
#: So many layers are told apart; no model has more.
_MOST_LAYERS = 1000


def read_decoder(
    c: Fields,
    *,
    head_dim: int | None = None,
    norm_eps: float = 1e-6,
    base: float = 10000.0,
    tied: bool = False,
    rope: Fields | None = None,
) -> dict[str, Any]:
    """Our fields that all families have.

    ``rope`` is where rotary positions stand, if that is not ``rope_parameters``; the other
    arguments stand for fields that are not there.
    """
    c.only("is_encoder_decoder", False)
    width = c.count("hidden_size")
    heads = c.count("num_attention_heads")
    K = c.get("head_dim", int | None, head_dim)
    if K is None and width % heads:
        raise ValueError(f"num_attention_heads={heads} does not divide hidden_size={width}")
    usual = width / heads
    K = int(usual) if K is None else K
    return {
        "vocab_size": c.count("vocab_size"),
        "max_len": c.count("max_position_embeddings"),
        "d_model": width,
        "num_heads": heads,
        "num_kv_heads": c.get("num_key_value_heads", int | None, None) or heads,
        "head_width": None if usual == K else K,
        "num_layers": c.count("num_hidden_layers"),
        "d_ff": c.count("intermediate_size"),
        "norm_eps": c.number("rms_norm_eps", norm_eps),
        "tie_embeddings": c.flag("tie_word_embeddings", tied),
        **read_rotary(c, base, rope),
    }


def write_decoder(c: TransformerConfig, model_type: str, architecture: str) -> dict[str, Any]:
    """The opposite of :func:`read_decoder`."""
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.num_kv_heads or c.num_heads,
        "head_dim": c.width_of_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": c.tie_embeddings,
        **dict.fromkeys(_ROLES),
        **write_rotary(c),
    }


def read_layer_types(c: Fields, usual: Sequence[str]) -> tuple[str, ...]:
    """Which layers are local: as ``layer_types`` says, or by the usual pattern, repeated."""
    types = c.get("layer_types", list[str] | None, None)
    if types is None:
        return shortest_pattern(usual)
    count = c.count("num_hidden_layers")
    if len(types) != count or not set(types) <= set(_KINDS):
        raise ValueError(
            f"layer_types: expected {count} of {' and '.join(_KINDS)}, got {types!r:.60}"
        )
    return shortest_pattern([_KINDS[each] for each in types])


def write_layer_types(c: TransformerConfig) -> list[str]:
    """The opposite of :func:`read_layer_types`."""
    names = {ours: theirs for theirs, ours in _KINDS.items()}
    return [names.get(kind, "full_attention") for kind in c.layer_kinds]


def num_told_apart(c: Fields) -> int:
    """The number of layers, where something has to be said of each."""
    count = c.count("num_hidden_layers")
    if count > _MOST_LAYERS:
        raise ValueError(f"num_hidden_layers: expected at most {_MOST_LAYERS:,}, got {count:,}")
    return count


def shortest_pattern(kinds: Sequence[str]) -> tuple[str, ...]:
    """The shortest pattern that gives the same when it is repeated.

    Examples
    --------
    >>> shortest_pattern(["local", "global", "local", "global", "local"])
    ('local', 'global')
    """
    pattern = tuple(kinds)
    for length in range(1, len(pattern)):
        if all(kind == pattern[i % length] for i, kind in enumerate(pattern)):
            return pattern[:length]
    return pattern


def with_window(pattern: tuple[str, ...], window: int | None) -> dict[str, Any]:
    """Our fields of local layers; none without a window."""
    if "local" not in pattern or window is None:
        return {}
    return {"layer_pattern": pattern, "window": window}
