"""RoBERTa [1]_: a BERT whose positions begin after the row of padding.

XLM-RoBERTa and CamemBERT are the same, with other vocabularies.

References
----------
.. [1] Y. Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019,
   arXiv:1907.11692.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained.families._bert import BERT
from foundation_transformer.pretrained.families._family import Family, Head
from foundation_transformer.pretrained.families._fields import Fields


def _read(c: Fields) -> TransformerConfig:
    like_bert = BERT.read(c)
    first = c.get("pad_token_id", int | None, None)
    first = 2 if first is None else first + 1
    if first < 1 or first >= like_bert.max_len:
        raise ValueError(f"pad_token_id: expected an id below max_position_embeddings, got {first}")
    return replace(like_bert, first_position=first, max_len=like_bert.max_len - first)


def _write(c: TransformerConfig) -> dict[str, Any]:
    like_bert = BERT.write(replace(c, first_position=0, max_len=c.max_len + c.first_position))
    return like_bert | {
        "architectures": ["RobertaModel"],
        "model_type": "roberta",
        "pad_token_id": c.first_position - 1,
    }


ROBERTA = Family(
    name="RoBERTa",
    model=BERT.model,
    read=_read,
    write=_write,
    modules=BERT.modules,
    prefix="roberta.",
    irrelevant=BERT.irrelevant,
    ignored=BERT.ignored,
    renamed=BERT.renamed,
    head=Head(pooler="classifier.dense", classifier="classifier.out_proj"),
)
