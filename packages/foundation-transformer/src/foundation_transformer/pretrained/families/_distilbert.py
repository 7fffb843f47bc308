"""DistilBERT [1]_: BERT with half the layers, without token types and without a pooler.

References
----------
.. [1] V. Sanh et al., "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and
   lighter", 2019, arXiv:1910.01108.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family, Head
from foundation_transformer.pretrained.families._fields import Fields, written_activation


def _read(c: Fields) -> TransformerConfig:
    c.get("sinusoidal_pos_embds", bool, False)  # how the table began; its numbers are stored
    c.only("is_decoder", False)
    c.only("is_encoder_decoder", False)
    c.only("add_cross_attention", False)
    return TransformerConfig.bert(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("dim"),
        num_heads=c.count("n_heads"),
        num_layers=c.count("n_layers"),
        d_ff=c.count("hidden_dim"),
        dropout=c.number("dropout", 0.1),
        activation=c.activation("activation", "gelu"),
        num_token_types=0,
        pooler=False,
        pooler_activation="relu",  # of the head
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["DistilBertModel"],
        "model_type": "distilbert",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "dim": c.d_model,
        "n_heads": c.num_heads,
        "n_layers": c.num_layers,
        "hidden_dim": c.feed_forward_width,
        "dropout": c.dropout,
        "attention_dropout": c.dropout,
        "activation": written_activation(c.activation),
    }


DISTILBERT = Family(
    name="DistilBERT",
    model=TextEncoder,
    read=_read,
    write=_write,
    modules={
        "embedding": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "embedding_norm": "embeddings.LayerNorm",
        "stack.layers.{i}.self_attn.in_proj": (
            "transformer.layer.{i}.attention.q_lin transformer.layer.{i}.attention.k_lin "
            "transformer.layer.{i}.attention.v_lin"
        ),
        "stack.layers.{i}.self_attn.out_proj": "transformer.layer.{i}.attention.out_lin",
        "stack.layers.{i}.norm1": "transformer.layer.{i}.sa_layer_norm",
        "stack.layers.{i}.linear1": "transformer.layer.{i}.ffn.lin1",
        "stack.layers.{i}.linear2": "transformer.layer.{i}.ffn.lin2",
        "stack.layers.{i}.norm2": "transformer.layer.{i}.output_layer_norm",
        "pooler": "pre_classifier",
    },
    prefix="distilbert.",
    irrelevant="qa_dropout seq_classif_dropout tie_word_embeddings tie_weights_",
    ignored=r"embeddings\.position_ids",
    head=Head(pooler="pre_classifier", classifier="classifier"),
)
