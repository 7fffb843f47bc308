"""How good a model is.

Read in this order: ``_surprisal`` and ``_language_model`` (how well a model tells the next token),
``_log_likelihood`` (how likely texts are after a prompt), ``_questions``, ``_choices`` and
``_answers`` (tasks), ``_harness`` (the tasks of others), ``_translation``, ``_labels``.
"""

from foundation_nn import publish

from foundation_transformer.evaluation._answers import (
    AnswerScores,
    normalise_answer,
    score_answers,
)
from foundation_transformer.evaluation._choices import ChoiceScores, score_choices
from foundation_transformer.evaluation._harness import HarnessModel
from foundation_transformer.evaluation._labels import LabelScores, score_labels
from foundation_transformer.evaluation._language_model import (
    LanguageModelScores,
    score_language_model,
    score_text,
)
from foundation_transformer.evaluation._log_likelihood import (
    LogLikelihood,
    encode_after,
    log_likelihoods,
)
from foundation_transformer.evaluation._questions import (
    AnswerQuestion,
    ChoiceQuestion,
    EvaluationTokenizer,
    Prompt,
    read_questions,
)
from foundation_transformer.evaluation._rate import Rate
from foundation_transformer.evaluation._surprisal import surprisal
from foundation_transformer.evaluation._translation import TranslationScores, score_translations

__all__ = [
    "AnswerQuestion",
    "AnswerScores",
    "ChoiceQuestion",
    "ChoiceScores",
    "EvaluationTokenizer",
    "HarnessModel",
    "LabelScores",
    "LanguageModelScores",
    "LogLikelihood",
    "Prompt",
    "Rate",
    "TranslationScores",
    "encode_after",
    "log_likelihoods",
    "normalise_answer",
    "read_questions",
    "score_answers",
    "score_choices",
    "score_labels",
    "score_language_model",
    "score_text",
    "score_translations",
    "surprisal",
]

publish(__name__)
