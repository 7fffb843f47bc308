"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from foundation_nn import init
from foundation_nn._engine import Tensor
from foundation_nn._module import Module
from foundation_nn.modules._activations import ReLU
from foundation_nn.modules._linear import Linear


class Sequential(Module):
    """Modules applied one after the other; parameters are named ``0.weight``, ``1.weight``, …"""

    def __init__(self, *layers: Module) -> None:
        for i, layer in enumerate(layers):
            setattr(self, str(i), layer)

    def __iter__(self) -> Iterator[Module]:
        return iter(vars(self).values())

    def __len__(self) -> int:
        return len(vars(self))

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


class MLP(Sequential):
    """A multi-layer perceptron: linear layers with an activation between them.

    Parameters
    ----------
    widths : sequence of int
        From input to output, e.g. ``[2, 8, 1]``.
    activation : callable
        Makes one activation module for each gap.
    rng : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If fewer than two widths are given.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Callable[[], Module] = ReLU,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        if len(widths) < 2:
            raise ValueError(f"MLP: expected at least two widths [in, ..., out], got {widths}")
        rng = init.generator(rng)
        layers: list[Module] = []
        for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [Linear(fan_in, fan_out, rng=rng), activation()]
        super().__init__(*layers[:-1])
