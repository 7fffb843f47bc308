"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn._module import Module
from foundation_nn._parameter import Parameter
from foundation_nn.modules import Embedding
from foundation_nn.optim._adam import AdamW

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
    x ← a x + (b A + c A²) x with A = x xᵀ. The scale s depends on the shape only.

    Matrices are the parameters with two dimensions, but for embeddings; these, and all others,
    are updated as by :class:`AdamW`. An output layer that is not tied to an embedding should be
    as well: name it in ``adamw``.

    The iteration works in the dtype of the parameters; ``torch.optim.Muon`` works in bfloat16,
    takes no parameters for AdamW, and scales by ``"original"`` unless told otherwise.

    Parameters
    ----------
    model_or_params : Module or iterable of Parameter
        Only a module tells what is an embedding.
    lr : float
        η.
    weight_decay : float
        λ, for parameters of two and more dimensions.
    momentum : float
        μ in [0, 1).
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
    """

    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model_or_params: Module | Iterable[Parameter],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        scale: str = "match_rms_adamw",
        adamw: Iterable[Parameter] = (),
        adamw_lr_ratio: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        others = {id(p) for p in adamw}
        if isinstance(model_or_params, Module):
            modules = [module for _, module in model_or_params.named_modules()]
            others |= {id(module.weight) for module in modules if isinstance(module, Embedding)}
            model_or_params = model_or_params.parameters()

        def is_for_adamw(p: Parameter) -> bool:
            return p.ndim != 2 or id(p) in others

        # Sorting keeps the order of equals: matrices, then what decays under AdamW, then vectors.
        parameters = sorted(model_or_params, key=is_for_adamw)
        super().__init__(parameters, lr, betas, eps, weight_decay)
        if not 0 <= momentum < 1:
            raise ValueError(f"Muon: expected 0 <= momentum < 1, got {momentum}")
        if ns_steps < 1:
            raise ValueError(f"Muon: expected ns_steps >= 1, got {ns_steps}")
        if scale not in ("match_rms_adamw", "original"):
            raise ValueError(f"Muon: expected 'match_rms_adamw' or 'original' scale, got {scale!r}")
        if not (math.isfinite(adamw_lr_ratio) and adamw_lr_ratio >= 0):
            raise ValueError(f"Muon: expected adamw_lr_ratio >= 0, got {adamw_lr_ratio}")
        unknown = others - {id(p) for p in parameters}
        if unknown:
            raise ValueError(f"Muon: {len(unknown)} in adamw are not among the parameters")
        self.momentum = momentum
        self.nesterov = nesterov
        self.ns_steps = ns_steps
        self.scale = scale
        self.adamw_lr_ratio = adamw_lr_ratio

        pairs = list(zip(self.buffer.parameters, self.buffer.slices, strict=True))
        self._matrices = [(p.shape, part) for p, part in pairs if not is_for_adamw(p)]
        data = self.buffer.data
        self._first = min((part.start for p, part in pairs if is_for_adamw(p)), default=len(data))
        self.state = {
            "momentum": np.zeros_like(data[: self._first]),
            "m": np.zeros_like(data[self._first :]),
            "v": np.zeros_like(data[self._first :]),
        }
        largest = max((rows * columns for (rows, columns), _ in self._matrices), default=0)
        square = max((min(shape) ** 2 for shape, _ in self._matrices), default=0)
        self._scratch = [np.empty(size, data.dtype) for size in (largest, largest, square, square)]

    def _prepare(self) -> None:
        super()._prepare()
        self._rate *= self.adamw_lr_ratio

    def _update_all(self, grad: NDArray[Any]) -> None:
        for shape, part in self._matrices:
            p, g, m = (
                array[part].reshape(shape)
                for array in (self.buffer.data, grad, self.state["momentum"])
            )
            rate = self.lr * self._scale_of(*shape)
            # The iteration squares the shorter side.
            wide = shape[0] <= shape[1]
            self._update_matrix(*((p, g, m) if wide else (p.T, g.T, m.T)), rate)
        self._walk(grad, [self.state["m"], self.state["v"]], self._first)

    def _scale_of(self, rows: int, columns: int) -> float:
        if self.scale == "original":
            return math.sqrt(max(1, rows / max(1, columns)))
        return 0.2 * math.sqrt(max(rows, columns))

    def _update_matrix(
        self, p: NDArray[Any], g: NDArray[Any], m: NDArray[Any], rate: float
    ) -> None:
        n, size = len(p), p.size
        x, spare = (array[:size].reshape(p.shape) for array in self._scratch[:2])
        squares = (array[: n * n].reshape(n, n) for array in self._scratch[2:])
        np.multiply(g, 1 - self.momentum, out=spare)
        m *= self.momentum
        m += spare
        if self.nesterov:
            np.multiply(m, self.momentum, out=x)
            x += spare
        else:
            np.copyto(x, m)
        x = orthogonalize(x, self.ns_steps, spare, *squares)
        p *= 1 - self.lr * self.weight_decay
        x *= rate
        p -= x

    def _decay(self, p: Any, g: Any, count: int) -> Any:
        p[:count] *= 1 - self.lr * self.adamw_lr_ratio * self.weight_decay
        return g


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
