"""Transformers that can be read, trained and run, on NumPy.

Read in this order: ``config`` (``_config_checks`` has what it refuses), ``_positions``,
``_relative``, ``_rotary_scaling`` and ``_buckets`` (where a token stands), ``_feed_forward``,
``_layers`` (which ``_layer_parts`` makes), ``_stacks`` (and ``_recompute``, for less memory), the
three models ``_transformer``, ``_causal_lm`` and ``_text_encoder``, ``_heads`` (classifiers, masked
tokens), ``_translator``, ``_decoding``, ``_sentence_translator`` and ``_translate`` (generation
with caches), ``pretrained`` (published models), ``recipes`` and ``evaluation``.
"""

from foundation_nn import publish

from foundation_transformer import adapters, recipes
from foundation_transformer._buckets import RelativeBuckets
from foundation_transformer._causal_lm import CausalLM, TextState
from foundation_transformer._decoding import Decoding
from foundation_transformer._feed_forward import FeedForward, SwiGLU
from foundation_transformer._heads import MaskedLM, TextClassifier
from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer._layers import (
    DecoderCache,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from foundation_transformer._positions import (
    ContextLengthError,
    LearnedPositions,
    SinusoidalPositions,
)
from foundation_transformer._recompute import recompute_layers
from foundation_transformer._relative import ALiBi, Rotary
from foundation_transformer._rotary_scaling import RotaryScaling
from foundation_transformer._sentence_translator import SentenceTranslator, TextTokenizer
from foundation_transformer._stacks import TransformerDecoder, TransformerEncoder
from foundation_transformer._text_encoder import TextEncoder, mean_pool
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer._translator import TranslationState, Translator
from foundation_transformer.config import TransformerConfig
from foundation_transformer.pretrained import load_pretrained, save_pretrained

__version__: str  # see publish

__all__ = [
    "ALiBi",
    "CausalLM",
    "ContextLengthError",
    "DecoderCache",
    "Decoding",
    "FeedForward",
    "KnownTokens",
    "LearnedPositions",
    "MaskedLM",
    "RelativeBuckets",
    "Rotary",
    "RotaryScaling",
    "SentenceTranslator",
    "SinusoidalPositions",
    "SwiGLU",
    "TextClassifier",
    "TextEncoder",
    "TextState",
    "TextTokenizer",
    "Transformer",
    "TransformerConfig",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "TranslationState",
    "Translator",
    "adapters",
    "load_pretrained",
    "mean_pool",
    "recipes",
    "recompute_layers",
    "save_pretrained",
    "translate",
]

publish(__name__)
