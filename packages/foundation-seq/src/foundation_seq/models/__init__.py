"""Models made of recurrent layers.

In reading order: ``_classifier`` (a class for a sequence), ``_recurrent_lm`` (a language model) and
``_seq2seq`` (from one sequence to another).
"""

from foundation_seq.models._classifier import SequenceClassifier
from foundation_seq.models._recurrent_lm import RecurrentLM
from foundation_seq.models._seq2seq import Seq2Seq

__all__ = ["SequenceClassifier", "RecurrentLM", "Seq2Seq"]
