"""Batches of arrays that lie in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described, whole_number
from foundation_nn.engine._habit_tables import TRAINING_KEYWORDS
from foundation_nn.engine._habits import explains
from foundation_nn.engine._tensor import Tensor

Batch = TypeVar("Batch", covariant=True)


class Batches(Generic[Batch]):
    """Arrays cut into batches, epoch after epoch; :func:`batches` makes one.

    Each ``for batch in loader`` is one epoch. A loop that is left early does not end its epoch: the
    next one starts the same epoch again, unless ``load_state_dict`` says where to continue.

    Attributes
    ----------
    epoch : int
        The number of epochs that are complete.
    """

    def __init__(
        self,
        arrays: tuple[Any, ...],
        batch_size: int,
        rng: np.random.Generator | None,
        drop_last: bool,
    ) -> None:
        self._arrays = [_array(i, array) for i, array in enumerate(arrays)]
        lengths = [len(array) for array in self._arrays]
        if not lengths:
            raise TypeError("batches: expected at least one array: batches(X, y, batch_size=32)")
        if len(set(lengths)) > 1:
            raise ValueError(
                f"batches: expected arrays with equally many rows, got {_listed(lengths)} rows; "
                "row i of each is one example"
            )
        self._count = lengths[0]
        self._batch_size = whole_number("batches", "batch_size", batch_size, at_least=1)
        self._drop_last = bool(drop_last)
        if not self._count:
            raise ValueError("batches: expected at least one row, got arrays without any")
        if drop_last and self._batch_size > self._count:
            raise ValueError(
                f"batches: with drop_last there would be no batch: batch_size={batch_size}, and "
                f"the arrays have {self._count} rows"
            )
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(
                f"batches: expected rng to be a numpy.random.Generator, got {described(rng)}; "
                "write rng=np.random.default_rng(seed)"
            )
        self._seed = None if rng is None else int(rng.integers(2**63))
        self.epoch = 0
        self._given = 0  # batches of this epoch
        self._continue_at = 0

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(self._count, self._batch_size)
        return whole + bool(rest and not self._drop_last)

    def __iter__(self) -> Iterator[Batch]:
        start = self._continue_at
        self._continue_at = 0
        self._given = start
        order = self._order()
        for number in range(start, len(self)):
            first = number * self._batch_size
            rows = slice(first, first + self._batch_size)
            chosen = rows if order is None else order[rows]
            # Counted before it is handed out, so that a state taken in the body of the loop
            # continues after this batch.
            self._given = number + 1
            parts: Any = tuple(array[chosen] for array in self._arrays)
            yield parts[0] if len(parts) == 1 else parts
        self.epoch += 1
        self._given = 0

    def _order(self) -> NDArray[np.int64] | None:
        """The rows in the order of this epoch; None for the order they have."""
        if self._seed is None:
            return None
        return np.random.default_rng([self._seed, self.epoch]).permutation(self._count)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, as JSON values: what decides the order, and what was given of it."""
        return {
            "seed": self._seed,
            "epoch": self.epoch,
            "given": self._continue_at or self._given,
            **self._options(),
        }

    def _options(self) -> dict[str, Any]:
        return {
            "batch_size": self._batch_size,
            "drop_last": self._drop_last,
            "arrays": [[str(array.dtype), *array.shape] for array in self._arrays],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken: the next loop gives the batches left then.

        Raises
        ------
        ValueError
            If the state is malformed, or was taken with other options or arrays of other shapes.
        """
        for name, value in self._options().items():
            if state.get(name) != value:
                raise ValueError(
                    f"batches: the state was taken with {name}={state.get(name)!r}, and these have "
                    f"{value!r}; make them with the same arrays and options"
                )
        seed: Any = state.get("seed")
        epoch: Any = state.get("epoch")
        given: Any = state.get("given")
        if (seed is None) != (self._seed is None):
            there, here = ("in order", "shuffled") if seed is None else ("shuffled", "in order")
            raise ValueError(
                f"batches: the state was taken of batches that come {there}, and these come {here}"
            )
        whole = all(type(value) is int and value >= 0 for value in (epoch, given))
        if not whole or given > len(self) or not (seed is None or type(seed) is int):
            raise ValueError(f"batches: malformed state: {dict(state)!r:.80}")
        self._seed = seed
        self.epoch = epoch
        self._given = self._continue_at = given

    def __repr__(self) -> str:
        order = "in order" if self._seed is None else "shuffled"
        return f"Batches({len(self)} of {self._batch_size} from {self._count} rows, {order})"


@overload
def batches(
    x: NDArray[Any],
    /,
    *,
    batch_size: int,
    rng: np.random.Generator | None = ...,
    drop_last: bool = ...,
) -> Batches[NDArray[Any]]: ...
@overload
def batches(
    x: NDArray[Any],
    y: NDArray[Any],
    /,
    *,
    batch_size: int,
    rng: np.random.Generator | None = ...,
    drop_last: bool = ...,
) -> Batches[tuple[NDArray[Any], NDArray[Any]]]: ...
@overload
def batches(
    *arrays: Any, batch_size: int, rng: np.random.Generator | None = ..., drop_last: bool = ...
) -> Batches[Any]: ...


@explains(TRAINING_KEYWORDS)
def batches(
    *arrays: Any,
    batch_size: int,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Batches[Any]:
    """Cut arrays into batches, for :meth:`Trainer.fit` or a loop of your own.

    Row i of each array belongs to example i. Each ``for`` loop is one epoch, in an order of its
    own. A run that is resumed within an epoch goes on with the batches that were left.

    Parameters
    ----------
    *arrays : (N, ...) array_like
        One or more. They are not copied; each batch is.
    batch_size : int
        The number of rows in a batch; the last one of an epoch has those that are left.
    rng : numpy.random.Generator, optional
        Shuffles the rows. One number is drawn from it, here; that number and the count of epochs
        decide the order of each. Without it the rows come in the order they have.
    drop_last : bool
        Leave out a last batch that would be shorter.

    Returns
    -------
    Batches
        Of tuples with one array for each of ``arrays``; of arrays alone if there is only one.

    Raises
    ------
    TypeError
        If there is no array, or something else among them, such as the batch size.
    ValueError
        If the arrays have different numbers of rows or none, or ``batch_size`` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> loader = batches(X, y, batch_size=2, rng=np.random.default_rng(0))
    >>> loader
    Batches(3 of 2 from 5 rows, shuffled)
    >>> for rows, targets in loader:
    ...     print(rows.tolist(), targets.tolist())
    [[6, 7], [4, 5]] [3, 2]
    [[0, 1], [8, 9]] [0, 4]
    [[2, 3]] [1]
    """
    return Batches(arrays, batch_size, rng, drop_last)


def _array(i: int, given: Any) -> NDArray[Any]:
    if isinstance(given, int | float | np.random.Generator) or given is None:
        name = "rng" if isinstance(given, np.random.Generator) else "batch_size"
        raise TypeError(
            f"batches: expected an array at position {i}, got {described(given)}; options are "
            f"named, {name}={name if name == 'rng' else given}"
        )
    array = given.data if isinstance(given, Tensor) else np.asarray(given)
    if not array.ndim:
        raise TypeError(f"batches: expected an array at position {i}, got {described(given)}")
    return array


def _listed(lengths: list[int]) -> str:
    return f"{', '.join(map(str, lengths[:-1]))} and {lengths[-1]}"
