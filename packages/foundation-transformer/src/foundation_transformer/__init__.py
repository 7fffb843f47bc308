"""Transformers that can be read, trained and run, on NumPy."""

from foundation_transformer import recipes
from foundation_transformer._layers import (
    DecoderCache,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from foundation_transformer._positions import LearnedPositions, SinusoidalPositions
from foundation_transformer._stacks import TransformerDecoder, TransformerEncoder
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import TextTokenizer, translate
from foundation_transformer._translator import Translator
from foundation_transformer.config import TransformerConfig

__all__ = [
    "DecoderCache",
    "LearnedPositions",
    "SinusoidalPositions",
    "TextTokenizer",
    "Transformer",
    "TransformerConfig",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Translator",
    "recipes",
    "translate",
]
