"""Recurrent layers and cells. PyTorch's may have the time first, no batch, no biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import foundation_seq
from closeness import NotOurs
from modules import Pair
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def build(theirs: nn.RNNBase) -> Any:
    if theirs.proj_size:
        raise NotOurs("LSTM: proj_size")
    options = {"nonlinearity": theirs.nonlinearity} if isinstance(theirs, nn.RNN) else {}
    kind = getattr(foundation_seq, type(theirs).__name__)
    return kind(
        theirs.input_size, theirs.hidden_size, theirs.num_layers, theirs.bidirectional, **options
    )


def build_cell(theirs: nn.RNNCellBase) -> Any:
    if getattr(theirs, "nonlinearity", "tanh") != "tanh":
        raise NotOurs("RNNCell: relu")
    kind = getattr(foundation_seq, type(theirs).__name__)
    return kind(theirs.input_size, theirs.hidden_size)


def of_each(state: Any, change: Callable[[Any], Any]) -> Any:
    """A state with both of its parts changed, if it is that of an LSTM."""
    if state is None or not isinstance(state, tuple):
        return state if state is None else change(state)
    return tuple(change(part) for part in state)


def run(ours: Any, theirs: nn.RNNBase, x: Any, state: Any = None, lengths: Any = None) -> Any:
    if x.ndim == 2:
        output, last = ours(x[None], lengths, of_each(state, lambda s: s[:, None]))
        return output[0], of_each(last, lambda s: s[:, 0])
    if theirs.batch_first:
        return ours(x, lengths, state)
    output, last = ours(x.swapaxes(0, 1), lengths, state)
    return output.swapaxes(0, 1), last


def run_cell(ours: Any, _theirs: nn.RNNCellBase, x: Any, state: Any = None) -> Any:
    if x.ndim == 2:
        return ours(x, state)
    return of_each(ours(x[None], of_each(state, lambda s: s[None])), lambda s: s[0])


def written_out(theirs: nn.RNNBase, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs of a call; a packed sequence becomes a padded one, and its lengths come last."""
    if not isinstance(inputs[0], PackedSequence):
        return inputs
    x, lengths = pad_packed_sequence(inputs[0], theirs.batch_first)
    return x, None, lengths


def reference(theirs: nn.RNNBase, x: Any, state: Any = None, lengths: Any = None) -> Any:
    if lengths is None:
        return theirs(x, state)
    packed = pack_padded_sequence(x, lengths, theirs.batch_first)
    output, last = theirs(packed, state)
    return pad_packed_sequence(output, theirs.batch_first)[0], last


LAYERS = Pair(build, run, reference, written_out)
CELLS = Pair(build_cell, run_cell)
RECURRENT: dict[type, Pair] = {
    nn.RNN: LAYERS,
    nn.GRU: LAYERS,
    nn.LSTM: LAYERS,
    nn.RNNCell: CELLS,
    nn.GRUCell: CELLS,
    nn.LSTMCell: CELLS,
}
