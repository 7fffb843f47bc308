"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import flag, number, whole_number
from foundation_nn.engine._parameter import Parameter
from foundation_nn.modules import Embedding
from foundation_nn.optim._adam import AdamW
from foundation_nn.optim._base import Settings
from foundation_nn.optim._blocks import move_average
from foundation_nn.optim._groups import Trainable, modules_of
from foundation_nn.optim._parameters import parameters_of

#: a, b, c of the polynomial in [1]_ of :class:`Muon`.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
#: The smallest norm that a matrix is divided by.
SMALLEST_NORM = 1e-7


class Muon(AdamW):
    """Momentum, orthogonalised: every direction of a matrix moves by about the same amount [1]_.

    m ← μ m + (1 - μ) g,  u = (1 - μ) g + μ m (without ``nesterov``: u = m),
    w ← w - η λ w - η s NS(u).

    NS(u) has the singular vectors of u, and singular values between about 0.7 and 1.2. It is
    found without a decomposition, by Newton and Schulz's iteration: from x = u / ‖u‖, repeat
    x ← a x + (b A + c A²) x with A = x xᵀ. A matrix with more rows than columns is worked on as its
    transpose, so that A has the shorter side. The scale s depends on the shape only.

    Matrices are the parameters with two dimensions, but for embeddings; these, and all others,
    are updated as by :class:`AdamW`. An output layer that is not tied to an embedding should be
    as well: name it in ``adamw``.

    The iteration works in the dtype of the parameters; ``torch.optim.Muon`` works in bfloat16,
    takes no parameters for AdamW, and scales by ``"original"`` unless told otherwise.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
        Only a module tells what is an embedding.
    lr : float
        η.
    momentum : float
        μ in [0, 1).
    weight_decay : float
        λ, for parameters of two and more dimensions.
    nesterov : bool
    ns_steps : int
        Repetitions of the iteration.
    scale : {"match_rms_adamw", "original"}
        s for a matrix with r rows and c columns: 0.2 √max(r, c), with which learning rates and
        decays found for AdamW can be kept [2]_; or √max(1, r / c) of [1]_.
    adamw : iterable of Parameter
        More parameters for AdamW.
    adamw_lr_ratio : float
        AdamW's learning rate, as a multiple of η. With ``scale="original"`` it should be small.
    betas, eps
        Of AdamW.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
       https://kellerjordan.github.io/posts/muon/.
    .. [2] J. Liu et al., "Muon is Scalable for LLM Training", 2025, arXiv:2502.16982.

    Examples
    --------
    The formula in plain NumPy, for one step of a matrix with more columns than rows:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> w, g = np.random.default_rng(0).standard_normal((2, 3, 5))
    >>> parameter = Parameter(w)
    >>> optimizer = optim.Muon(parameter, lr=0.1, weight_decay=0.5)
    >>> parameter.grad = g
    >>> optimizer.step()
    >>> m = 0.05 * g
    >>> u = 0.05 * g + 0.95 * m
    >>> x = u / np.linalg.norm(u)
    >>> for _ in range(5):
    ...     a = x @ x.T
    ...     x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    >>> w = w - 0.1 * 0.5 * w - 0.1 * 0.2 * np.sqrt(5) * x
    >>> bool(np.allclose(parameter.data, w, rtol=1e-12))
    True
    """

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        *,
        nesterov: bool = True,
        ns_steps: int = 5,
        scale: str = "match_rms_adamw",
        adamw: Iterable[Parameter] = (),
        adamw_lr_ratio: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        name = type(self).__name__
        if scale not in ("match_rms_adamw", "original"):
            raise ValueError(
                f"{name}: expected 'match_rms_adamw' or 'original' scale, got {scale!r}"
            )
        self.scale = scale
        self.momentum = number(name, "momentum", momentum, at_least=0, less_than=1)
        self.nesterov = flag(type(self).__name__, "nesterov", nesterov)
        self.ns_steps = whole_number(name, "ns_steps", ns_steps, at_least=1)
        self.adamw_lr_ratio = number(name, "adamw_lr_ratio", adamw_lr_ratio, at_least=0)

        if isinstance(model_or_params, Iterator):
            model_or_params = list(model_or_params)  # it is read twice
        named = parameters_of(name, adamw)
        self._others = {id(p) for p in named}
        for module in modules_of(model_or_params):
            inside = [one for _, one in module.named_modules()]
            self._others |= {id(one.weight) for one in inside if isinstance(one, Embedding)}
        super().__init__(model_or_params, lr, betas, eps, weight_decay)

        parameters = self.buffer.parameters
        unknown = {id(p) for p in named} - {id(p) for p in parameters}
        if unknown:
            raise ValueError(f"{name}: {len(unknown)} in adamw are not among the parameters")
        shapes = [p.shape for p in parameters if self._is_for_muon(p)]
        self._for_muon = range(len(shapes))
        self._for_adamw = range(len(shapes), len(parameters))
        ends = [part.start for part in self.buffer.slices[len(shapes) :]]
        self._first_for_adamw = ends[0] if ends else len(self.buffer.data)
        for_muon, for_adamw = np.split(self.buffer.data, [self._first_for_adamw])
        self.state = {
            "momentum": np.zeros(for_muon.shape, for_muon.dtype),
            "m": np.zeros(for_adamw.shape, for_adamw.dtype),
            "v": np.zeros(for_adamw.shape, for_adamw.dtype),
        }
        largest = max((rows * columns for rows, columns in shapes), default=0)
        square = max((min(shape) ** 2 for shape in shapes), default=0)
        self._workspaces = [
            np.empty(size, self.buffer.data.dtype) for size in (largest, largest, square, square)
        ]

    def _is_for_muon(self, p: Parameter) -> bool:
        return p.ndim == 2 and id(p) not in self._others

    def place_in_buffer(self, parameter: Parameter) -> int:
        """The matrices that are orthogonalised, and then those for AdamW."""
        return 0 if self._is_for_muon(parameter) else 1

    whole_parameters = True  # an update looks at whole matrices

    def places_in_state(self, part: slice) -> dict[str, slice]:
        first = self._first_for_adamw
        of_muon = slice(min(part.start, first), min(part.stop, first))
        of_adamw = slice(max(part.start - first, 0), max(part.stop - first, 0))
        return {"momentum": of_muon, "m": of_adamw, "v": of_adamw}

    def settings_of(self, index: int) -> Settings | None:
        """The settings of one parameter in this step; None if it is frozen."""
        settings = super().settings_of(index)
        if settings is None or index in self._for_muon:
            return settings
        return settings._replace(lr=settings.lr * self.adamw_lr_ratio)

    def state_of(self, part: slice) -> dict[str, NDArray[Any]]:
        """The state that AdamW keeps of some entries, as views."""
        first = self._first_for_adamw
        return {name: self.state[name][part.start - first : part.stop - first] for name in "mv"}

    def update_all(self, grad: NDArray[Any]) -> None:
        for index in self._for_muon:
            settings = self.settings_of(index)
            if settings is not None and self.is_ours(index):
                self._update_parameter(index, grad, settings)
        for part, settings in self.stretches(self._for_adamw):
            self.update_in_blocks(part, grad, settings)

    def _update_parameter(self, index: int, grad: NDArray[Any], settings: Settings) -> None:
        part = self.buffer.slices[index]
        shape = self.buffer.parameters[index].shape
        w = self.buffer.data[part].reshape(shape)
        g = grad[part].reshape(shape)
        momentum = self.state["momentum"][part].reshape(shape)
        scale = self._scale_of(*shape)
        if shape[0] <= shape[1]:
            self._update_matrix(w, g, momentum, settings, scale)
        else:  # the iteration squares the shorter side
            self._update_matrix(w.T, g.T, momentum.T, settings, scale)

    def _scale_of(self, rows: int, columns: int) -> float:
        if self.scale == "original":
            return math.sqrt(max(1, rows / max(1, columns)))
        return 0.2 * math.sqrt(max(rows, columns))

    def _update_matrix(
        self,
        w: NDArray[Any],
        g: NDArray[Any],
        momentum: NDArray[Any],
        settings: Settings,
        scale: float,
    ) -> None:
        n = len(w)
        update, spare = (array[: w.size].reshape(w.shape) for array in self._workspaces[:2])
        gram, polynomial = (array[: n * n].reshape(n, n) for array in self._workspaces[2:])
        move_average(momentum, g, self.momentum, spare)
        if self.nesterov:
            np.multiply(momentum, self.momentum, out=update)
            update += spare  # (1 - μ) g
        else:
            np.copyto(update, momentum)
        update = orthogonalize(update, self.ns_steps, spare, gram, polynomial)
        w *= 1 - settings.lr * settings.weight_decay
        update *= settings.lr * scale
        w -= update


def orthogonalize(
    x: NDArray[Any],
    steps: int,
    spare: NDArray[Any],
    gram: NDArray[Any],
    polynomial: NDArray[Any],
) -> NDArray[Any]:
    """NS(x) of :class:`Muon`; overwrites everything it is given.

    Parameters
    ----------
    x : (r, c) ndarray
        With r <= c, or it takes longer.
    steps : int
    spare : (r, c) ndarray
    gram, polynomial : (r, r) ndarray

    Returns
    -------
    (r, c) ndarray
        Either ``x`` or ``spare``.
    """
    a, b, c = COEFFICIENTS
    x /= max(math.sqrt(np.vdot(x, x)), SMALLEST_NORM)
    for _ in range(steps):
        np.matmul(x, x.T, out=gram)
        np.matmul(gram, gram.T, out=polynomial)  # a matrix by its transpose is half the work
        polynomial *= c
        gram *= b
        polynomial += gram
        np.matmul(polynomial, x, out=spare)
        x *= a
        spare += x
        x, spare = spare, x
    return x
