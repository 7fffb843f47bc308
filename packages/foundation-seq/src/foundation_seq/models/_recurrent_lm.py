"""A recurrent language model."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import (
    Embedding,
    Linear,
    Module,
    Tensor,
    init,
    number,
    one_blas_thread,
    whole_number,
)
from foundation_nn import functional as F
from numpy.typing import ArrayLike, NDArray

from foundation_seq.generation._stepwise import Ids, Logits
from foundation_seq.recurrent._layers import LSTM, LSTMState


class RecurrentLM(Module):
    """Embedding, LSTM and a linear output: from each token to the logits of the next [1]_ [2]_.

    Implements :class:`StepwiseModel`, so that :func:`generate` can write with it.

    Parameters
    ----------
    vocab_size, embedding_dim, hidden_size, num_layers : int
    dropout : float
        On the embeddings, between the layers and before the output, within ``train_mode`` only.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If a size is less than one, or ``dropout`` is not in [0, 1).

    References
    ----------
    .. [1] T. Mikolov et al., "Recurrent neural network based language model", Interspeech 2010.
    .. [2] W. Zaremba, I. Sutskever and O. Vinyals, "Recurrent Neural Network Regularization",
       2014, arXiv:1409.2329.

    Examples
    --------
    >>> import numpy as np
    >>> model = RecurrentLM(vocab_size=11, embedding_dim=3, hidden_size=5)
    >>> model(np.array([[1, 2, 3, 4]])).shape
    (1, 4, 11)
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)
        self.vocab_size = whole_number("RecurrentLM", "vocab_size", vocab_size, at_least=1)
        self.dropout = number("RecurrentLM", "dropout", dropout, at_least=0, less_than=1)
        self.embedding = Embedding(vocab_size, embedding_dim, rng=rng)
        between = dropout if num_layers > 1 else 0.0
        self.lstm = LSTM(embedding_dim, hidden_size, num_layers, dropout=between, rng=rng)
        self.output = Linear(hidden_size, vocab_size, rng=rng)

    def forward(self, ids: Ids) -> Tensor:
        """Logits (B, T, V) of the token after each of ``ids`` (B, T)."""
        return self.read(ids)[0]

    def read(
        self, ids: Ids, lengths: ArrayLike | None = None, state: LSTMState | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits as in ``forward``, starting from a state; and the state after the last token.

        Parameters
        ----------
        ids : (B, T) integer array
        lengths : (B,) integers, optional
            How much of each row is real.
        state : pair of (num_layers, B, H) tensors, optional

        Returns
        -------
        logits : (B, T, V) tensor
        state : pair of (num_layers, B, H) tensors

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or an id lies outside the vocabulary.
        """
        output, last = self._hidden(ids, lengths, state)
        return self.output(F.dropout(output, self.dropout)), last

    def _hidden(
        self, ids: Ids, lengths: ArrayLike | None, state: LSTMState | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if np.ndim(ids) != 2:
            raise ValueError(
                f"RecurrentLM: expected ids of shape (B, T), got {np.shape(ids)}; "
                "write ids[None] for a single row"
            )
        x = F.dropout(self.embedding(ids), self.dropout)
        output, last = self.lstm(x, lengths, state)
        return output, last

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[Logits, LSTMState]:
        """Read prompts; see :class:`StepwiseModel`."""
        del capacity  # the state of a recurrent network does not grow
        return self._next(self._hidden(prompt, lengths, None)[1])

    def start_from(self, state: LSTMState, prompt: Ids, lengths: Ids) -> tuple[Logits, LSTMState]:
        """Read prompts as ``start`` does, from a state on."""
        return self._next(self._hidden(prompt, lengths, state)[1])

    def step(self, state: LSTMState, tokens: Ids) -> tuple[Logits, LSTMState]:
        """Append one token to each row; see :class:`StepwiseModel`."""
        with one_blas_thread():
            return self._next(self._hidden(tokens[:, None], None, state)[1])

    def select(self, state: LSTMState, rows: Ids) -> LSTMState:
        """Leave out, repeat or move rows; see :class:`StepwiseModel`."""
        h, c = state
        return h[:, rows], c[:, rows]

    def _next(self, state: tuple[Tensor, Tensor]) -> tuple[NDArray[Any], LSTMState]:
        # The hidden state of the last layer is its output at the last real step.
        return self.output(state[0][-1]).data, state

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a model, for checkpoints."""
        return {
            "vocab_size": self.vocab_size,
            "embedding_dim": self.lstm.input_size,
            "hidden_size": self.lstm.hidden_size,
            "num_layers": self.lstm.num_layers,
            "dropout": self.dropout,
        }
