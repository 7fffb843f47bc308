"""Recurrent networks and text generation on NumPy.

Three rooms, in reading order, each of which tells the order of its files:

* ``recurrent``: RNN, GRU and LSTM, over whole sequences and step by step.
* ``generation``: writing text with any model that works step by step.
* ``models``: a classifier, a language model and an encoder-decoder; ``recipes`` trains them.
"""

from foundation_nn import publish

from foundation_seq import functional, recipes
from foundation_seq.generation import (
    Draft,
    DraftReader,
    Hypothesis,
    Ids,
    Logits,
    NewToken,
    PromptLookup,
    SamplingConfig,
    StepwiseModel,
    beam_search,
    generate,
    stream_text,
    stream_tokens,
    token_probabilities,
)
from foundation_seq.models import RecurrentLM, Seq2Seq, SequenceClassifier
from foundation_seq.recurrent import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    RNNCell,
    from_keras,
    lstm_gates,
    state_gradients,
)

__version__: str  # see publish

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
    "Draft",
    "DraftReader",
    "PromptLookup",
    "NewToken",
    "stream_tokens",
    "stream_text",
    "Hypothesis",
    "beam_search",
]

publish(__name__)
