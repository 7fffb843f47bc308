"""Ways to train that work, in one call each."""

from foundation_nn import publish

from foundation_transformer.recipes._answers import (
    IGNORE_INDEX,
    AnswerBatch,
    answer_loss,
    answer_targets,
)
from foundation_transformer.recipes._language_model import language_model_loss, train_lm
from foundation_transformer.recipes._translation import (
    Batches,
    train_like_vaswani,
    train_translator,
    translation_loss,
)
from foundation_transformer.recipes._windows import (
    RandomWindows,
    TokenSource,
    WindowBatch,
    consecutive_windows,
)

__all__ = [
    "IGNORE_INDEX",
    "AnswerBatch",
    "Batches",
    "RandomWindows",
    "TokenSource",
    "WindowBatch",
    "answer_loss",
    "answer_targets",
    "consecutive_windows",
    "language_model_loss",
    "train_like_vaswani",
    "train_lm",
    "train_translator",
    "translation_loss",
]

publish(__name__)
