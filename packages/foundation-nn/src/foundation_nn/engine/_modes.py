"""A mode is a place in the code, not a flag on a layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

_generator: ContextVar[np.random.Generator | None] = ContextVar("generator", default=None)


@contextmanager
def train_mode(rng: np.random.Generator | None) -> Iterator[None]:
    """Within this context dropout is on and draws from ``rng``; everywhere else it is off.

    ``train_mode(None)`` switches it off again, for an evaluation in the midst of training.

    Batch norm takes the mean and variance of the batch within, and its running values elsewhere.
    The label smoothing of ``foundation_transformer.recipes.translation_loss`` acts within, too.

    Parameters
    ----------
    rng : numpy.random.Generator or None

    Raises
    ------
    TypeError
        When the context is entered, if ``rng`` is something else. A seed is no generator: with
        ``train_mode(0)`` each step would drop the same; make one generator for the whole run.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Dropout, Tensor, train_mode
    >>> drop, x = Dropout(0.5), Tensor(np.ones(99))
    >>> sorted(set(drop(x).data.tolist()))
    [1.0]
    >>> with train_mode(np.random.default_rng(0)):
    ...     sorted(set(drop(x).data.tolist()))
    [0.0, 2.0]
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"train_mode: expected a numpy.random.Generator, got {type(rng).__name__}; "
            "write train_mode(np.random.default_rng(seed))"
        )
    token = _generator.set(rng)
    try:
        yield
    finally:
        _generator.reset(token)


def current_generator() -> np.random.Generator | None:
    """The generator of the surrounding ``train_mode``, or None outside of one."""
    return _generator.get()


@dataclass
class _Room:
    """What parameters may still be made, for weights whose number is known."""

    arrays: int
    numbers: int
    limits: tuple[int, int]

    def require(self, size: int) -> None:
        if self.arrays < 1 or self.numbers < size:
            arrays, numbers = self.limits
            raise ValueError(
                f"the configuration describes a model of far more than the {arrays:,} arrays with "
                f"{numbers:,} numbers that the weights are; the two do not belong together"
            )


#: A configuration that is a little wrong is refused by name, when its weights are loaded. For that
#: it may describe some more than there is.
_MORE_ARRAYS = 64
_MORE_NUMBERS = 1 << 20
_skipping: ContextVar[_Room | bool] = ContextVar("skipping", default=False)


@contextmanager
def skip_init(weights: Iterable[Sequence[int]] | None = None) -> Iterator[None]:
    """Within this context parameters are made without values, for weights that will be loaded.

    Nothing is drawn, and until it is given a value a parameter takes no memory: its ``data`` is
    one zero that is shown in every place. ``load_state_dict(state, assign=True)`` takes the arrays
    of the state over instead of copying them, so that a model is loaded in the memory of its
    weights.

    Parameters
    ----------
    weights : iterable of shapes, optional
        Those of the arrays that will be loaded. A configuration from a file may describe a model of
        any size; what they say then bounds what is built: twice as many parameters and 64 more,
        with twice as many numbers and 2²⁰ more. The first parameter beyond that is refused when it
        is made; so a configuration that is a little wrong is still built, and refused by the names
        of its weights when they are loaded.

    Raises
    ------
    ValueError
        Within the context, from the parameter that is one too many.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Linear, skip_init
    >>> with skip_init():
    ...     layer = Linear(1000, 1000)
    >>> layer.load_state_dict({"weight": np.eye(1000), "bias": np.zeros(1000)}, assign=True)
    """
    room: _Room | bool = True
    if weights is not None:
        sizes = [math.prod(shape) for shape in weights]
        limits = len(sizes), sum(sizes)
        room = _Room(2 * limits[0] + _MORE_ARRAYS, 2 * limits[1] + _MORE_NUMBERS, limits)
    token = _skipping.set(room)
    try:
        yield
    finally:
        _skipping.reset(token)


def skipping_init() -> bool:
    """Whether values of parameters are not wanted."""
    return bool(_skipping.get())


def require_room(shape: Sequence[int], take: bool = False) -> None:
    """Refuse a parameter without values if there are too few weights for it.

    Parameters
    ----------
    shape : sequence of int
    take : bool
        Whether it is made now, and leaves less room for others.

    Raises
    ------
    ValueError
    """
    room = _skipping.get()
    if isinstance(room, _Room):
        size = math.prod(shape)
        room.require(size)
        if take:
            room.arrays -= 1
            room.numbers -= size
