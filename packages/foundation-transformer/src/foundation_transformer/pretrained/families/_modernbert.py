"""ModernBERT [1]_: built like a decoder of its time, but every token sees both sides.

Two of three layers look at a window, whose rotary base is another. Nothing has a bias. The
embeddings are normalised, so that the first layer leaves its first norm out.

References
----------
.. [1] B. Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder", 2024,
   arXiv:2412.13663.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family
from foundation_transformer.pretrained.families._fields import Fields

_KINDS = {"full_attention": "global", "sliding_attention": "local"}
_GATED = {"gelu": "geglu", "gelu_new": "geglu_tanh", "gelu_pytorch_tanh": "geglu_tanh"}


def _read(c: Fields) -> TransformerConfig:
    bias = c.flag("attention_bias", False)
    c.only("mlp_bias", bias)
    c.only("norm_bias", bias)
    num_layers = c.count("num_hidden_layers")
    every = c.count("global_attn_every_n_layers", 3)
    types = c.get("layer_types", list[str] | None, None) or [
        "sliding_attention" if i % every else "full_attention" for i in range(num_layers)
    ]
    if len(types) != num_layers or not set(types) <= set(_KINDS):
        raise ValueError(
            f"layer_types: expected {num_layers} of {' and '.join(_KINDS)}, got {types!r:.60}"
        )
    has_local_layers = "sliding_attention" in types
    window = c.count("local_attention", 128) // 2 + 1  # so many before a token, and after it
    bases = _bases(c)
    local_base = bases["sliding_attention"] if has_local_layers else None
    return TransformerConfig(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("hidden_size"),
        num_heads=c.count("num_attention_heads"),
        num_layers=num_layers,
        d_ff=c.count("intermediate_size"),
        dropout=0.0,
        activation=_GATED[c.only("hidden_activation", *_GATED)],
        norm_eps=c.number("norm_eps", 1e-5),
        norm_first=True,
        positions="rotary",
        rotary_base=bases["full_attention"],
        layer_pattern=tuple(_KINDS[kind] for kind in types),
        window=window if has_local_layers else None,
        local_rotary_base=local_base,
        bias=bias,
        embedding_norm=True,
        first_norm=False,
    )


def _bases(c: Fields) -> dict[str, float]:
    """The rotary base of each kind of layer, in the newer and the older way of writing it."""
    newer = c.inner("rope_parameters")
    c.only("rope_scaling", None)
    bases = {}
    for kind, older, default in (
        ("full_attention", "global_rope_theta", 160_000.0),
        ("sliding_attention", "local_rope_theta", 10_000.0),
    ):
        rope = newer.inner(kind)
        rope.only("rope_type", "default")
        said = [rope.get("rope_theta", float | None, None), c.get(older, float | None, None)]
        bases[kind] = float(next(filter(None, said), default))
    return bases


def _write(c: TransformerConfig) -> dict[str, Any]:
    theirs = {ours: name for name, ours in _KINDS.items()}
    bases = {"global": c.rotary_base, "local": c.local_rotary_base or c.rotary_base}
    return {
        "architectures": ["ModernBertModel"],
        "model_type": "modernbert",
        "vocab_size": c.vocab_size,
        # Unsaid, they are numbers of the published vocabulary, which another does not have.
        **dict.fromkeys(f"{role}_token_id" for role in ("bos", "cls", "eos", "pad", "sep")),
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_activation": "gelu" if c.activation == "geglu" else "gelu_pytorch_tanh",
        "norm_eps": c.norm_eps,
        "attention_bias": c.bias,
        "mlp_bias": c.bias,
        "norm_bias": c.bias,
        "layer_types": [theirs.get(kind, kind) for kind in c.layer_kinds],
        "local_attention": 2 * ((c.window or 65) - 1),
        "rope_parameters": {
            theirs[kind]: {"rope_type": "default", "rope_theta": base}
            for kind, base in bases.items()
        },
    }


MODERNBERT = Family(
    name="ModernBERT",
    model=TextEncoder,
    read=_read,
    write=_write,
    modules={
        "embedding": "embeddings.tok_embeddings",
        "embedding_norm": "embeddings.norm",
        "stack.layers.{i}.norm1": "layers.{i}.attn_norm",
        "stack.layers.{i}.self_attn.in_proj": "layers.{i}.attn.Wqkv",
        "stack.layers.{i}.self_attn.out_proj": "layers.{i}.attn.Wo",
        "stack.layers.{i}.norm2": "layers.{i}.mlp_norm",
        "stack.layers.{i}.linear1": "layers.{i}.mlp.Wi",
        "stack.layers.{i}.linear2": "layers.{i}.mlp.Wo",
        "stack.norm": "final_norm",
    },
    prefix="model.",
    # Training, heads, and how it is computed.
    irrelevant=(
        "classifier_activation classifier_bias classifier_pooling cls_token_id decoder_bias "
        "deterministic_flash_attn embedding_dropout initializer_cutoff_factor layer_norm_eps "
        "mlp_dropout position_embedding_type reference_compile repad_logits_with_grad "
        "sparse_pred_ignore_index sparse_prediction tie_word_embeddings"
    ),
)
