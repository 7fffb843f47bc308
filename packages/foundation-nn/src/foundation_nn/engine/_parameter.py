"""Parameters, and the buffer in which those of a model lie side by side; kept values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from foundation_nn.engine._modes import require_room, skipping_init
from foundation_nn.engine._tensor import Tensor, check_floating

#: Bytes. No two parameters share a stretch of this length, a cache line.
_ALIGNMENT = 64


class Parameter(Tensor):
    """A leaf that a module owns and an optimiser changes.

    Its value and gradient may be views into a :class:`ParameterBuffer`. Assign to ``data`` to
    change the value in place: ``p.data = value``.

    With ``p.requires_grad = False`` it is frozen: no gradient is computed for it, and optimisers
    leave it as it is until ``p.requires_grad = True``. ``Module.freeze`` does that for all
    parameters of a module.
    """

    __slots__ = ("_buffer", "_grad_view")

    def __init__(
        self, data: ArrayLike | Tensor, requires_grad: bool = True, dtype: DTypeLike | None = None
    ) -> None:
        skipping = skipping_init()
        if skipping:
            require_room(np.shape(data), take=True)
        super().__init__(0.0 if skipping else data, requires_grad=requires_grad, dtype=dtype)
        if skipping:
            self._data = np.broadcast_to(self._data, np.shape(data))  # one zero, in every place
        self._buffer: ParameterBuffer | None = None
        self._grad_view: NDArray[Any] | None = None

    @property
    def data(self) -> NDArray[Any]:
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, value: ArrayLike) -> None:
        self._assign(value)

    @property
    def requires_grad(self) -> bool:
        """Whether it is learnt; False for a parameter that is frozen."""
        return self._leaf

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        Tensor.requires_grad.__set__(self, value)  # type: ignore[attr-defined]
        if self._buffer is not None:
            self._buffer._frozen_indices = None  # find out anew
        if not self._leaf and self._grad_view is not None:
            self._grad_view[...] = 0  # ``ParameterBuffer.collect`` relies on it

    def _write(self, array: NDArray[Any]) -> None:
        if self._buffer is not None:
            self._data[...] = array
        elif not skipping_init():
            super()._write(array)

    def _adopt(self, array: NDArray[Any]) -> None:
        if self._buffer is None:
            super()._adopt(array)
        else:
            self.data = array

    def detach(self) -> Tensor:
        """A copy of the value, cut off from the tape: the optimiser writes to the original."""
        return Tensor.wrap(self.numpy())

    def _accumulate(self, g: NDArray[Any]) -> None:
        if self.grad is None and self._grad_view is not None:
            self._grad_view[...] = g
            self.grad = self._grad_view
        else:
            super()._accumulate(g)

    def checked_grad(self) -> NDArray[Any] | None:
        """The gradient, if it has the shape of the parameter.

        Raises
        ------
        ValueError
            If another one was assigned.
        """
        if self.grad is not None and np.shape(self.grad) != self.shape:
            raise ValueError(
                f"a gradient of shape {np.shape(self.grad)} was assigned to a parameter of shape "
                f"{self.shape}; give it the shape of the parameter"
            )
        return self.grad

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the value and the gradient, without the buffer they lie in.

        A buffer that is copied, too, as part of an optimiser, takes its copied parameters in.
        """
        grad = None if self.grad is None else self.grad.copy()
        return {"data": self.numpy(), "grad": grad, "requires_grad": self.requires_grad}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Tensor.__init__(self, state["data"], requires_grad=state["requires_grad"])
        self.grad = state["grad"]
        self._buffer = self._grad_view = None

    def _astype(self, dtype: DTypeLike) -> None:
        self._data = self._data.astype(check_floating(np.dtype(dtype)))
        self.grad = self._buffer = self._grad_view = None
        self._version += 1


class Buffer(Tensor):
    """A value that a module keeps and saves but does not learn, such as a running mean."""

    __slots__ = ()

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Tensor.__init__(self, state["data"])

    def _astype(self, dtype: DTypeLike) -> None:
        if self._data.dtype.kind == "f":  # a counter stays a counter
            self._data = self._data.astype(check_floating(np.dtype(dtype)))
            self._data.flags.writeable = False


class ParameterBuffer:
    """The values of parameters in one contiguous array, their gradients in a second.

    An optimiser walks two arrays instead of visiting hundreds, the norm of all gradients is one
    dot product, and a data-parallel reduction is one call.

    A deep copy, or a buffer that was pickled, holds copies of the parameters, which are views into
    its own arrays.

    Parameters
    ----------
    parameters : sequence of Parameter
        Of one dtype, each once. They become views; an earlier buffer of theirs is abandoned.

    Attributes
    ----------
    data, grad : (n,) ndarray
        Between the parameters lie a few zeros, for alignment.
    slices : list of slice
        Where each parameter lies.

    Raises
    ------
    ValueError
        If there is no parameter, one occurs twice, or the dtypes differ.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("expected at least one parameter, got none")
        seen: set[int] = set()
        for p in self.parameters:
            if id(p) in seen:
                raise ValueError(
                    f"the same parameter, of shape {p.shape}, is listed twice and would be updated "
                    "twice; model.parameters() lists a shared one once"
                )
            seen.add(id(p))
        dtypes = {p.dtype for p in self.parameters}
        if len(dtypes) > 1:
            raise ValueError(
                f"parameters of different dtypes {sorted(map(str, dtypes))}; "
                "use model.astype(...) first"
            )
        self._frozen_indices: list[int] | None = None  # see ``frozen_indices``
        dtype = dtypes.pop()
        unit = _ALIGNMENT // dtype.itemsize
        self.slices: list[slice] = []
        end = 0
        for p in self.parameters:
            self.slices.append(slice(end, end + p.size))
            end += -(-p.size // unit) * unit
        self.data = np.zeros(end, dtype)
        self.grad = np.zeros(end, dtype)
        for p, part in zip(self.parameters, self.slices, strict=True):
            view, grad_view = self.data[part].reshape(p.shape), self.grad[part].reshape(p.shape)
            view[...] = p._data
            p._data, p._grad_view, p._buffer = view, grad_view, self
            grad = p.checked_grad()
            if grad is not None and p.requires_grad:
                grad_view[...] = grad
                p.grad = grad_view

    def __getstate__(self) -> dict[str, Any]:
        return {"parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        ParameterBuffer.__init__(self, state["parameters"])  # the parameters were restored before

    def __copy__(self) -> Self:
        raise TypeError(
            "a shallow copy of a ParameterBuffer would take the parameters away from it; use "
            "copy.deepcopy"
        )

    def collect(self) -> NDArray[Any]:
        """The gradients of all parameters in one array; zeros where there is none.

        Those of frozen parameters were set to zero when they were frozen, or when the buffer was
        made, and nothing writes to them.
        """
        for p in self.parameters:
            if p._buffer is not self or p._grad_view is None:
                raise RuntimeError(
                    f"a parameter of shape {p.shape} was given to another optimiser or cast by "
                    "astype() after this optimiser was made; give each parameter to one optimiser, "
                    "and make a new one"
                )
            if p.grad is not p._grad_view and p.requires_grad:
                grad = p.checked_grad()
                p._grad_view[...] = 0 if grad is None else grad
                p.grad = None if grad is None else p._grad_view
        return self.grad

    def frozen_indices(self) -> list[int]:
        """Which parameters are frozen; the same list until that changes."""
        if self._frozen_indices is None:
            pairs = enumerate(self.parameters)
            self._frozen_indices = [index for index, p in pairs if not p.requires_grad]
        return self._frozen_indices

    def learnt(self) -> list[slice]:
        """Where the parameters lie that are not frozen, neighbours in one slice.

        While nothing is frozen, that is one slice with all of them.
        """
        parts: list[slice] = []
        goes_on = False  # whether the parameter before is not frozen, either
        for p, part in zip(self.parameters, self.slices, strict=True):
            if p.requires_grad and goes_on:
                parts[-1] = slice(parts[-1].start, part.stop)
            elif p.requires_grad:
                parts.append(part)
            goes_on = p.requires_grad
        return parts

    def frozen(self) -> list[slice]:
        """Where the frozen parameters lie."""
        pairs = zip(self.parameters, self.slices, strict=True)
        return [part for p, part in pairs if not p.requires_grad]

    def touch(self) -> None:
        """Say that ``data`` was written to, so that an old graph is refused, not walked."""
        for p in self.parameters:
            p._version += 1
