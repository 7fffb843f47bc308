"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn._threads import over_rows
from foundation_nn.optim._base import Optimizer


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
    model_or_params : Module or iterable of Parameter
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

    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(model_or_params, lr, weight_decay)
        if not beta2_decay <= 0:
            raise ValueError(f"Adafactor: expected beta2_decay <= 0, got {beta2_decay}")
        if (eps[0] is not None and not eps[0] > 0) or not eps[1] >= 0:
            raise ValueError(f"Adafactor: expected eps > 0 or None, and >= 0, got {eps}")
        if not d >= 1:
            raise ValueError(f"Adafactor: expected d >= 1, got {d}")
        self.beta2_decay = beta2_decay
        self.eps = eps
        self.d = d

        data, matrices = self.buffer.data, [p.shape for p in self.buffer.parameters if p.ndim >= 2]
        rows = [shape[:-1] for shape in matrices]
        columns = [shape[:-2] + shape[-1:] for shape in matrices]
        self.state = {
            "rows": np.zeros(sum(map(math.prod, rows)), data.dtype),
            "columns": np.zeros(sum(map(math.prod, columns)), data.dtype),
            "v": np.zeros_like(data[self._decaying :]),
        }
        self._rows = _views(self.state["rows"], rows)
        self._columns = _views(self.state["columns"], columns)

    def _prepare(self) -> None:
        self._fresh = float(self.steps) ** self.beta2_decay
        self._rate = min(self.lr, self.steps**-0.5)
        smallest = self.eps[0]
        self._smallest = (
            float(np.finfo(self.buffer.data.dtype).eps) if smallest is None else smallest
        )

    def _update_all(self, grad: NDArray[Any]) -> None:
        matrices = len(self._rows)
        for i, (p, part) in enumerate(zip(self.buffer.parameters, self.buffer.slices, strict=True)):
            if not p.size:
                continue
            w, g = self.buffer.data[part], grad[part]
            if i < matrices:
                w, g = w.reshape(p.shape), g.reshape(p.shape)
                v = self._of_matrix(g, self._rows[i], self._columns[i])
                w, g = (array.reshape(-1, p.shape[-1]) for array in (w, g))
                self._update_parameter(w, g, v, self.weight_decay)
            else:
                shifted = slice(part.start - self._decaying, part.stop - self._decaying)
                v = self._of_vector(g, self.state["v"][shifted])
                self._update_parameter(w, g, v, 0.0)

    def _of_matrix(
        self, g: NDArray[Any], row: NDArray[Any], column: NDArray[Any]
    ) -> Callable[[slice], NDArray[Any]]:
        """Update the means, and return a function for blocks of rows of v."""
        height, width = g.shape[-2:]
        row += (np.einsum("...rc,...rc->...r", g, g) / width - row) * self._fresh
        column += (np.einsum("...rc,...rc->...c", g, g) / height - column) * self._fresh
        scaled = row / np.maximum(row.mean(-1, keepdims=True), self._smallest)
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
        rate = self._rate * max(self.eps[1], math.sqrt(np.vdot(w, w) / w.size))
        squares: list[float] = []

        def direction(rows: slice) -> NDArray[Any]:
            u = v(rows)
            np.maximum(u, self._smallest**2, out=u)
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
