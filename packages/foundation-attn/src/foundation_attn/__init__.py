"""Attention, from one query to many heads, on NumPy.

Read in this order: ``masks``, ``_basic`` (scores, softmax, context), ``_self_attention`` (one
head), ``_attention`` (the function), ``_fused`` (the operation: a block's scores, weights and
output, and their gradients; ``_scores``, ``_rule`` and ``_blocks`` beneath it), ``_multi_head``
(``_projections`` holds its weights, ``_head_inputs`` what its heads work on, ``_arguments`` what it
refuses), ``_cache``, ``_decoder`` and ``_seq2seq`` (a recurrent translator), ``_capture`` (whose
layers ``_layer_names`` names for people) and ``plotting``.
"""

from foundation_nn import publish

from foundation_attn._attention import attention, attention_weights
from foundation_attn._basic import (
    additive_score,
    dot_score,
    general_score,
    masked_softmax,
    score_attention,
)
from foundation_attn._cache import KVCache
from foundation_attn._capture import AttentionMap, AttentionMaps, capture_attention, is_capturing
from foundation_attn._decoder import AttentionDecoder, DecoderState
from foundation_attn._heads import merge_heads, split_heads
from foundation_attn._measures import HeadScores, hard_alignment, head_scores
from foundation_attn._multi_head import MultiHeadAttention
from foundation_attn._self_attention import SelfAttention
from foundation_attn._seq2seq import AttentionSeq2Seq, AttentionWriter

__version__: str  # see publish

__all__ = [
    "AttentionDecoder",
    "AttentionMap",
    "AttentionMaps",
    "AttentionSeq2Seq",
    "AttentionWriter",
    "DecoderState",
    "HeadScores",
    "KVCache",
    "MultiHeadAttention",
    "SelfAttention",
    "additive_score",
    "attention",
    "attention_weights",
    "capture_attention",
    "dot_score",
    "general_score",
    "hard_alignment",
    "head_scores",
    "is_capturing",
    "masked_softmax",
    "merge_heads",
    "score_attention",
    "split_heads",
]

publish(__name__)
