"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self, cast, overload

import numpy as np
from numpy.typing import NDArray

from foundation_nn import init
from foundation_nn._arguments import described, whole_number
from foundation_nn.engine._tensor import Tensor
from foundation_nn.modules._activations import GELU, ReLU, Sigmoid, SiLU, Tanh
from foundation_nn.modules._linear import Linear
from foundation_nn.modules._module import Module


class Sequential(Module):
    """Layers applied one after the other; parameters are named ``0.weight``, ``1.weight``, …

    Parameters
    ----------
    *layers : Module or callable
        A function of one tensor, such as ``functional.relu``, is a layer without parameters.

    Raises
    ------
    TypeError
        If something cannot be called, or is a class instead of a layer.

    Examples
    --------
    >>> from foundation_nn import Linear, Sequential, Tensor, functional
    >>> model = Sequential(Linear(2, 3), functional.relu, Linear(3, 1))
    >>> model(Tensor([[1.0, 2.0]])).shape
    (1, 1)
    """

    def __init__(self, *layers: Module | Callable[[Tensor], Tensor]) -> None:
        for i, layer in enumerate(layers):
            _check_layer(i, layer)
            setattr(self, str(i), layer)

    def __iter__(self) -> Iterator[Any]:
        return (layer for name, layer in vars(self).items() if name.isdigit())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One layer, or a ``Sequential`` of several of them: ``model[:-1]`` lacks the last."""
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def forward(self, x: Tensor | NDArray[Any]) -> Tensor:
        y: Any = x
        for layer in self:
            y = layer(y)
        return cast(Tensor, y)

    def to_dict(self) -> dict[str, Any]:
        """The layers, for a checkpoint."""
        return {"layers": list(self)}

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`, given layers that were made anew."""
        return cls(*config["layers"])

    def _shown(self) -> Iterator[tuple[str, Any]]:
        for i, layer in enumerate(self):
            yield str(i), layer


def _check_layer(i: int, layer: Any) -> None:
    if isinstance(layer, Module):
        return
    owner = getattr(layer, "__self__", None)
    if isinstance(layer, list | tuple):
        fix = "unpack it: Sequential(*layers)"
    elif isinstance(layer, type):
        fix = f"make a layer of it: {layer.__name__}(...)"
    elif isinstance(owner, Module):  # its parameters would not be found
        fix = f"pass the {type(owner).__name__} itself"
    elif not callable(layer):
        fix = "a layer is a Module, or a function of one tensor"
    else:
        return
    raise TypeError(f"Sequential: expected a layer at position {i}, got {described(layer)}; {fix}")


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
    TypeError
        If ``activation`` is not the class of a module.
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
        kind: Any = activation
        if not (isinstance(kind, type) and issubclass(kind, Module)):
            raise TypeError(
                f"MLP: expected activation to be a class such as ReLU, got {described(kind)}"
            )
        self.widths = [
            whole_number("MLP", f"widths[{i}]", width, at_least=0) for i, width in enumerate(widths)
        ]
        self.activation = activation
        rng = init.generator(rng)
        layers: list[Module] = []
        for fan_in, fan_out in pairwise(self.widths):
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
