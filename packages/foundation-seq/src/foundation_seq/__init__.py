"""Recurrent networks and text generation on NumPy.

Read in this order: ``_rnn``, ``_gru`` and ``_lstm`` (the loops), ``_recurrence`` (what they share),
``_steps`` (how padding is left out), ``_panels`` (the product within the loop), ``_layers`` and
``_cells`` (the modules), ``_recurrent_lm`` (a language model), ``_stepwise`` (what generation asks
of a model), ``_sampling``, ``_generate``, ``_stream_text`` and ``_beam_search``.
"""

from foundation_seq import functional
from foundation_seq._beam_search import Hypothesis, beam_search
from foundation_seq._cells import GRUCell, LSTMCell, RNNCell
from foundation_seq._generate import NewToken, generate, stream_tokens
from foundation_seq._layers import GRU, LSTM, RNN
from foundation_seq._recurrent_lm import RecurrentLM
from foundation_seq._sampling import SamplingConfig, token_probabilities
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
    "RecurrentLM",
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
