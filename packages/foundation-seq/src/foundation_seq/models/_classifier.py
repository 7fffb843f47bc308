"""A class for a whole sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Embedding, Linear, Module, Tensor, init, number, whole_number
from foundation_nn import functional as F
from numpy.typing import ArrayLike

from foundation_seq.generation._stepwise import Ids
from foundation_seq.recurrent._layers import LSTM


class SequenceClassifier(Module):
    """Embedding, LSTM, and a linear output on its last state: from token ids to one class.

    Parameters
    ----------
    vocab_size, num_classes, embedding_dim, hidden_size, num_layers : int
    bidirectional : bool
        Read in both directions; the output sees where each of them ended.
    dropout : float
        On the embeddings, between the layers and before the output, within ``train_mode`` only.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If a size is less than one, or ``dropout`` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> model = SequenceClassifier(11, 2, embedding_dim=3, hidden_size=5)
    >>> model(np.array([[1, 2, 3], [4, 5, 0]]), lengths=[3, 2]).shape
    (2, 2)
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)
        kind = "SequenceClassifier"
        self.vocab_size = whole_number(kind, "vocab_size", vocab_size, at_least=1)
        self.num_classes = whole_number(kind, "num_classes", num_classes, at_least=1)
        self.dropout = number(kind, "dropout", dropout, at_least=0, less_than=1)
        self.embedding = Embedding(vocab_size, embedding_dim, rng=rng)
        between = dropout if num_layers > 1 else 0.0
        self.lstm = LSTM(embedding_dim, hidden_size, num_layers, bidirectional, between, rng=rng)
        self.output = Linear(hidden_size * self.lstm.directions, num_classes, rng=rng)

    def forward(self, ids: Ids, lengths: ArrayLike | None = None) -> Tensor:
        """Logits (B, C) of the classes.

        Parameters
        ----------
        ids : (B, T) integer array
        lengths : (B,) integers, optional
            How much of each row is real. Of an empty row the logits are the bias of the output.

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or an id lies outside the vocabulary.
        """
        if np.ndim(ids) != 2:
            raise ValueError(
                f"SequenceClassifier: expected ids of shape (B, T), got {np.shape(ids)}; "
                "write ids[None] for a single row"
            )
        x = F.dropout(self.embedding(ids), self.dropout)
        _, (h, _) = self.lstm(x, lengths)
        last_layer = h[-self.lstm.directions :]  # (directions, B, H): where each of them ended
        ends = F.concat([last_layer[k] for k in range(self.lstm.directions)], axis=-1)
        return self.output(F.dropout(ends, self.dropout))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a model, for checkpoints."""
        return {
            "vocab_size": self.vocab_size,
            "num_classes": self.num_classes,
            "embedding_dim": self.lstm.input_size,
            "hidden_size": self.lstm.hidden_size,
            "num_layers": self.lstm.num_layers,
            "bidirectional": self.lstm.bidirectional,
            "dropout": self.dropout,
        }
