"""BERT, MiniLM and other models of sentence-transformers [1]_.

References
----------
.. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
   BERT-Networks", EMNLP 2019, arXiv:1908.10084.
"""

from __future__ import annotations

from typing import Any

from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._family import Family, Head
from foundation_transformer.pretrained.families._fields import Fields, written_activation


def _read(c: Fields) -> TransformerConfig:
    c.only("position_embedding_type", "absolute")
    c.only("is_decoder", False)
    c.only("is_encoder_decoder", False)
    c.only("add_cross_attention", False)
    return TransformerConfig.bert(
        vocab_size=c.count("vocab_size"),
        max_len=c.count("max_position_embeddings"),
        d_model=c.count("hidden_size"),
        num_heads=c.count("num_attention_heads"),
        num_layers=c.count("num_hidden_layers"),
        d_ff=c.count("intermediate_size"),
        dropout=c.number("hidden_dropout_prob", 0.1),
        activation=c.activation("hidden_act", "gelu"),
        norm_eps=c.number("layer_norm_eps", 1e-12),
        num_token_types=c.count("type_vocab_size", 2),
    )


def _write(c: TransformerConfig) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.max_len,
        "hidden_size": c.d_model,
        "num_attention_heads": c.num_heads,
        "num_hidden_layers": c.num_layers,
        "intermediate_size": c.feed_forward_width,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "hidden_act": written_activation(c.activation),
        "layer_norm_eps": c.norm_eps,
        "type_vocab_size": c.num_token_types,
    }


BERT = Family(
    name="BERT",
    model=TextEncoder,
    read=_read,
    write=_write,
    modules={
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
    },
    prefix="bert.",
    # Dropout and pretraining; the tied embedding is that of a head, which is another model.
    irrelevant=(
        "attention_probs_dropout_prob directionality pooler_fc_size pooler_num_attention_heads "
        "pooler_num_fc_layers pooler_size_per_head pooler_type tie_word_embeddings"
    ),
    ignored=r"embeddings\.position_ids",
    head=Head(pooler=None, classifier="classifier"),
    renamed={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
)
