"""Looking at the weights of every attention layer while a model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from foundation_nn import Module
from numpy.typing import NDArray

from foundation_attn._layer_names import layer_title


@dataclass(frozen=True)
class AttentionMap:
    """The weights of one call of one layer.

    Attributes
    ----------
    name : str
        The layer's path in the model, e.g. ``decoder.layers.1.multihead_attn``.
    kind : str
        ``"self"`` or ``"cross"``.
    weights : (B, H, T, S) array
        Before dropout; each row sums to one, or is zero if it may attend to nothing.
    """

    name: str
    kind: str
    weights: NDArray[Any]

    @property
    def title(self) -> str:
        """What a picture calls the layer, such as ``decoder layer 2, attention to the source``.

        Layers are counted from 1, as heads are in all pictures.
        """
        return layer_title(self.name, self.kind)


class AttentionMaps(list[AttentionMap]):
    """The maps of a run in the order of the calls."""

    def __init__(self, model: Module | None = None) -> None:
        super().__init__()
        self._names = {} if model is None else {id(m): name for name, m in model.named_modules()}

    def record(self, layer: Module, kind: str, weights: NDArray[Any]) -> None:
        """Add the weights of one call."""
        name = self._names.get(id(layer)) or f"{kind}_attention_{len(self) + 1}"
        self.append(AttentionMap(name, kind, weights))


_maps: ContextVar[AttentionMaps | None] = ContextVar("attention_maps", default=None)


@contextmanager
def capture_attention(model: Module | None = None) -> Iterator[AttentionMaps]:
    """Collect the weights of every attention layer that runs within this context.

    Outside of it nothing is computed or kept.

    Parameters
    ----------
    model : Module, optional
        Gives the maps the names of its layers.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_attn import MultiHeadAttention, capture_attention
    >>> from foundation_nn import Tensor
    >>> layer = MultiHeadAttention(8, num_heads=2, rng=np.random.default_rng(0))
    >>> with capture_attention() as maps:
    ...     y = layer(Tensor(np.ones((1, 3, 8), np.float32)))
    >>> maps[0].weights.shape  # one sentence, two heads, three queries, three keys
    (1, 2, 3, 3)
    """
    maps = AttentionMaps(model)
    token = _maps.set(maps)
    try:
        yield maps
    finally:
        _maps.reset(token)


def is_capturing() -> bool:
    """Whether weights are collected: whoever does attention without this package's layers asks."""
    return _maps.get() is not None


def active_maps() -> AttentionMaps | None:
    """Where to record weights, if anybody wants them."""
    return _maps.get()
