"""The operations of this package: each a NumPy kernel with its backward beneath it."""

from foundation_seq.recurrent._gru import gru
from foundation_seq.recurrent._lstm import lstm
from foundation_seq.recurrent._rnn import rnn

__all__ = ["gru", "lstm", "rnn"]
