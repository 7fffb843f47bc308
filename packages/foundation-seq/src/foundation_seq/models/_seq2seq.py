"""From one sequence to another, through a state of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Embedding, Module, Tensor, init, no_grad, number, whole_number
from foundation_nn import functional as F
from numpy.typing import ArrayLike

from foundation_seq.generation._stepwise import Ids, Logits
from foundation_seq.models._recurrent_lm import RecurrentLM
from foundation_seq.recurrent._layers import LSTM, LSTMState


class Seq2Seq(Module):
    """An LSTM reads the source; a language model, started from its state, writes the target [1]_.

    All that the decoder knows about the source is the state in which the encoder has ended; there
    is no attention. In [1]_ the source is read backwards; here it is read as it is given.

    Parameters
    ----------
    vocab_size, target_vocab_size : int
        Of the source and of the target.
    embedding_dim, hidden_size, num_layers : int
        The same on both sides.
    dropout : float
        On the embeddings, between the layers and before the output, within ``train_mode`` only.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If a size is less than one, or ``dropout`` is not in [0, 1).

    References
    ----------
    .. [1] I. Sutskever, O. Vinyals and Q. V. Le, "Sequence to Sequence Learning with Neural
       Networks", NIPS 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_seq import generate
    >>> model = Seq2Seq(11, 7, embedding_dim=3, hidden_size=5)
    >>> source, target = np.array([[1, 2, 3, 4]]), np.array([[1, 5]])
    >>> model(source, target).shape
    (1, 2, 7)
    >>> written = generate(model.about(source), [[1]], max_new_tokens=6)
    >>> len(written[0])
    6
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        rng = init.generator(rng)
        self.vocab_size = whole_number("Seq2Seq", "vocab_size", vocab_size, at_least=1)
        self.dropout = number("Seq2Seq", "dropout", dropout, at_least=0, less_than=1)
        self.embedding = Embedding(vocab_size, embedding_dim, rng=rng)
        between = dropout if num_layers > 1 else 0.0
        self.encoder = LSTM(embedding_dim, hidden_size, num_layers, dropout=between, rng=rng)
        self.decoder = RecurrentLM(
            target_vocab_size, embedding_dim, hidden_size, num_layers, dropout, rng=rng
        )

    def forward(self, source: Ids, target: Ids, source_lengths: ArrayLike | None = None) -> Tensor:
        """Logits (B, T, V) of the token after each of the target: teacher forcing.

        Parameters
        ----------
        source : (B, S) integer array
        target : (B, T) integer array
            Begins with ``bos_id``. Padding at its end needs no lengths, because no logit before it
            depends on it.
        source_lengths : (B,) integers, optional

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, or an id lies outside its vocabulary.
        """
        return self.decoder.read(target, state=self.encode(source, source_lengths))[0]

    def encode(self, source: Ids, lengths: ArrayLike | None = None) -> tuple[Tensor, Tensor]:
        """The state after reading the source: a pair of (num_layers, B, H) tensors."""
        if np.ndim(source) != 2:
            raise ValueError(
                f"Seq2Seq: expected source of shape (B, S), got {np.shape(source)}; "
                "write source[None] for a single row"
            )
        _, (h, c) = self.encoder(F.dropout(self.embedding(source), self.dropout), lengths)
        return h, c

    def about(self, source: Ids, lengths: ArrayLike | None = None) -> SourceWriter:
        """A step-wise model that writes about these sources, one prompt for each."""
        with no_grad():
            return SourceWriter(self.decoder, self.encode(source, lengths))

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a model, for checkpoints."""
        config = self.decoder.to_dict()
        return config | {
            "vocab_size": self.vocab_size,
            "target_vocab_size": config["vocab_size"],
        }


class SourceWriter:
    """A decoder bound to the states of its sources; see :class:`StepwiseModel`."""

    def __init__(self, decoder: RecurrentLM, sources: LSTMState) -> None:
        self.decoder = decoder
        self.sources = sources

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[Logits, LSTMState]:
        """Read the prompts, one for each source."""
        del capacity
        batch = self.sources[0].shape[1]
        if len(prompt) != batch:
            raise ValueError(
                f"expected one prompt for each of the {batch} sources, got {len(prompt)}"
            )
        return self.decoder.start_from(self.sources, prompt, lengths)

    def step(self, state: LSTMState, tokens: Ids) -> tuple[Logits, LSTMState]:
        """Append one token to each row."""
        return self.decoder.step(state, tokens)

    def select(self, state: LSTMState, rows: Ids) -> LSTMState:
        """Leave out, repeat or move rows."""
        return self.decoder.select(state, rows)
