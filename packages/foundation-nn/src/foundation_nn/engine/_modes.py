"""A mode is a place in the code, not a flag on a layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_generator: ContextVar[np.random.Generator | None] = ContextVar("generator", default=None)


@contextmanager
def train_mode(rng: np.random.Generator | None) -> Iterator[None]:
    """Within this context dropout is on and draws from ``rng``; everywhere else it is off.

    ``train_mode(None)`` switches it off again, for an evaluation in the midst of training.

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


_skipping: ContextVar[bool] = ContextVar("skipping", default=False)


@contextmanager
def skip_init() -> Iterator[None]:
    """Within this context parameters are made without values, for weights that will be loaded.

    Nothing is drawn, and until it is given a value a parameter takes no memory: with
    ``load_state_dict(state, assign=True)`` a model is loaded in the memory of its weights.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Linear, skip_init
    >>> with skip_init():
    ...     layer = Linear(1000, 1000)
    >>> layer.load_state_dict({"weight": np.eye(1000), "bias": np.zeros(1000)}, assign=True)
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def skipping_init() -> bool:
    """Whether values of parameters are not wanted."""
    return _skipping.get()
