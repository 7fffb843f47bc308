"""Initial weights, as plain arrays drawn from a generator.

For a weight of shape ``(out, in)`` the fan-in is ``in`` and the fan-out is ``out``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foundation_nn._publish import publish
from foundation_nn.engine._habit_tables import OF_INIT
from foundation_nn.engine._modes import require_room, skipping_init

__all__ = [
    "generator",
    "zeros",
    "ones",
    "uniform",
    "normal",
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
    "gpt2_residual",
    "torch_linear",
]

Weights = NDArray[np.float32]


def generator(rng: np.random.Generator | None) -> np.random.Generator:
    """``rng`` itself, or a fresh generator for None.

    Raises
    ------
    TypeError
        If it is anything else; a seed is not a generator.
    """
    if rng is None:
        return np.random.default_rng()
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng: expected a numpy.random.Generator, got {type(rng).__name__}; "
            "write rng=np.random.default_rng(seed)"
        )
    return rng


def zeros(shape: Sequence[int]) -> Weights:
    """All zero, as biases begin."""
    return _constant(0, shape)


def ones(shape: Sequence[int]) -> Weights:
    """All one, as the scales of normalisations begin."""
    return _constant(1, shape)


def _constant(value: float, shape: Sequence[int]) -> Weights:
    if skipping_init():
        require_room(shape)
        return np.broadcast_to(np.float32(value), shape)
    return np.full(shape, value, np.float32)


def uniform(rng: np.random.Generator, shape: Sequence[int], bound: float) -> Weights:
    """Uniform on [-bound, bound); variance bound² / 3."""
    if skipping_init():
        return _constant(0, shape)
    return ((2 * rng.random(shape, dtype=np.float32) - 1) * bound).astype(np.float32)


def normal(rng: np.random.Generator, shape: Sequence[int], std: float) -> Weights:
    """Normal with mean 0 and standard deviation ``std``."""
    if skipping_init():
        return _constant(0, shape)
    return rng.standard_normal(shape, dtype=np.float32) * np.float32(std)


def xavier_uniform(rng: np.random.Generator, shape: Sequence[int]) -> Weights:
    """Uniform with variance 2 / (fan_in + fan_out) [1]_, for tanh and linear layers.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.
    """
    return uniform(rng, shape, math.sqrt(6 / (shape[0] + shape[1])))


def xavier_normal(rng: np.random.Generator, shape: Sequence[int]) -> Weights:
    """Normal with variance 2 / (fan_in + fan_out), after Glorot and Bengio."""
    return normal(rng, shape, math.sqrt(2 / (shape[0] + shape[1])))


def he_uniform(rng: np.random.Generator, shape: Sequence[int]) -> Weights:
    """Uniform with variance 2 / fan_in [1]_, for ReLU layers.

    References
    ----------
    .. [1] K. He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.
    """
    return uniform(rng, shape, math.sqrt(6 / shape[1]))


def he_normal(rng: np.random.Generator, shape: Sequence[int]) -> Weights:
    """Normal with variance 2 / fan_in [1]_, for ReLU layers.

    References
    ----------
    .. [1] K. He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.
    """
    return normal(rng, shape, math.sqrt(2 / shape[1]))


def orthogonal(rng: np.random.Generator, shape: Sequence[int], gain: float = 1.0) -> Weights:
    """Rows (or columns, whichever are fewer) that are orthonormal times ``gain`` [1]_.

    The Q of a QR decomposition of a normal matrix, its signs chosen so that all such matrices are
    equally likely.

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics
       of learning in deep linear neural networks", ICLR 2014, arXiv:1312.6120.
    """
    if skipping_init():
        return _constant(0, shape)
    rows, columns = shape
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return np.asarray(gain * (q if rows >= columns else q.T), np.float32)


def gpt2_residual(
    rng: np.random.Generator, shape: Sequence[int], num_layers: int, std: float = 0.02
) -> Weights:
    """Normal with standard deviation std / √(2 · num_layers), for what ends a residual branch [1]_.

    A layer adds two branches to the stream, so that its variance at the end does not depend on
    the number of layers.

    References
    ----------
    .. [1] A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019,
       section 2.3.
    """
    return normal(rng, shape, std / math.sqrt(2 * num_layers))


def torch_linear(rng: np.random.Generator, shape: Sequence[int], fan_in: int) -> Weights:
    """Uniform on ±1/√fan_in: the default of PyTorch's ``nn.Linear``, weight and bias.

    A layer without inputs gets a bias of zero, as in PyTorch.
    """
    return uniform(rng, shape, 1 / math.sqrt(fan_in) if fan_in else 0.0)


publish(__name__, OF_INIT)
