"""Recurrent networks over whole sequences, and their backward through time.

In reading order:

* ``_rnn``, ``_gru``, ``_lstm``: the formulas of one step, and the loops over time; ``_gates`` holds
  arithmetic that they share.
* ``_recurrence``: everything but the loop: projected inputs, threads, gradients of the weights.
* ``_steps``, ``_panels``: how padding is left out; the product within the loop.
* ``_stack``, ``_layers``, ``_cells``: the modules.
* ``_inspect``, ``_keras``: gates and gradients step by step; weights from Keras.
"""

from foundation_seq.recurrent._cells import GRUCell, LSTMCell, RNNCell
from foundation_seq.recurrent._inspect import lstm_gates, state_gradients
from foundation_seq.recurrent._keras import from_keras
from foundation_seq.recurrent._layers import GRU, LSTM, RNN

__all__ = [
    "RNN",
    "GRU",
    "LSTM",
    "RNNCell",
    "GRUCell",
    "LSTMCell",
    "from_keras",
    "lstm_gates",
    "state_gradients",
]
