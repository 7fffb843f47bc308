"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import number
from foundation_nn.engine._threads import over_rows
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._blocks import a_pair
from foundation_nn.optim._groups import Trainable


class Adafactor(Optimizer):
    """RMSprop that keeps an average for each row and column instead of each entry [1]_.

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
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
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

    Examples
    --------
    The formula in plain NumPy, for the first step of a matrix, where ω = 1:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, g = np.random.default_rng(0).standard_normal((2, 3, 5))
    >>> parameter = Parameter(w)
    >>> optimizer = optim.Adafactor(parameter, lr=0.1)
    >>> parameter.grad = g
    >>> optimizer.step()
    >>> r, c = (g**2).mean(axis=1), (g**2).mean(axis=0)
    >>> v = np.outer(r, c) / r.mean()
    >>> u = g / np.sqrt(v)
    >>> rms_w, rms_u = np.sqrt((w**2).mean()), np.sqrt((u**2).mean())
    >>> w = w - 0.1 * rms_w * u / max(1, rms_u)
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
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

        matrices = [p.shape for p in self.buffer.parameters if p.ndim >= 2]
        self._row_shapes = [shape[:-1] for shape in matrices]
        self._column_shapes = [shape[:-2] + shape[-1:] for shape in matrices]
        dtype = self.buffer.data.dtype
        self.state = {
            "rows": np.zeros(sum(map(math.prod, self._row_shapes)), dtype),
            "columns": np.zeros(sum(map(math.prod, self._column_shapes)), dtype),
            "v": np.zeros_like(self.buffer.data[self._first_vector :]),
        }

    whole_parameters = True  # an update looks at the means of rows and columns

    def places_in_state(self, part: slice) -> dict[str, slice]:
        count = len(self._row_shapes)
        inside = [part.start <= place.start < part.stop for place in self.buffer.slices[:count]]
        first = self._first_vector
        return {
            "rows": _place(self._row_shapes, inside),
            "columns": _place(self._column_shapes, inside),
            "v": slice(max(part.start - first, 0), max(part.stop - first, 0)),
        }

    def update_all(self, grad: NDArray[Any]) -> None:
        row_means = _views(self.state["rows"], self._row_shapes)
        column_means = _views(self.state["columns"], self._column_shapes)
        for index, (p, part) in enumerate(
            zip(self.buffer.parameters, self.buffer.slices, strict=True)
        ):
            settings = self.settings_of(index)
            if settings is None or not p.size or not self.is_ours(index):
                continue
            w = self.buffer.data[part]
            g = grad[part]
            fresh = math.pow(settings.steps, self.beta2_decay)  # ω
            if p.ndim >= 2:
                _average_squares(g.reshape(p.shape), row_means[index], column_means[index], fresh)
                v = self._product_of_means(row_means[index], column_means[index])
                rows = (-1, p.shape[-1])
                self._update_parameter(w.reshape(rows), g.reshape(rows), v, settings)
            else:
                first = self._first_vector
                squares = self.state["v"][part.start - first : part.stop - first]
                _average_squares_of_vector(g, squares, fresh)
                self._update_parameter(w, g, _copies_of(squares), settings)

    def _product_of_means(
        self, row_mean: NDArray[Any], column_mean: NDArray[Any]
    ) -> Callable[[slice], NDArray[Any]]:
        """v = r cᵀ / mean(r) as a function that computes a block of its rows."""
        mean = row_mean.mean(-1, keepdims=True)
        row_factors = (row_mean / np.maximum(mean, self.eps[0])).reshape(-1, 1)
        columns = column_mean.reshape(-1, column_mean.shape[-1])
        height = row_mean.shape[-1]

        def v(rows: slice) -> NDArray[Any]:
            # A parameter of more than two dimensions is a stack of matrices, each of this height.
            matrix = np.arange(rows.start, rows.stop) // height
            block: NDArray[Any] = columns[matrix]
            block *= row_factors[rows]
            return block

        return v

    def _update_parameter(
        self,
        w: NDArray[Any],
        g: NDArray[Any],
        v: Callable[[slice], NDArray[Any]],
        settings: Settings,
    ) -> None:
        """Move w by -ρ max(ε₂, rms(w)) u / max(1, rms(u) / d), in blocks of rows.

        v, and with it u, is computed twice, for rms(u) and for the update: neither is ever held as
        a whole. The sum of squares over the blocks is exact (``math.fsum``), so that it does not
        depend on the order in which threads have done them.
        """
        rate = min(settings.lr, settings.steps**-0.5)  # ρ
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
            if settings.weight_decay:
                w[rows] *= 1 - settings.lr * settings.weight_decay
            w[rows] -= u

        row_bytes = w[0].nbytes
        over_rows(measure, len(w), row_bytes)
        # fsum: the same to the bit in whatever order the threads came.
        rms_of_direction = math.sqrt(math.fsum(squares) / w.size)
        rate /= max(1.0, rms_of_direction / self.d)
        over_rows(update, len(w), row_bytes)


def _average_squares(
    g: NDArray[Any], row_mean: NDArray[Any], column_mean: NDArray[Any], fresh: float
) -> None:
    """r ← (1 - ω) r + ω mean(g², rows), and c likewise, for each matrix of a stack."""
    height, width = g.shape[-2:]
    row_mean += (np.einsum("...rc,...rc->...r", g, g) / width - row_mean) * fresh
    column_mean += (np.einsum("...rc,...rc->...c", g, g) / height - column_mean) * fresh


def _average_squares_of_vector(g: NDArray[Any], v: NDArray[Any], fresh: float) -> None:
    """v ← (1 - ω) v + ω g²."""

    def task(block: slice) -> None:
        change = np.multiply(g[block], g[block])
        change -= v[block]
        change *= fresh
        v[block] += change

    over_rows(task, len(v), v.itemsize)


def _copies_of(v: NDArray[Any]) -> Callable[[slice], NDArray[Any]]:
    return lambda entries: np.copy(v[entries])


def _views(array: NDArray[Any], shapes: list[tuple[int, ...]]) -> list[NDArray[Any]]:
    """Consecutive stretches of the array in these shapes."""
    ends = np.cumsum([0, *map(math.prod, shapes)])
    return [
        array[start : start + math.prod(shape)].reshape(shape)
        for start, shape in zip(ends.tolist(), shapes, strict=False)
    ]


def _place(shapes: list[tuple[int, ...]], inside: list[bool]) -> slice:
    """Where the arrays that are inside lie among consecutive arrays of these shapes."""
    ends = np.cumsum([0, *map(math.prod, shapes)]).tolist()
    starts = [start for start, chosen in zip(ends, inside, strict=False) if chosen]
    stops = [stop for stop, chosen in zip(ends[1:], inside, strict=True) if chosen]
    return slice(starts[0], stops[-1]) if starts else slice(0, 0)
