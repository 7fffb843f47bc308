"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn._threads import over_rows
from foundation_nn.optim._base import Optimizer
from foundation_nn.optim._blocks import a_pair
from foundation_nn.optim._parameters import Parameters


class Adafactor(Optimizer):
    """RMSprop that remembers, of the squares of a matrix, the means of rows and columns [1]_.

    With ω = tᵅ and ρ = min(η, 1 / √t) at step t:
    r ← (1 - ω) r + ω mean(g², rows), c ← (1 - ω) c + ω mean(g², columns),
    v = r cᵀ / max(mean(r), ε₁), u = g / max(√v, ε₁),
    w ← (1 - η λ) w - ρ max(ε₂, rms(w)) u / max(1, rms(u) / d).

    A vector keeps v ← (1 - ω) v + ω g². Of more than two dimensions, the last two are factored.
    A matrix of m rows and n columns has a state of m + n numbers.

    As in PyTorch, and unlike the paper: ρ is at most η instead of 0.01, ε₁ bounds v instead of
    being added to g², and the decay is AdamW's.

    Parameters
    ----------
    model_or_params : Module, Parameter or iterable of Parameter
    lr : float
        η.
    beta2_decay : float
        α <= 0.
    eps : pair of float
        ε₁ and ε₂; ``None`` for ε₁ is the precision of the dtype.
    d : float
        The largest root mean square of an update, >= 1.
    weight_decay : float
        λ, for matrices only; PyTorch decays every parameter it is given.

    References
    ----------
    .. [1] N. Shazeer and M. Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory
       Cost", ICML 2018, arXiv:1804.04235.
    """

    def __init__(
        self,
        model_or_params: Parameters,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        name = type(self).__name__
        self.beta2_decay = number(name, "beta2_decay", beta2_decay, at_most=0)
        smallest, smallest_weight = a_pair(name, "eps", eps)
        if smallest is None:
            smallest = np.finfo(self.buffer.data.dtype).eps
        self.eps = (
            number(name, "eps[0]", smallest, more_than=0),
            number(name, "eps[1]", smallest_weight, at_least=0),
        )
        self.d = number(name, "d", d, at_least=1)

        data = self.buffer.data
        self._matrices = [p.shape for p in self.buffer.parameters if p.ndim >= 2]
        self._row_shapes = [shape[:-1] for shape in self._matrices]
        self._column_shapes = [shape[:-2] + shape[-1:] for shape in self._matrices]
        self.state = {
            "rows": np.zeros(sum(map(math.prod, self._row_shapes)), data.dtype),
            "columns": np.zeros(sum(map(math.prod, self._column_shapes)), data.dtype),
            "v": np.zeros_like(data[self.end_of_matrices :]),
        }

    def update_all(self, grad: NDArray[Any]) -> None:
        rows = _views(self.state["rows"], self._row_shapes)
        columns = _views(self.state["columns"], self._column_shapes)
        matrices = len(self._matrices)
        for i, (p, part) in enumerate(zip(self.buffer.parameters, self.buffer.slices, strict=True)):
            if not p.size:
                continue
            w, g = self.buffer.data[part], grad[part]
            if i < matrices:
                w, g = w.reshape(p.shape), g.reshape(p.shape)
                v = self._of_matrix(g, rows[i], columns[i])
                w, g = (array.reshape(-1, p.shape[-1]) for array in (w, g))
                self._update_parameter(w, g, v, self.weight_decay)
            else:
                first = self.end_of_matrices
                shifted = slice(part.start - first, part.stop - first)
                v = self._of_vector(g, self.state["v"][shifted])
                self._update_parameter(w, g, v, 0.0)

    @property
    def _fresh(self) -> float:
        """ω, how much of this step goes into the averages."""
        return math.pow(self.steps, self.beta2_decay)

    def _of_matrix(
        self, g: NDArray[Any], row: NDArray[Any], column: NDArray[Any]
    ) -> Callable[[slice], NDArray[Any]]:
        """Update the means, and return a function for blocks of rows of v."""
        height, width = g.shape[-2:]
        row += (np.einsum("...rc,...rc->...r", g, g) / width - row) * self._fresh
        column += (np.einsum("...rc,...rc->...c", g, g) / height - column) * self._fresh
        scaled = row / np.maximum(row.mean(-1, keepdims=True), self.eps[0])
        flat, columns = scaled.reshape(-1, 1), column.reshape(-1, width)

        def v(rows: slice) -> NDArray[Any]:
            # A parameter of more than two dimensions is a stack of matrices.
            block: NDArray[Any] = columns[np.arange(rows.start, rows.stop) // height]
            block *= flat[rows]
            return block

        return v

    def _of_vector(self, g: NDArray[Any], v: NDArray[Any]) -> Callable[[slice], NDArray[Any]]:
        def update(block: slice) -> None:
            change = np.multiply(g[block], g[block])
            change -= v[block]
            change *= self._fresh
            v[block] += change

        over_rows(update, len(v), v.itemsize)
        return lambda entries: np.copy(v[entries])

    def _update_parameter(
        self,
        w: NDArray[Any],
        g: NDArray[Any],
        v: Callable[[slice], NDArray[Any]],
        decay: float,
    ) -> None:
        """Update the rows of w; v and with it u are computed twice, and never held as a whole."""
        row_bytes = w[0].nbytes
        rate = min(self.lr, self.steps**-0.5)
        rate *= max(self.eps[1], math.sqrt(np.vdot(w, w) / w.size))
        squares: list[float] = []

        def direction(rows: slice) -> NDArray[Any]:
            u = v(rows)
            np.maximum(u, self.eps[0] ** 2, out=u)
            np.sqrt(u, out=u)
            np.divide(g[rows], u, out=u)
            return u

        def measure(rows: slice) -> None:
            u = direction(rows)
            squares.append(float(np.vdot(u, u)))

        def update(rows: slice) -> None:
            u = direction(rows)
            u *= rate
            if decay:
                w[rows] *= 1 - self.lr * decay
            w[rows] -= u

        over_rows(measure, len(w), row_bytes)
        # fsum: the same to the bit in whatever order the threads came.
        rate /= max(1.0, math.sqrt(math.fsum(squares) / w.size) / self.d)
        over_rows(update, len(w), row_bytes)


def _views(array: NDArray[Any], shapes: list[tuple[int, ...]]) -> list[NDArray[Any]]:
    """Consecutive stretches of the array in these shapes."""
    ends = np.cumsum([0, *map(math.prod, shapes)])
    return [
        array[start : start + math.prod(shape)].reshape(shape)
        for start, shape in zip(ends.tolist(), shapes, strict=False)
    ]
