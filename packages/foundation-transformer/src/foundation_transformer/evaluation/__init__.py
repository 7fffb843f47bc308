"""How good a model is."""

from foundation_nn import publish

from foundation_transformer.evaluation._language_model import (
    LanguageModelScores,
    score_language_model,
    score_text,
)
from foundation_transformer.evaluation._surprisal import surprisal
from foundation_transformer.evaluation._translation import TranslationScores, score_translations

__all__ = [
    "LanguageModelScores",
    "TranslationScores",
    "score_language_model",
    "score_text",
    "score_translations",
    "surprisal",
]

publish(__name__)
