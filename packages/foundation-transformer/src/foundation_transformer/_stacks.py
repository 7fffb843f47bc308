"""Stacks of layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from foundation_attn import KVCache
from foundation_attn.masks import Mask
from foundation_nn import Identity, Module, Tensor, init, recompute, whole_number

from foundation_transformer._layer_parts import make_norm
from foundation_transformer._layers import (
    DecoderCache,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from foundation_transformer._positions import Positions
from foundation_transformer._recompute import layers_at_once
from foundation_transformer._step import can_step, decoder_step, encoder_step

#: Options that may differ from layer to layer.
_BY_LAYER = ("rotary", "window")


def _of_layer(options: dict[str, Any], i: int) -> dict[str, Any]:
    """The options of layer i."""
    own = {}
    for name in _BY_LAYER:
        pattern = options.get(name)
        if isinstance(pattern, list):
            own[name] = pattern[i % len(pattern)]
    return options | own


class _Stack(Module):
    """What both stacks share: layers of one kind and a final normalisation."""

    layer_type: ClassVar[type[TransformerEncoderLayer | TransformerDecoderLayer]]
    layers: list[Any]  # of that type

    def __init__(
        self,
        num_layers: int,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        final_norm: bool = True,
        first_norm: bool = True,
        **options: Any,
    ) -> None:
        num_layers = whole_number(type(self).__name__, "num_layers", num_layers, at_least=1)
        options["rng"] = init.generator(options.get("rng"))
        self.layers = [
            self.layer_type(d_model, num_heads, d_ff, **_of_layer(options, i))
            for i in range(num_layers)
        ]
        alike = self.layers[0].to_dict()
        norm = alike["norm"], alike["norm_eps"], alike["norm_bias"]
        self.norm = make_norm(d_model, *norm) if final_norm else None
        if not first_norm:
            self.layers[0].norm1 = Identity()

    def _through_layers(self, x: Tensor, call: Callable[[int, Tensor], Tensor]) -> Tensor:
        """``x`` through all layers, one after the other: ``x = call(i, x)`` for layer ``i``."""
        count = len(self.layers)

        def through(first: int, stop: int, x: Tensor) -> Tensor:
            for i in range(first, stop):
                x = call(i, x)
            return x

        size = layers_at_once()
        if size is None:
            return through(0, count, x)
        for first in range(0, count, size):  # only x is kept of what these layers compute
            x = recompute(through, first, min(first + size, count), x)
        return x

    def to_dict(self) -> dict[str, Any]:
        """The arguments that make such a stack, for checkpoints."""
        layers = [layer.to_dict() for layer in self.layers]
        differing = {name: [layer[name] for layer in layers] for name in _BY_LAYER}
        return {
            "num_layers": len(layers),
            "final_norm": self.norm is not None,
            "first_norm": not isinstance(self.layers[0].norm1, Identity),
            **layers[0],
            **differing,
        }

    def _positions_of(self, layer: Any, positions: Positions | None) -> Positions | None:
        """What a layer is told of positions: nothing if others turn by them and it does not."""
        if positions is None or layer.self_attn.rotary is not None:
            return positions
        others_turn = any(each.self_attn.rotary is not None for each in self.layers)
        return None if others_turn else positions


class TransformerEncoder(_Stack):
    """Encoder layers one after the other.

    ``torch.nn.Transformer(...).encoder.state_dict()`` loads as it is.

    Parameters
    ----------
    num_layers, d_model, num_heads, d_ff : int
    final_norm : bool
        Normalise the output, as ``torch.nn.Transformer`` does.
    first_norm : bool
        False leaves out the norm before the first attention, for inputs that are normalised.
    **options
        The others of :class:`TransformerEncoderLayer`. ``rotary`` and ``window`` may be lists, one
        for each layer, which are repeated until there are enough.
    """

    layer_type = TransformerEncoderLayer
    layers: list[TransformerEncoderLayer]

    def forward(
        self,
        x: Tensor,
        key_mask: Mask | None = None,
        mask: Mask | None = None,
        causal: bool = False,
        caches: Sequence[KVCache] | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """(B, T, D) to (B, T, D); see :class:`TransformerEncoderLayer`."""
        layers, norm = self.layers, self.norm
        if caches and can_step(layers, norm, x, caches, key_mask, mask, positions):
            return encoder_step(layers, norm, x, caches, key_mask, positions)

        def call(i: int, x: Tensor) -> Tensor:
            cache = None if caches is None else caches[i]
            places = self._positions_of(layers[i], positions)
            return layers[i](x, key_mask, mask, causal, cache, places)

        x = self._through_layers(x, call)
        return x if norm is None else norm(x)

    def new_caches(self) -> list[KVCache]:
        """Empty caches, one for each layer; they grow."""
        return [KVCache() for _ in self.layers]


class TransformerDecoder(_Stack):
    """Decoder layers one after the other, each with the same memory.

    ``torch.nn.Transformer(...).decoder.state_dict()`` loads as it is. Parameters as for
    :class:`TransformerEncoder`.
    """

    layer_type = TransformerDecoderLayer
    layers: list[TransformerDecoderLayer]

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        key_mask: Mask | None = None,
        memory_key_mask: Mask | None = None,
        mask: Mask | None = None,
        caches: Sequence[DecoderCache] | None = None,
        positions: Positions | None = None,
    ) -> Tensor:
        """(B, T, D) and memory (B, S, D) to (B, T, D); see :class:`TransformerDecoderLayer`."""
        layers, norm = self.layers, self.norm
        source = memory, memory_key_mask
        if caches and can_step(layers, norm, x, caches, key_mask, mask, positions, *source):
            return decoder_step(layers, norm, x, caches, key_mask, memory_key_mask, positions)

        def call(i: int, x: Tensor) -> Tensor:
            cache = None if caches is None else caches[i]
            places = self._positions_of(layers[i], positions)
            return layers[i](x, memory, key_mask, memory_key_mask, mask, cache, places)

        x = self._through_layers(x, call)
        return x if norm is None else norm(x)

    def new_caches(self, memory_len: int) -> list[DecoderCache]:
        """Empty caches, one for each layer; that of the target grows."""
        room = max(1, memory_len)  # a memory may be empty, the room of a cache may not
        return [DecoderCache(KVCache(), KVCache(room)) for _ in self.layers]
