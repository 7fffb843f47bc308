"""Decoder-only language models, which write texts from left to right: GPT-2, Llama and others.

A text is cut into tokens, each of which is a number, its id. From every token and those before it
the model predicts the next one. This is what flows through it (B texts of T tokens each, D numbers
for a token, V tokens in the vocabulary):

    ids        (B, T)
    embedding  (B, T, D)   the row of a table (V, D) that belongs to each token
    positions  (B, T, D)   added: which place in the text it is
    layers     (B, T, D)   attention: every token looks back at the others and adds what it finds;
                           feed-forward: a small network works on each token by itself
    norm       (B, T, D)   to a common scale
    output     (B, T, V)   logits: a score for each token of the vocabulary to be the next

The whole of GPT-2 in plain NumPy. ``p`` holds the parameters by name, as ``state_dict`` gives them:

>>> import numpy as np
>>> def linear(x, p, name):
...     return x @ p[name + ".weight"].T + p[name + ".bias"]
>>> def norm(x, p, name):
...     centred = x - x.mean(axis=-1, keepdims=True)
...     variance = (centred**2).mean(axis=-1, keepdims=True)
...     return centred / np.sqrt(variance + 1e-5) * p[name + ".weight"] + p[name + ".bias"]
>>> def attention(x, p, name, H):
...     B, T, D = x.shape
...     K = D // H  # the width of each of H heads
...     qkv = x @ p[name + ".in_proj_weight"].T + p[name + ".in_proj_bias"]  # (B, T, 3D)
...     q, k, v = np.split(qkv, 3, axis=-1)  # (B, T, D) each, which holds H heads side by side
...     q, k, v = [a.reshape(B, T, H, K).swapaxes(1, 2) for a in (q, k, v)]  # (B, H, T, K) each
...     scores = q @ k.swapaxes(-1, -2) / np.sqrt(K)  # (B, H, T, T): how well each token fits
...     scores = np.where(np.tri(T, dtype=bool), scores, -np.inf)  # nobody sees a later token
...     weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
...     weights /= weights.sum(axis=-1, keepdims=True)  # softmax: each row sums to 1
...     heads = weights @ v  # (B, H, T, K): means of what the tokens seen have to say
...     return linear(heads.swapaxes(1, 2).reshape(B, T, D), p, name + ".out_proj")
>>> def gelu(h):
...     return h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))) / 2
>>> def plain_gpt(ids, p, num_layers, H):
...     T = ids.shape[1]
...     x = p["embedding.weight"][ids] + p["positions.weight"][:T]  # (B, T, D)
...     for i in range(num_layers):
...         layer = f"stack.layers.{i}."
...         x = x + attention(norm(x, p, layer + "norm1"), p, layer + "self_attn", H)
...         h = gelu(linear(norm(x, p, layer + "norm2"), p, layer + "linear1"))  # (B, T, 4D)
...         x = x + linear(h, p, layer + "linear2")
...     x = norm(x, p, "stack.norm")
...     return x @ p["embedding.weight"].T  # (B, T, V): the embedding's table serves twice

It computes what the class below does:

>>> from foundation_transformer import CausalLM, TransformerConfig
>>> config = TransformerConfig.gpt2(vocab_size=11, d_model=8, num_heads=2, num_layers=2, max_len=9)
>>> model = CausalLM(config, rng=np.random.default_rng(0)).astype(np.float64)
>>> ids = np.array([[3, 1, 4, 1, 5]])
>>> logits = model(ids).data  # (1, 5, 11)
>>> np.allclose(logits, plain_gpt(ids, model.state_dict(), num_layers=2, H=2))
True

It is trained with the loss ``cross_entropy(model(ids[:, :-1]), ids[:, 1:])``: at each place the
next token is the target. To write, choose a token from the last logits, append it, and go on:

>>> def write(ids, num_tokens):
...     for _ in range(num_tokens):
...         best = model(ids).data[:, -1].argmax(axis=-1)  # (B,)
...         ids = np.concatenate([ids, best[:, None]], axis=1)
...     return ids

That reads the whole text again for every token. ``start`` and ``step`` remember instead the keys
and values that each layer has computed, and compute those of the new token alone:

>>> def write_from_memory(ids, num_tokens):
...     lengths = np.full(len(ids), ids.shape[1])
...     logits, state = model.start(ids, lengths, capacity=ids.shape[1] + num_tokens)
...     for _ in range(num_tokens):
...         best = logits.argmax(axis=-1)  # (B,)
...         ids = np.concatenate([ids, best[:, None]], axis=1)
...         logits, state = model.step(state, best)
...     return ids
>>> np.array_equal(write(ids, 4), write_from_memory(ids, 4))
True
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from foundation_attn import KVCache
from foundation_attn.masks import Mask, real_positions
from foundation_nn import Embedding, Linear, Module, Tensor, init, no_grad, one_blas_thread
from foundation_nn import functional as F
from numpy.typing import NDArray

from foundation_transformer._build import (
    Ids,
    IntArray,
    absolute_positions,
    init_normal,
    layer_options,
    real_ids,
    refuse_compact,
    require_ids,
)
from foundation_transformer._positions import Positions, require_room
from foundation_transformer._ragged import align_right, real_and_positions, rotary_positions
from foundation_transformer._soft_cap import soft_cap
from foundation_transformer._stacks import TransformerEncoder
from foundation_transformer.config import TransformerConfig


@dataclass
class TextState:
    """What is remembered of the texts while they are written, one text a row.

    Attributes
    ----------
    caches : list of KVCache
        For each layer, the keys and values of all tokens so far.
    padding : (B,) integer array
        How many padding tokens stand at the left of each row, so that all rows end together.
    """

    caches: list[KVCache]
    padding: IntArray

    @property
    def length(self) -> int:
        """How many tokens a row has, padding included: the same in all rows and layers."""
        return self.caches[0].length


class CausalLM(Module):
    """Predicts the next token: logits, from each token and those before it [1]_.

    An embedding, layers in which no token sees a later one, and an output layer. The layers are
    encoder layers, because that is what PyTorch calls a layer that attends to no other text. What
    makes it a GPT-2 or a Llama is its configuration alone: ``TransformerConfig.gpt2()`` or
    ``.llama()``.

    Implements :class:`foundation_seq.StepwiseModel` and :class:`foundation_seq.DraftReader`, so
    that ``generate``, ``stream_tokens`` and ``beam_search`` can write with it, also with drafts.

    Parameters
    ----------
    config : TransformerConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights: normal with standard deviation 0.02, and 0.02 / √(2 layers) for
        the last matrix of each residual branch, as in GPT-2; biases start at zero.

    Attributes
    ----------
    embedding : Embedding
    positions : Module or None
        The layer that adds sinusoidal or learned positions to the embeddings. Rotary positions and
        ALiBi are part of the attention of each layer, so that here it is None.
    stack : TransformerEncoder
    output : Linear
        Without bias; its weight is the embedding's when tied.

    Raises
    ------
    ValueError
        If the configuration has fields for other kinds of models.

    References
    ----------
    .. [1] A. Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> config = TransformerConfig.gpt2(vocab_size=65, d_model=32, num_heads=4, num_layers=2)
    >>> model = CausalLM(config)
    >>> model(np.array([[1, 2, 3, 4, 5]])).shape
    (1, 5, 65)
    """

    def __init__(
        self, config: TransformerConfig, *, rng: np.random.Generator | None = None
    ) -> None:
        config.check_model("CausalLM")  # refuses the fields of other kinds of models
        rng = init.generator(rng)
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.d_model, std=0.02, rng=rng)
        self.positions = absolute_positions(config, rng)
        self.stack = TransformerEncoder(
            config.num_layers,
            config.d_model,
            config.num_heads,
            config.feed_forward_width,
            final_norm=config.has_final_norm,
            # What the configuration says of layers: dropout, activation, norms, rotary, and so on.
            **layer_options(config, rng, causal=True),
        )
        self.output = Linear(config.d_model, config.vocab_size, bias=False, rng=rng)
        if config.tie_embeddings:
            self.output.weight = self.embedding.weight
        # Every matrix is drawn anew, as GPT-2's were; one that is shared is drawn once.
        init_normal(self, rng, branches_of=self.stack)

    def forward(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """Logits for the token after each.

        Parameters
        ----------
        ids : (B, T) integer array
        key_mask : (B, T) bool array, optional
            Padding: True where a token is real. Padding after the real tokens needs no mask: no
            real token sees a later one.
        mask : (B, T, T) or (B, H, T, T) bool array, optional
            A pattern beside causality: True where a token may attend to another. With it, several
            texts in one row can be kept apart.
        positions : (T,) or (B, T) integer array, optional
            The place of each token in its text: 0, 1, 2, ... by default.

        Returns
        -------
        (B, T, V) tensor

        Raises
        ------
        ContextLengthError
            If the text is longer than the model's positions. A model with ALiBi, or without any
            positions, has no limit.
        """
        return self.logits(self.hidden(ids, key_mask, mask, positions))  # (B, T, V)

    def hidden(
        self,
        ids: Ids,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """What the last layer says of each token, (B, T, D), before it becomes logits.

        Parameters are those of :meth:`forward`. Logits of some tokens alone are
        ``logits(hidden[:, some])``.
        """
        return self._through_layers(ids, 0 if positions is None else positions, key_mask, mask)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores for the next token, (..., D) to (..., V), from what the last layer says."""
        scores: Tensor = self.output(hidden)  # h @ W_outputᵀ
        cap = self.config.logit_cap
        return scores if cap is None else soft_cap(scores, cap)

    def _through_layers(
        self,
        ids: Ids,
        positions: int | Positions,
        key_mask: Mask | None,
        mask: Mask | None = None,
        caches: list[KVCache] | None = None,
    ) -> Tensor:
        """From ids (B, T) to what the last layer says of each, (B, T, D).

        ``positions`` is the place of the first token, if the others count on from there. Otherwise
        it is an array of all places, (T,) or (B, T). With ``caches`` the ids follow those that the
        caches hold, and ``key_mask`` (B, S) tells of all S tokens so far.
        """
        require_ids(ids)  # of shape (B, T)
        cache = None if caches is None else caches[0]  # all layers hold the same positions
        # Which of these tokens are no padding, (B, T); None: all of them.
        real = real_positions(np.shape(ids), key_mask, mask, causal=True, cache=cache)
        # x = embedding[ids] + positions[:T]
        x = self.embedding(real_ids(ids, real))  # (B, T, D); padding is read as id 0
        if self.config.scale_embeddings:
            x = x * math.sqrt(self.config.d_model)
        if self.positions is not None:
            x = self.positions(x, positions)
        x = F.dropout(x, self.config.dropout)
        # In each layer, x = x + attention(norm(x)), then x = x + feed_forward(norm(x)); in the end,
        # x = norm(x). Layers with rotary positions count on from what their caches hold. They are
        # told the places of the tokens only where that would be wrong.
        places = rotary_positions(self.config.positions, positions)
        h: Tensor = self.stack(x, key_mask, mask, causal=True, caches=caches, positions=places)
        return h  # (B, T, D)

    # --- writing: start, then step as often as wanted, see foundation_seq.StepwiseModel
    #
    # All of these append ids (B, T) to the texts of a state. They differ in what they return:
    #
    #     append        what the last layer says of each of the new tokens, (B, T, D)
    #     read_ahead    logits after each of the new tokens, (B, T, V), and the state
    #     next_logits   logits after the last of them, (B, V)
    #     step          the same for one new token in each row, and the state

    def start(
        self, prompt: Ids, lengths: IntArray, capacity: int
    ) -> tuple[NDArray[Any], TextState]:
        """Read the beginnings of the texts.

        Parameters
        ----------
        prompt : (B, T) integer array
            One beginning a row, padded at its end with any ids.
        lengths : (B,) integer array
            How many tokens of each row are real, at least 1.
        capacity : int
            How many tokens the longest text will have in the end.

        Returns
        -------
        logits : (B, V) array
            For the token after each beginning.
        state : TextState

        Raises
        ------
        ContextLengthError
            If the texts will be longer than the model's positions.
        ValueError
            If a prompt is empty.
        """
        if self.config.has_length_limit:
            require_room(capacity, self.config.max_len)
        # Padding moves to the left, so that the last column is the last token of every row.
        ids, padding = align_right(prompt, lengths)  # (B, T), (B,)
        state = TextState(self.stack.new_caches(), padding)
        logits = self.next_logits(state, ids)
        return logits, state

    def step(self, state: TextState, tokens: Ids) -> tuple[NDArray[Any], TextState]:
        """Append one token (B,) to each row: the logits (B, V) after it, and the same state."""
        logits = self.next_logits(state, tokens[:, None])
        return logits, state

    def next_logits(self, state: TextState, ids: Ids) -> NDArray[Any]:
        """Append ids (B, T) to the rows, in the state itself; the logits (B, V) after them."""
        with no_grad(), one_blas_thread():
            hidden = self._append(state, ids)  # (B, T, D)
            logits: NDArray[Any] = self.logits(hidden[:, -1:]).data  # (B, 1, V)
        return logits[:, 0]

    def read_ahead(self, state: TextState, tokens: Ids) -> tuple[NDArray[Any], TextState]:
        """Append tokens (B, n) to the rows: logits (B, n, V), after each, and the same state.

        See :class:`foundation_seq.DraftReader`.
        """
        with no_grad(), one_blas_thread():
            logits: NDArray[Any] = self.logits(self._append(state, tokens)).data
        return logits, state

    def append(self, state: TextState, ids: Ids) -> Tensor:
        """Append ids (B, T) to the rows; what the last layer says of each of them, (B, T, D)."""
        with no_grad(), one_blas_thread():
            return self._append(state, ids)

    def _append(self, state: TextState, ids: Ids) -> Tensor:
        start = state.length
        stop = start + ids.shape[1]
        # Which of all tokens are real (B, stop), and the places of the new ones in their texts.
        key_mask, positions = real_and_positions(state.padding, start, stop)
        return self._through_layers(ids, positions, key_mask, caches=state.caches)  # (B, T, D)

    def take_back(self, state: TextState, count: int) -> TextState:
        """The same state, without the last ``count`` tokens of each row."""
        for cache in state.caches:
            cache.shorten(cache.length - count)
        return state

    def select(self, state: TextState, rows: IntArray) -> TextState:
        """The state in which row i is the former row ``rows[i]``; the former state is used up.

        Beam search goes on with the best rows in this way.
        """
        for cache in state.caches:
            cache.reorder(rows)
        return TextState(state.caches, state.padding[rows])

    # --- checkpoints

    def to_dict(self) -> dict[str, Any]:
        """The configuration, for a checkpoint.

        Raises
        ------
        TypeError
            If the model is compact, see :func:`load_pretrained`: its weights are no longer there.
        """
        refuse_compact(self)
        return self.config.to_dict()

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new model of a configuration."""
        return cls(TransformerConfig.from_dict(config))
