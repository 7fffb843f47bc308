"""Ways to train that work, in one call each."""

from foundation_nn import publish

from foundation_transformer.recipes._answers import (
    IGNORE_INDEX,
    AnswerBatch,
    answer_loss,
    answer_targets,
)
from foundation_transformer.recipes._classification import (
    classification_accuracy,
    classification_loss,
    train_classifier,
)
from foundation_transformer.recipes._distillation import (
    DistillationLoss,
    TopTokens,
    distillation_loss,
    top_tokens,
    train_student,
)
from foundation_transformer.recipes._fit import padded
from foundation_transformer.recipes._language_model import (
    TextBatch,
    language_model_loss,
    train_lm,
)
from foundation_transformer.recipes._masked_lm import (
    MaskedBatch,
    MaskedBatches,
    mask_tokens,
    masked_lm_loss,
    train_masked_lm,
)
from foundation_transformer.recipes._preference import (
    Preference,
    PreferenceBatch,
    answer_log_probs,
    dpo_loss,
    encode_preferences,
    preference_accuracy,
    preference_arrays,
    preference_loss,
    read_preferences,
    train_dpo,
    with_reference,
)
from foundation_transformer.recipes._sentences import info_nce, sentence_loss, train_sentences
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
    "DistillationLoss",
    "MaskedBatch",
    "MaskedBatches",
    "Preference",
    "PreferenceBatch",
    "RandomWindows",
    "TextBatch",
    "TokenSource",
    "TopTokens",
    "WindowBatch",
    "answer_loss",
    "answer_targets",
    "answer_log_probs",
    "classification_accuracy",
    "classification_loss",
    "consecutive_windows",
    "distillation_loss",
    "dpo_loss",
    "encode_preferences",
    "info_nce",
    "language_model_loss",
    "mask_tokens",
    "masked_lm_loss",
    "padded",
    "preference_accuracy",
    "preference_arrays",
    "preference_loss",
    "read_preferences",
    "sentence_loss",
    "top_tokens",
    "train_classifier",
    "train_dpo",
    "train_like_vaswani",
    "train_lm",
    "train_masked_lm",
    "train_sentences",
    "train_student",
    "train_translator",
    "translation_loss",
    "with_reference",
]

publish(__name__)
