"""Translation by two recurrent networks and attention between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from foundation_nn import Embedding, Linear, Module, Tensor, init, no_grad, one_blas_thread
from foundation_nn import functional as F
from foundation_seq import GRU, LSTM, Ids, beam_search, generate
from numpy.typing import NDArray

from foundation_attn._decoder import AttentionDecoder, DecoderState
from foundation_attn.masks import Mask, check_key_mask

ENCODERS: dict[str, type[LSTM | GRU]] = {"lstm": LSTM, "gru": GRU}


class AttentionSeq2Seq(Module):
    """A bidirectional network reads the source [1]_, an :class:`AttentionDecoder` writes [2]_.

    Parameters
    ----------
    vocab_size, target_vocab_size, embedding_dim, hidden_size : int
        The encoder has ``hidden_size`` units in each direction, the decoder as many.
    score : {"general", "dot", "additive"}
        For "dot" the memory is projected to the width of the decoder.
    dropout : float
        On the embeddings of both sides and the attentional vectors, within ``train_mode``.
    encoder : {"lstm", "gru"}
        What reads the source; in [1]_ it was a GRU. The decoder is an LSTM.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If the score or the encoder is unknown.

    References
    ----------
    .. [1] D. Bahdanau, K. Cho and Y. Bengio, "Neural Machine Translation by Jointly Learning to
       Align and Translate", ICLR 2015, arXiv:1409.0473.
    .. [2] T. Luong, H. Pham and C. D. Manning, "Effective Approaches to Attention-based Neural
       Machine Translation", EMNLP 2015, arXiv:1508.04025.

    Examples
    --------
    >>> import numpy as np
    >>> model = AttentionSeq2Seq(11, 13, embedding_dim=3, hidden_size=5)
    >>> source, target = np.array([[4, 5, 6]]), np.array([[1, 7]])
    >>> model(source, target).shape
    (1, 2, 13)
    """

    def __init__(
        self,
        vocab_size: int,
        target_vocab_size: int,
        embedding_dim: int,
        hidden_size: int,
        score: str = "general",
        dropout: float = 0.0,
        *,
        encoder: str = "lstm",
        rng: np.random.Generator | None = None,
    ) -> None:
        if encoder not in ENCODERS:
            raise ValueError(f"encoder: expected one of {tuple(ENCODERS)}, got {encoder!r}")
        rng = init.generator(rng)
        self.config = {
            "vocab_size": vocab_size,
            "target_vocab_size": target_vocab_size,
            "embedding_dim": embedding_dim,
            "hidden_size": hidden_size,
            "score": score,
            "dropout": dropout,
            "encoder": encoder,
        }
        self.dropout = dropout
        self.embedding = Embedding(vocab_size, embedding_dim, rng=rng)
        self.encoder: LSTM | GRU = ENCODERS[encoder](
            embedding_dim, hidden_size, bidirectional=True, rng=rng
        )
        # The dot score needs a memory as wide as the decoder.
        width = hidden_size if score == "dot" else 2 * hidden_size
        self.narrow = (
            Linear(2 * hidden_size, width, bias=False, rng=rng) if score == "dot" else None
        )
        self.bridge = Linear(2 * hidden_size, hidden_size, rng=rng)
        self.decoder = AttentionDecoder(
            target_vocab_size, embedding_dim, hidden_size, width, score, dropout, rng=rng
        )

    def forward(self, source: Ids, target: Ids, source_mask: Mask | None = None) -> Tensor:
        """Logits of the token after each of the target's: teacher forcing.

        Parameters
        ----------
        source : (B, S) integer array
        target : (B, T) integer array
            Begins with ``bos_id``.
        source_mask : (B, S) bool array, optional
            True where the source is real: the beginning of each row.

        Returns
        -------
        (B, T, V) tensor
        """
        return self.decoder(target, self.encode(source, source_mask))

    def encode(self, source: Ids, source_mask: Mask | None = None) -> DecoderState:
        """Read the sources; the state the decoder begins with."""
        source = np.asarray(source)
        if source.ndim != 2:
            raise ValueError(f"expected source of shape (B, S), got {source.shape}")
        mask = np.ones(source.shape, bool) if source_mask is None else source_mask
        lengths = _lengths(mask, source.shape)
        x = F.dropout(self.embedding(np.where(mask, source, 0)), self.dropout)
        memory, state = self.encoder(x, lengths)
        last = state[0] if isinstance(state, tuple) else state  # hidden; an LSTM's without the cell
        both = F.concat([last[0], last[1]], axis=-1)  # (B, 2 · hidden_size)
        if self.narrow is not None:
            memory = self.narrow(memory)
        return self.decoder.start(memory, mask, F.tanh(self.bridge(both)))

    def bind(self, source: Ids, source_mask: Mask | None = None) -> AttentionWriter:
        """The step-wise model that translates these sources, for ``foundation_seq``."""
        with no_grad():
            return AttentionWriter(self.decoder, self.encode(source, source_mask))

    def translate(
        self,
        source: Ids,
        source_mask: Mask | None = None,
        *,
        bos_id: int,
        eos_id: int,
        max_new_tokens: int,
        beam_size: int = 1,
    ) -> list[list[int]]:
        """Ids of the translations, greedy or by beam search, without ``bos_id`` and ``eos_id``."""
        writer, prompt = self.bind(source, source_mask), [[bos_id]] * len(source)
        if beam_size == 1:
            return generate(writer, prompt, max_new_tokens, stop_ids={eos_id})
        found = beam_search(writer, prompt, max_new_tokens, beam_size=beam_size, stop_ids={eos_id})
        return [best.tokens for best, *_ in found]

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a model, for checkpoints."""
        return dict(self.config)


class AttentionWriter:
    """The step-wise model (see :class:`foundation_seq.StepwiseModel`) of given sources."""

    def __init__(self, decoder: AttentionDecoder, state: DecoderState) -> None:
        self.decoder = decoder
        self.state = state

    def start(self, prompt: Ids, lengths: Ids, capacity: int) -> tuple[NDArray[Any], DecoderState]:
        """Read the prompts, (B, T) ids that begin with ``bos_id``, all of one length."""
        del capacity  # the state does not grow
        if len(prompt) and lengths.min() != prompt.shape[1]:
            raise ValueError(
                "expected prompts of one length; translations begin alike, with bos_id"
            )
        return self._read(self.state, prompt)

    def step(self, state: DecoderState, tokens: Ids) -> tuple[NDArray[Any], DecoderState]:
        """Append one token to each row."""
        return self._read(state, tokens[:, None])

    def select(self, state: DecoderState, rows: Ids) -> DecoderState:
        """The state in which row i is the former row ``rows[i]``."""
        return state.select(rows)

    def _read(self, state: DecoderState, ids: Ids) -> tuple[NDArray[Any], DecoderState]:
        with no_grad(), one_blas_thread():
            logits, state = self.decoder.read(ids, state)
        return logits.data[:, -1], state


def _lengths(mask: Mask, shape: tuple[int, ...]) -> NDArray[np.integer[Any]]:
    check_key_mask(mask, shape, "source_mask")
    lengths: NDArray[np.integer[Any]] = mask.sum(axis=1)
    if (mask != (np.arange(shape[1]) < lengths[:, None])).any():
        raise ValueError("source_mask: expected True for the beginning of each row, padding after")
    return lengths
