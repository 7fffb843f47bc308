"""Sizes and probabilities that cannot be meant are refused by the class that was called."""

import numpy as np
import pytest
from foundation_seq import GRU, LSTM, RNN, LSTMCell, RecurrentLM, Seq2Seq, SequenceClassifier

WRONG = {
    "a text": (lambda: RNN("10", 5), "RNN: expected input_size to be a number, got the str '10'"),
    "half a unit": (
        lambda: LSTM(3, 5.5),
        "LSTM: expected hidden_size to be a whole number, got 5.5",
    ),
    "a flag in the place of the layers": (
        lambda: GRU(3, 5, True),
        "GRU: expected num_layers to be a number, got the bool True",
    ),
    "a probability that is a text": (
        lambda: LSTM(3, 5, 2, dropout="0.1"),
        "LSTM: expected dropout to be a number, got the str '0.1'",
    ),
    "a cell of nothing": (lambda: LSTMCell(3, 0), "LSTMCell: expected hidden_size >= 1, got 0"),
    "a vocabulary instead of its size": (
        lambda: RecurrentLM(["a", "b"], 3, 5),
        "RecurrentLM: expected vocab_size to be a number, got a list",
    ),
    "half a class": (
        lambda: SequenceClassifier(7, 2.5, 3, 5),
        "SequenceClassifier: expected num_classes to be a whole number, got 2.5",
    ),
    "dropout of everything": (
        lambda: Seq2Seq(7, 7, 3, 5, dropout=1.0),
        "Seq2Seq: expected 0 <= dropout < 1, got 1.0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_that_cannot_be_meant_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        make()


def test_sizes_may_be_of_any_integer_type():
    layer = LSTM(np.int64(3), np.int32(5), rng=np.random.default_rng(0))
    output, _ = layer(np.ones((2, 4, 3), np.float32))
    assert output.shape == (2, 4, 5)
    assert type(layer.hidden_size) is int  # as JSON can hold it


def test_what_is_on_or_off_is_true_or_false():
    with pytest.raises(TypeError, match="bidirectional to be True or False, got the str 'no'"):
        LSTM(3, 4, bidirectional="no")
