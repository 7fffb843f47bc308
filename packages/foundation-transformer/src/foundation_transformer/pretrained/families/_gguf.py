"""A GGUF file, seen as the folder that Hugging Face would have.

Its fields and tensors have names of their own, one dialect for each architecture. Rows of queries
and keys may pair otherwise for rotary positions, and what Gemma's norms lack is added already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import did_you_mean
from foundation_nn.files import field
from numpy.typing import NDArray

from foundation_transformer._rotary_scaling import RotaryScaling, rotary_frequencies
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained._gguf import GGUFTensor
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields
from foundation_transformer.pretrained.families._registry import differing_fields, family_named
from foundation_transformer.pretrained.families._rotary import write_scaling

#: The names of modules there, and those of Hugging Face.
MODULES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k": "self_attn.k_proj",
    "attn_k_norm": "self_attn.k_norm",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAST_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_FUSED = {"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}


# --- what each architecture has of its own, as fields of config.json


def _llama(m: Fields, tensors: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    window = m.get("attention.sliding_window", int | None, None)
    if window:  # a Mistral, which has no architecture of its own
        return {"model_type": "mistral", "sliding_window": window}
    return {
        "attention_bias": "blk.0.attn_q.bias" in tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in tensors,
    }


def _nothing(_: Fields, __: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    return {}


def _gemma2(m: Fields, _: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    return _gemma(m, largest=46) | {
        "sliding_window": m.get("attention.sliding_window", int, 4096),
        "attn_logit_softcapping": m.number("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": m.number("final_logit_softcapping", 30.0),
    }


def _gemma3(m: Fields, _: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    return _gemma(m, largest=62) | {
        "sliding_window": m.get("attention.sliding_window", int | None, None),
        "final_logit_softcapping": m.get("final_logit_softcapping", float | None, None),
        "rope_local_base_freq": m.number("rope.freq_base_swa", 10000.0),
    }


def _gemma(m: Fields, largest: int) -> dict[str, Any]:
    """The scale of scores, which the file does not say: the largest model has another one."""
    heads, width = m.count("attention.head_count"), m.count("embedding_length")
    is_largest = m.count("block_count") == largest
    scale_of = width // heads if is_largest else m.count("attention.key_length", 256)
    return {"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": scale_of}


def _phi3(m: Fields, tensors: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    if "rope_factors_long.weight" in tensors:
        raise ValueError("positions that are turned otherwise in long texts are not supported")
    m.get("rope.scaling.original_context_length", int | None, None)  # of those alone
    turned = m.get("rope.dimension_count", int | None, None)
    width = m.count("embedding_length") // m.count("attention.head_count")
    part = 1.0 if turned is None else (turned + 1e-6) / width
    window = m.get("attention.sliding_window", int | None, None)
    return {"sliding_window": window or None} | (
        {} if turned == width else {"partial_rotary_factor": part}
    )


@dataclass(frozen=True)
class _Architecture:
    """How GGUF files hold one family.

    Attributes
    ----------
    model_type : str
        Hugging Face's name.
    modules : mapping from str to str
        Names of modules there, and in Hugging Face's files.
    is_permuted : bool
        Whether rows of queries and keys pair for rotary positions as (2i, 2i + 1).
    read : callable
        The fields that only it has.
    base : float
        Of rotary positions, if the file does not say.
    """

    model_type: str
    modules: Mapping[str, str]
    is_permuted: bool = False
    read: Callable[[Fields, Mapping[str, GGUFTensor]], dict[str, Any]] = _nothing
    base: float = 10000.0


_ARCHITECTURES = {
    "llama": _Architecture("llama", MODULES, is_permuted=True, read=_llama),
    "qwen2": _Architecture("qwen2", MODULES),
    "qwen3": _Architecture("qwen3", MODULES),
    "gemma2": _Architecture("gemma2", MODULES | _LAST_NORMS, read=_gemma2),
    "gemma3": _Architecture("gemma3_text", MODULES | _LAST_NORMS, read=_gemma3, base=1e6),
    "smollm3": _Architecture("smollm3", MODULES, is_permuted=True),
    "phi3": _Architecture("phi3", MODULES | _FUSED, read=_phi3),
    "olmo2": _Architecture("olmo2", MODULES | _LAST_NORMS),
}
#: Fields that say nothing about what a model computes, or what its tensors say better.
_IRRELEVANT = ("rope.scaling.finetuned", "tensor_data_layout", "vocab_size")


class _Written(NamedTuple):
    """A tensor that is to be written, as a reader sees it."""

    array: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def read(self) -> NDArray[np.float32]:
        return self.array


def architecture_of(family: Family) -> tuple[str, dict[str, str]]:
    """What GGUF files call a family, and the names of its modules there by Hugging Face's.

    Raises
    ------
    ValueError
        If they have none that is read here; the message says which they have.
    """
    for name, own in _ARCHITECTURES.items():
        others = ("mistral",) if name == "llama" else ()  # which has no architecture of its own
        if any(family is family_named(each) for each in (own.model_type, *others)):
            return name, {theirs: ours for ours, theirs in own.modules.items()}
    known = dict.fromkeys(family_named(own.model_type).name for own in _ARCHITECTURES.values())
    raise ValueError(
        f"save_gguf: {family.name} is not written; expected a model of one of the families "
        f"{', '.join(known)} or Mistral, such as SmolLM2"
    )


def is_permuted(architecture: str) -> bool:
    """Whether rows of queries and keys pair for rotary positions as (2i, 2i + 1) in the file."""
    return _ARCHITECTURES[architecture].is_permuted


def metadata_of(c: TransformerConfig, architecture: str) -> dict[str, Any]:
    """The fields of a model, without the scaling of its positions; what it has not is not said."""
    counts = {
        "context_length": c.max_len,
        "embedding_length": c.d_model,
        "block_count": c.num_layers,
        "feed_forward_length": c.feed_forward_width,
        "attention.head_count": c.num_heads,
        "attention.head_count_kv": c.num_kv_heads or c.num_heads,
        "attention.key_length": c.width_of_heads,
        "attention.value_length": c.width_of_heads,
        "attention.sliding_window": c.window,
        "rope.dimension_count": c.rotary_width or c.width_of_heads,
        "vocab_size": c.vocab_size,
    }
    numbers = {
        "attention.layer_norm_rms_epsilon": c.norm_eps,
        "rope.freq_base": c.rotary_base,
        "rope.freq_base_swa": c.local_rotary_base,
        "attn_logit_softcapping": c.attention_cap,
        "final_logit_softcapping": c.logit_cap,
    }
    said: dict[str, Any] = {name: n for name, n in counts.items() if n is not None}
    said |= {name: float(x) for name, x in numbers.items() if x is not None}
    prefixed = {f"{architecture}.{name}": value for name, value in said.items()}
    return {"general.architecture": architecture, **prefixed}


def require_readable(
    c: TransformerConfig,
    metadata: Mapping[str, Any],
    tensors: Mapping[str, NDArray[np.float32]],
) -> None:
    """Refuse a model of which a reader of the file would make another one.

    Raises
    ------
    ValueError
        If something that the model does has no place in the file.
    """
    seen: Any = {name: _Written(array) for name, array in tensors.items()}
    try:
        described = config_of(metadata, seen)
        again = family_of_file(described).config(described)
    except ValueError as error:
        raise ValueError(
            f"save_gguf: these files have no place for such a model: {error}"
        ) from None
    differing = differing_fields(c, again)
    if differing:
        raise ValueError(
            f"save_gguf: these files have no place for {', '.join(differing)} of this model"
        )


def config_of(metadata: Mapping[str, Any], tensors: Mapping[str, GGUFTensor]) -> dict[str, Any]:
    """What ``config.json`` would say.

    Raises
    ------
    ValueError
        If the architecture is another one, or a field is missing, of the wrong type, not supported
        or not known.
    """
    architecture = field(metadata, "general.architecture", str, default=None)
    if architecture not in _ARCHITECTURES:
        near = did_you_mean(str(architecture), list(_ARCHITECTURES), or_all=False)
        raise ValueError(
            f"GGUF files of architecture {architecture!r:.60} are not supported; expected one of "
            f"{', '.join(_ARCHITECTURES)}{near}"
        )
    if "token_embd.weight" not in tensors:
        raise ValueError("the tensor 'token_embd.weight' is missing")
    own = _ARCHITECTURES[architecture]
    prefix = f"{architecture}."
    m = Fields(
        {n.removeprefix(prefix): value for n, value in metadata.items() if n.startswith(prefix)}
    )
    heads = m.count("attention.head_count")
    width = m.count("embedding_length")
    head_width = m.count("attention.key_length", width // heads)
    m.only("attention.value_length", head_width)
    m.only("attention.causal", True)
    m.only("expert_count", 0)
    m.only("expert_used_count", 0)
    base = m.number("rope.freq_base", own.base)
    described = {
        "model_type": own.model_type,
        "vocab_size": tensors["token_embd.weight"].shape[0],
        "max_position_embeddings": m.count("context_length"),
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": m.get("attention.head_count_kv", int | None, None),
        "head_dim": head_width,
        "num_hidden_layers": m.count("block_count"),
        "intermediate_size": m.count("feed_forward_length"),
        "rms_norm_eps": _exact(m.number("attention.layer_norm_rms_epsilon")),
        "rope_theta": base,
        "rope_scaling": _scaling(m, tensors, head_width, base),
        "tie_word_embeddings": "output.weight" not in tensors,
        **own.read(m, tensors),
    }
    if "partial_rotary_factor" not in described:
        m.only("rope.dimension_count", head_width)
    m.refuse_others(_IRRELEVANT)
    return described


def _exact(x: float) -> float:
    """A number that was written in float32: 1e-5 comes back as 9.999999747378752e-06."""
    return float(f"{x:.7g}")


def _scaling(
    m: Fields, tensors: Mapping[str, GGUFTensor], head_width: int, base: float
) -> dict[str, Any] | None:
    """Scaled rotary positions, as ``rope_scaling`` has them."""
    # Files that say by how much, and not how, mean the linear kind.
    kind = m.only("rope.scaling.type", "linear", "none", "yarn")
    factor = m.number("rope.scaling.factor", m.number("rope.scale_linear", 1.0))
    m.only("rope.scaling.attn_factor", 1.0)
    if "rope_freqs.weight" in tensors:
        return write_scaling(_llama3(tensors["rope_freqs.weight"].read(), head_width, base))
    if kind == "none" or factor in (0.0, 1.0):
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    m.only("rope.scaling.yarn_log_multiplier", 0.0)
    return {
        "rope_type": "yarn",
        "factor": factor,
        "original_max_position_embeddings": m.count("rope.scaling.original_context_length"),
        "beta_fast": m.get("rope.scaling.yarn_beta_fast", float | None, None),
        "beta_slow": m.get("rope.scaling.yarn_beta_slow", float | None, None),
    }


def _llama3(slower: NDArray[np.float32], head_width: int, base: float) -> RotaryScaling:
    """The scaling of Llama 3.1 to 3.3, from how many times slower each pair turns.

    The file has the result alone. The models differ in the factor, which is that of the slowest
    pair; what it follows from beside that is the same in all of them.
    """
    scaling = RotaryScaling(
        kind="llama3", factor=_exact(float(slower.max())), original_max_len=8192
    )
    expected = times_slower(scaling, head_width, base)
    if slower.shape != expected.shape or not np.allclose(slower, expected, rtol=1e-3):
        raise ValueError("rope_freqs.weight: expected the scaled positions of Llama 3.1 to 3.3")
    return scaling


def times_slower(scaling: RotaryScaling, head_width: int, base: float) -> NDArray[np.float32]:
    """How many times slower each pair of a head turns, (K / 2,)."""
    slower = rotary_frequencies(base, head_width) / scaling.frequencies(base, head_width)
    return slower.astype(np.float32)


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


def family_of_file(described: Mapping[str, Any]) -> Family:
    """The family of a file, whose numbers are ours already."""
    return replace(family_named(described["model_type"]), changed={})


def tensors_of(
    architecture: str, config: Mapping[str, Any], tensors: Mapping[str, GGUFTensor]
) -> dict[str, GGUFTensor | Turned]:
    """The tensors under the names that Hugging Face gives them."""
    own = _ARCHITECTURES[architecture]
    heads: dict[str, int] = {}
    if own.is_permuted:
        H = config["num_attention_heads"]
        heads = {"attn_q": H, "attn_k": config["num_key_value_heads"] or H}
    renamed: dict[str, GGUFTensor | Turned] = {}
    for name, tensor in tensors.items():
        if name == "rope_freqs.weight":
            continue  # it is in the configuration
        match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
        if match is None or match[2] not in own.modules:
            renamed[name] = tensor  # will be refused as unexpected
            continue
        layer = "" if match[1] is None else f"layers.{match[1]}."
        turned = match[2] in heads
        renamed[f"{layer}{own.modules[match[2]]}.{match[3]}"] = (
            Turned(tensor, heads[match[2]]) if turned else tensor
        )
    return renamed


def neighbours_to_halves(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows (heads · K, ...) whose pairs are (2i, 2i + 1), with pairs (i, i + K/2)."""
    paired = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return paired.swapaxes(1, 2).reshape(rows.shape)


def halves_to_neighbours(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The opposite of :func:`neighbours_to_halves`."""
    paired = rows.reshape(heads, 2, -1, *rows.shape[1:])
    return paired.swapaxes(1, 2).reshape(rows.shape)
