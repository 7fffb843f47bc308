"""Recurrent networks and text generation on NumPy.

Read in this order: ``_rnn``, ``_gru`` and ``_lstm`` (the formulas and the loops over time), with
``_gates`` (their arithmetic), ``_recurrence`` (what the three share), ``_steps`` (how padding is
left out) and ``_panels`` (the product within the loop); ``_stack``, ``_layers`` and ``_cells`` (the
modules); ``_inspect`` (gates and gradients step by step) and ``_keras`` (weights from there);
``_classifier``, ``_recurrent_lm`` and ``_seq2seq`` (the models) and ``recipes`` (their training).
Then the generation of text: ``_stepwise`` (what it asks of a model), ``_generate`` (the loop),
``_sampling`` and ``_choose`` (one token), ``_growing_text`` and ``_stream_text`` (from tokens to
text), ``_beam_search``.
"""

from foundation_seq import functional, recipes
from foundation_seq._beam_search import Hypothesis, beam_search
from foundation_seq._cells import GRUCell, LSTMCell, RNNCell
from foundation_seq._classifier import SequenceClassifier
from foundation_seq._generate import NewToken, generate, stream_tokens
from foundation_seq._inspect import lstm_gates, state_gradients
from foundation_seq._keras import from_keras
from foundation_seq._layers import GRU, LSTM, RNN
from foundation_seq._recurrent_lm import RecurrentLM
from foundation_seq._sampling import SamplingConfig, token_probabilities
from foundation_seq._seq2seq import Seq2Seq
from foundation_seq._stepwise import Ids, Logits, StepwiseModel
from foundation_seq._stream_text import stream_text

__all__ = [
    "functional",
    "RNN",
    "GRU",
    "LSTM",
    "RNNCell",
    "GRUCell",
    "LSTMCell",
    "from_keras",
    "lstm_gates",
    "state_gradients",
    "SequenceClassifier",
    "RecurrentLM",
    "Seq2Seq",
    "recipes",
    "Ids",
    "Logits",
    "StepwiseModel",
    "SamplingConfig",
    "token_probabilities",
    "generate",
    "NewToken",
    "stream_tokens",
    "stream_text",
    "Hypothesis",
    "beam_search",
]
