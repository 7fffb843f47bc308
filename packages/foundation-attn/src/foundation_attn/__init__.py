"""Attention, from one query to many heads, on NumPy."""

from foundation_attn._attention import attention, attention_weights
from foundation_attn._cache import KVCache
from foundation_attn._capture import AttentionMap, AttentionMaps, capture_attention
from foundation_attn._multi_head import MultiHeadAttention, merge_heads, split_heads

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "KVCache",
    "MultiHeadAttention",
    "attention",
    "attention_weights",
    "capture_attention",
    "merge_heads",
    "split_heads",
]
