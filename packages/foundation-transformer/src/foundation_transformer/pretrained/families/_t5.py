"""T5 [1]_, T5 1.1 and Flan-T5 [2]_.

Norms without a mean before each branch, no biases, a learned bias of the scores by distance in
place of positions, and products of queries and keys that are not scaled. T5 1.1 and Flan-T5 have a
gated feed-forward network and an output layer of their own.

References
----------
.. [1] C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
   Transformer", JMLR 2020, arXiv:1910.10683.
.. [2] H. W. Chung et al., "Scaling Instruction-Finetuned Language Models", JMLR 2024,
   arXiv:2210.11416.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._transformer import Transformer
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields

#: Their feed-forward networks and our activations. What they call GELU beside a gate is GPT-2's
#: approximation.
_ACTIVATIONS = {
    "relu": "relu",
    "gated-gelu": "geglu_tanh",
    "gated-gelu_new": "geglu_tanh",
    "gated-silu": "swiglu",
}


def _read(c: Fields) -> TransformerConfig:
    c.only("is_encoder_decoder", True)
    c.only("is_decoder", False)
    network = c.only("feed_forward_proj", *_ACTIVATIONS)
    c.only("is_gated_act", network != "relu")
    c.only("dense_act_fn", *{"gated-silu": ("silu",)}.get(network, ("relu", "gelu_new")))
    d_model = c.count("d_model")
    num_layers = c.count("num_layers")
    # T5 1.1 was told from T5 by this field alone, until transformers 5 named what it stands for.
    tied = c.flag("tie_word_embeddings", True)
    return TransformerConfig(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("n_positions", 512),
        d_model=d_model,
        num_heads=c.count("num_heads"),
        head_width=c.count("d_kv"),
        num_layers=num_layers,
        num_decoder_layers=c.get("num_decoder_layers", int | None, None) or num_layers,
        d_ff=c.count("d_ff"),
        dropout=c.number("dropout_rate", 0.1),
        activation=_ACTIVATIONS[network],
        norm="rms",
        norm_eps=c.number("layer_norm_epsilon", 1e-6),
        norm_first=True,
        positions="buckets",
        num_buckets=c.count("relative_attention_num_buckets", 32),
        max_distance=c.count("relative_attention_max_distance", 128),
        attention_scale=1.0,
        bias=False,
        scale_embeddings=False,
        share_embeddings=True,
        tie_embeddings=tied,
        logit_scale=d_model**-0.5 if c.flag("scale_decoder_outputs", tied) else 1.0,
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    networks = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    network = networks.get(c.activation, "relu")
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": c.vocab_size,
        "n_positions": c.max_len,
        "d_model": c.d_model,
        "num_heads": c.num_heads,
        "d_kv": c.width_of_heads,
        "num_layers": c.num_layers,
        "num_decoder_layers": c.decoder_layers,
        "d_ff": c.feed_forward_width,
        "dropout_rate": c.dropout,
        "feed_forward_proj": network,
        "is_gated_act": network != "relu",
        "dense_act_fn": {"relu": "relu", "gated-silu": "silu"}.get(network, "gelu_new"),
        "layer_norm_epsilon": c.norm_eps,
        "relative_attention_num_buckets": c.num_buckets,
        "relative_attention_max_distance": c.max_distance,
        "tie_word_embeddings": c.tie_embeddings,
        "scale_decoder_outputs": c.logit_scale != 1,
    }


def _modules(c: TransformerConfig) -> dict[str, str]:
    """The names of our modules and theirs."""
    modules = {"source_embedding": "shared", "output": "lm_head"}
    modules |= {f"{stack}.norm": f"{stack}.final_layer_norm" for stack in ("encoder", "decoder")}
    for stack, branches in (("encoder", 2), ("decoder", 3)):
        ours, theirs = stack + ".layers.{i}.", stack + ".block.{i}.layer."
        modules |= _attention(f"{ours}self_attn", f"{theirs}0.SelfAttention")
        last = f"{theirs}{branches - 1}.DenseReluDense"
        gated = c.activation != "relu"
        modules |= {f"{ours}norm{n + 1}": f"{theirs}{n}.layer_norm" for n in range(branches)}
        modules[f"{ours}linear1"] = f"{last}.wi_0 {last}.wi_1" if gated else f"{last}.wi"
        modules[f"{ours}linear2"] = f"{last}.wo"
    ours, theirs = "decoder.layers.{i}.multihead_attn", "decoder.block.{i}.layer.1.EncDecAttention"
    return modules | _attention(ours, theirs)


def _attention(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.in_proj": f"{theirs}.q {theirs}.k {theirs}.v",
        f"{ours}.out_proj": f"{theirs}.o",
        f"{ours}.relative": f"{theirs}.relative_attention_bias",
    }


T5 = Family(
    name="T5",
    model=Transformer,
    read=_read,
    write=_write,
    modules=_modules,
    prefix="",
    irrelevant="initializer_factor num_hidden_layers",
    # A table that cross-attention has in old files and does not read.
    ignored=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
    copies={
        "shared.weight": ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
    },
)
