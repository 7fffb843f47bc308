"""Which families there are, and which of them a model belongs to."""

from __future__ import annotations

from typing import Any

from foundation_nn import Module, did_you_mean

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._bert import BERT
from foundation_transformer.pretrained.families._distilbert import DISTILBERT
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._gemma import GEMMA2, GEMMA3
from foundation_transformer.pretrained.families._gpt2 import GPT2
from foundation_transformer.pretrained.families._llama import LLAMA
from foundation_transformer.pretrained.families._marian import MARIAN
from foundation_transformer.pretrained.families._mistral import MISTRAL
from foundation_transformer.pretrained.families._modernbert import MODERNBERT
from foundation_transformer.pretrained.families._mpnet import MPNET
from foundation_transformer.pretrained.families._nomic import NOMIC
from foundation_transformer.pretrained.families._olmo2 import OLMO2
from foundation_transformer.pretrained.families._phi3 import PHI3
from foundation_transformer.pretrained.families._qwen import QWEN2, QWEN3
from foundation_transformer.pretrained.families._roberta import ROBERTA
from foundation_transformer.pretrained.families._smollm3 import SMOLLM3
from foundation_transformer.pretrained.families._t5 import T5

#: By ``model_type`` in ``config.json``. A model that several can write is written as the first.
FAMILIES: dict[str, Family] = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": MISTRAL,
    "qwen2": QWEN2,
    "qwen3": QWEN3,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA3,
    "gemma3": GEMMA3,
    "smollm3": SMOLLM3,
    "phi3": PHI3,
    "olmo2": OLMO2,
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,  # the same with words of a hundred languages
    "camembert": ROBERTA,  # the same in French
    "distilbert": DISTILBERT,
    "mpnet": MPNET,
    "modernbert": MODERNBERT,
    "nomic_bert": NOMIC,
    "marian": MARIAN,
    "t5": T5,
}


def family_named(model_type: str | None) -> Family:
    """The family of a ``model_type``.

    Raises
    ------
    ValueError
        If it is not known; the message says which are, and which is nearest.
    """
    if model_type is None or model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        nearest = did_you_mean(model_type or "", list(FAMILIES), or_all=False)
        raise ValueError(
            f"model_type={model_type!r:.60} is not supported; expected one of {known}{nearest}"
        )
    return FAMILIES[model_type]


def family_of(model: Module) -> Family:
    """The family that can say all that a model's configuration does.

    Raises
    ------
    TypeError
        If it is no model of these kinds.
    ValueError
        If there is none; the message says where each differs.
    """
    if not isinstance(model, CausalLM | TextEncoder | Transformer):
        raise TypeError(
            "save_pretrained: expected a CausalLM, a TextEncoder or a Transformer, got a "
            f"{type(model).__name__}"
        )
    reasons = []
    for family in FAMILIES.values():
        if isinstance(model, family.model):
            differences = _differences(model.config, family)
            if not differences:
                return family
            reasons.append(f"{family.name} differs in {', '.join(differences)}")
    said = "; ".join(dict.fromkeys(reasons))  # a family may have two names
    raise ValueError(f"save_pretrained: no family has such a model: {said}")


def _differences(config: TransformerConfig, family: Family) -> list[str]:
    """The fields that do not come back from a family's ``config.json``."""
    written = family.write(config)
    try:
        again = family.config(written)
    except ValueError as error:
        return [str(error)]
    return differing_fields(config, again, family.model is Transformer)


def differing_fields(
    config: TransformerConfig, again: TransformerConfig, translates: bool = False
) -> list[str]:
    """What a configuration says that did not come back from a file."""
    wanted, found = _spelled_out(config), _spelled_out(again)
    if translates:  # which scales them unless it is told not to
        wanted["scale_embeddings"] = config.scale_embeddings is not False
        found["scale_embeddings"] = again.scale_embeddings is not False
    # Pairs of rotary positions are an order of rows, and a pooler or a bias of the output that is
    # not there is not written.
    for name in ("rotary_pairs", "dropout", "pooler", "output_bias"):
        del wanted[name]
    if not config.pooler:
        del wanted["pooler_activation"]
    return [f"{name}={value!r}" for name, value in wanted.items() if value != found[name]]


def _spelled_out(c: TransformerConfig) -> dict[str, Any]:
    """All fields, with what None stands for."""
    stands_for = {
        "num_kv_heads": c.num_kv_heads or c.num_heads,
        "head_width": c.width_of_heads,
        "d_ff": c.feed_forward_width,
        "num_decoder_layers": c.decoder_layers,
        "target_vocab_size": c.decoder_vocab_size,
        "share_embeddings": c.shares_embeddings,
        "attention_scale": c.attention_scale or c.width_of_heads**-0.5,
        "attention_bias": c.attention_bias or ("all" if c.bias else "none"),
        "norm_bias": c.has_norm_bias,
        "layer_pattern": c.layer_kinds,
        "rotary_width": c.rotary_width or c.width_of_heads,
        "scale_embeddings": bool(c.scale_embeddings),
    }
    return c.to_dict() | stands_for
