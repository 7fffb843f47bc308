"""What a type checker knows of the call of a module.

``typing.assert_type`` is an error for mypy if the type is another one, and does nothing at run
time: then the calls themselves must work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import numpy as np
from foundation_attn import MultiHeadAttention, SelfAttention
from foundation_nn import (
    GELU,
    MLP,
    BatchNorm1d,
    Dropout,
    Embedding,
    Identity,
    LayerNorm,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    ReLU,
    RMSNorm,
    Sequential,
    Tensor,
)
from foundation_seq import GRU, LSTM, RNN, LSTMCell, RecurrentLM, SequenceClassifier
from foundation_transformer import (
    CausalLM,
    FeedForward,
    LearnedPositions,
    SinusoidalPositions,
    Transformer,
    TransformerConfig,
    TransformerDecoder,
    TransformerEncoder,
)
from numpy.typing import NDArray


class Block(Module):
    """A student's module: neither a cast nor a ``type: ignore``."""

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        self.layers = ModuleList(Linear(width, width, rng=rng) for _ in range(2))
        self.heads = ModuleDict({"mean": Linear(width, 1, rng=rng)})
        self.norm = LayerNorm(width)

    def forward(self, x: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x) * scale, self.heads["mean"](x)


class Residual(Module):
    """A module around another one, or around a function."""

    def __init__(self, inner: Callable[[Tensor], Tensor]) -> None:
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def layers(rng: np.random.Generator) -> None:
    x = Tensor(np.ones((2, 4), np.float32))
    ids: NDArray[np.int64] = np.array([[1, 2, 3]])
    assert_type(Linear(4, 3)(x), Tensor)
    assert_type(Linear(4, 3)(x.data), Tensor)
    assert_type(Sequential(Linear(4, 3), ReLU())(x), Tensor)
    assert_type(MLP([4, 5, 1], GELU)(x), Tensor)
    assert_type(Embedding(7, 4)(ids), Tensor)
    assert_type(Dropout(0.5)(x), Tensor)
    assert_type(Identity()(x), Tensor)
    assert_type(LayerNorm(4)(x), Tensor)
    assert_type(RMSNorm(4)(x), Tensor)
    assert_type(BatchNorm1d(4)(x), Tensor)
    block = Block(4, rng)
    assert_type(block(x, scale=2.0), tuple[Tensor, Tensor])
    assert_type(block.layers[0], Linear)
    assert_type(block.layers[1:], ModuleList[Linear])
    assert_type(Residual(Linear(4, 4, rng=rng))(x), Tensor)


def recurrent(rng: np.random.Generator) -> None:
    x = Tensor(np.ones((2, 3, 4), np.float32))
    ids: NDArray[np.int64] = np.array([[1, 2, 3]])
    assert_type(RNN(4, 5)(x), tuple[Tensor, Tensor])
    assert_type(GRU(4, 5)(x, lengths=[3, 2]), tuple[Tensor, Tensor])
    assert_type(LSTM(4, 5)(x), tuple[Tensor, tuple[Tensor, Tensor]])
    output, (h, _) = LSTM(4, 5, rng=rng)(x)
    assert_type(output, Tensor)
    assert_type(h, Tensor)
    assert_type(LSTMCell(4, 5)(x[:, 0]), tuple[Tensor, Tensor])
    assert_type(RecurrentLM(7, 4, 5)(ids), Tensor)
    assert_type(SequenceClassifier(7, 2, 4, 5)(ids), Tensor)


def transformers() -> None:
    x = Tensor(np.ones((2, 3, 8), np.float32))
    ids: NDArray[np.int64] = np.array([[1, 2, 3]])
    assert_type(SelfAttention(8)(x), Tensor)
    assert_type(MultiHeadAttention(8, 2)(x, causal=True), Tensor)
    assert_type(SinusoidalPositions(8, 3)(x), Tensor)
    assert_type(LearnedPositions(8, 3)(x), Tensor)
    assert_type(FeedForward(8, 16)(x), Tensor)
    memory = TransformerEncoder(2, 8, 2, 16)(x)
    assert_type(memory, Tensor)
    assert_type(TransformerDecoder(2, 8, 2, 16)(x, memory), Tensor)
    sizes = TransformerConfig(vocab_size=11, d_model=8, num_heads=2, num_layers=1, d_ff=16)
    assert_type(CausalLM(sizes)(ids), Tensor)
    assert_type(Transformer(sizes)(ids, ids), Tensor)


def mistakes() -> None:
    """Never called: mypy must find each of these, or it would say that the comment is unused."""
    x = Tensor([1.0])
    Linear(2, 3)("text")  # type: ignore[arg-type]
    Linear(2, 3)(x, x)  # type: ignore[call-arg]
    Block(2, np.random.default_rng())(x, scales=2.0)  # type: ignore[call-arg]
    Residual(LSTM(2, 2))  # type: ignore[arg-type]
    ModuleList([1, 2])  # type: ignore[type-var]
    ModuleDict({"a": Linear(2, 3)})["a"].weights()  # type: ignore[attr-defined]
    text: str = MLP([2, 3])(x)  # type: ignore[assignment]
    del text


def main() -> None:
    rng = np.random.default_rng(0)
    layers(rng)
    recurrent(rng)
    transformers()


if __name__ == "__main__":
    main()
