"""Recurrent networks and text generation on NumPy.

Read in this order: ``_steps`` (how padding is left out), ``_lstm`` (the operation), ``_layers``
(the modules), ``_recurrent_lm`` (a language model), ``_stepwise`` (what generation asks of a
model), ``_sampling`` and ``_generate``.
"""

from foundation_seq import functional
from foundation_seq._generate import generate
from foundation_seq._layers import LSTM
from foundation_seq._recurrent_lm import RecurrentLM
from foundation_seq._sampling import SamplingConfig, token_probabilities
from foundation_seq._stepwise import Ids, Logits, StepwiseModel

__all__ = [
    "functional",
    "LSTM",
    "RecurrentLM",
    "Ids",
    "Logits",
    "StepwiseModel",
    "SamplingConfig",
    "token_probabilities",
    "generate",
]
