"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np

from foundation_nn import init
from foundation_nn._module import Module
from foundation_nn._tensor import Tensor
from foundation_nn.modules._activations import GELU, ReLU, Sigmoid, SiLU, Tanh
from foundation_nn.modules._linear import Linear


class Sequential(Module):
    """Modules applied one after the other; parameters are named ``0.weight``, ``1.weight``, …"""

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def __iter__(self) -> Iterator[Module]:
        return (layer for _, layer in self._children() if isinstance(layer, Module))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

    def forward(self, x: Tensor) -> Tensor:
        for layer in vars(self).values():
            if isinstance(layer, Module):
                x = layer(x)
        return x


_ACTIVATIONS: tuple[type[Module], ...] = (ReLU, GELU, SiLU, Tanh, Sigmoid)


class MLP(Sequential):
    """A multi-layer perceptron: linear layers with an activation between them.

    Parameters
    ----------
    widths : sequence of int
        From input to output, e.g. ``[2, 8, 1]``.
    activation : type of Module
        One is made for each gap.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If fewer than two widths are given.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: type[Module] = ReLU,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if len(widths) < 2:
            raise ValueError(f"MLP: expected at least two widths [in, ..., out], got {widths}")
        self.widths = [int(width) for width in widths]
        self.activation = activation
        rng = init.generator(rng)
        layers: list[Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [Linear(fan_in, fan_out, rng=rng), activation()]
        super().__init__(*layers[:-1])

    def to_dict(self) -> dict[str, Any]:
        """The widths and the kind of activation, for a checkpoint.

        Raises
        ------
        ValueError
            If the activation is not one of this package.
        """
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"MLP: {self.activation.__name__} cannot be saved by name; expected one of "
                f"{', '.join(kind.__name__ for kind in _ACTIVATIONS)}"
            )
        return {"widths": self.widths, "activation": self.activation.__name__}

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new network of a configuration."""
        known = {kind.__name__: kind for kind in _ACTIVATIONS}
        if config["activation"] not in known:
            raise ValueError(f"MLP: unknown activation {config['activation']!r}")
        return cls(config["widths"], known[config["activation"]])
