"""What every optimiser has: a parameter buffer, groups, counters and a walk over the buffer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described, number
from foundation_nn.engine._habit_tables import OF_AN_OPTIMIZER, OPTIMIZER_KEYWORDS
from foundation_nn.engine._habits import add_habits, explains
from foundation_nn.engine._parameter import Parameter, ParameterBuffer
from foundation_nn.engine._threads import over_rows
from foundation_nn.optim._blocks import overlap
from foundation_nn.optim._groups import Group, Trainable, groups_of
from foundation_nn.optim._parts import InParts


class Settings(NamedTuple):
    """What holds for the entries that an optimiser changes in one call.

    Attributes
    ----------
    lr : float
        The learning rate: that of the optimiser, times the scale of the group.
    weight_decay : float
        0 for vectors.
    steps : int
        How often these entries were changed, this time included. It is less than the optimiser's
        ``steps`` if they were frozen for a while.
    """

    lr: float
    weight_decay: float
    steps: int


class Optimizer(InParts):
    """Base class of all optimisers; to write one, override :meth:`update_block`.

    The parameters are moved into one contiguous buffer. Matrices (everything with two or more
    dimensions) come first; vectors, which are biases and norms and do not decay, are its tail.
    Parameters that are frozen (``requires_grad=False``) are left as they are, and so is what is
    remembered of them.

    Copying or pickling an optimiser copies its parameters with it. Copy a model and its optimiser
    together, as in ``model, optimizer = copy.deepcopy((model, optimizer))``: then the one trains
    the other. The copy of an optimiser alone trains parameters of its own, which are
    ``optimizer.buffer.parameters``.

    Parameters
    ----------
    model_or_params : Module, Parameter, iterable of Parameter, or list of groups
        A group is a dictionary, see :class:`ParameterGroup`, of parameters with a rate or a decay
        of their own.
    lr : float
        May be changed between steps.
    weight_decay : float
        Applies to matrices only.
    state : sequence of str
        Names of the arrays that the optimiser keeps from step to step, such as averages. Each has
        an entry for every entry of the buffer, and is zero at first.

    Attributes
    ----------
    buffer : ParameterBuffer
    groups : list of Group
        One, if there was no list of groups.
    steps : int
        How many there were.
    state : dict of ndarray

    Raises
    ------
    TypeError
        For something else than parameters, or a rate that is no number.
    ValueError
        For a negative or non-finite ``lr`` or ``weight_decay``, or no parameters.

    Examples
    --------
    An optimiser of one's own is the formula for one block of the buffer, in place. This one moves
    every entry by the same amount, against the sign of an average of its gradients:

    >>> import numpy as np
    >>> from foundation_nn import Parameter, optim
    >>> class SignDescent(optim.Optimizer):
    ...     def __init__(self, model_or_params, lr, weight_decay=0.0):
    ...         super().__init__(model_or_params, lr, weight_decay, state=("average",))
    ...     def update_block(self, w, g, settings, average):
    ...         average += 0.5 * (g - average)
    ...         w -= settings.lr * (np.sign(average) + settings.weight_decay * w)
    >>> w = Parameter([[1.0, 2.0, 3.0]])
    >>> optimizer = SignDescent(w, lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([[0.75, 1.75, 2.75]], dtype=float32)

    Groups are in it without a line. Here ``slow`` moves at a tenth of the rate:

    >>> slow, fast = Parameter([1.0]), Parameter([1.0])
    >>> optimizer = SignDescent([{"params": slow, "lr_scale": 0.1}, {"params": fast}], lr=0.5)
    >>> (slow + fast).sum().backward()
    >>> optimizer.step()
    >>> slow.item(), fast.item()
    (0.949999988079071, 0.5)
    """

    #: Whether the decay is no part of :meth:`update_block`, but a step before it: for matrices,
    #: w ← (1 - η λ) w. Matrices and vectors are then updated alike, and in one call.
    decoupled_decay = False

    def __init__(
        self,
        model_or_params: Trainable,
        lr: float,
        weight_decay: float = 0.0,
        state: Sequence[str] = (),
    ) -> None:
        name = type(self).__name__
        self.lr = lr
        self.weight_decay = number(name, "weight_decay", weight_decay, at_least=0)
        self.groups = groups_of(name, model_or_params, self.lr)
        pairs = [(p, index) for index, group in enumerate(self.groups) for p in group.parameters]
        pairs.sort(key=lambda pair: self._place(pair[0]))
        buffer = ParameterBuffer([p for p, _ in pairs])
        size, dtype = buffer.data.shape, buffer.data.dtype
        super().__init__(buffer, {key: np.zeros(size, dtype) for key in state})
        self._group_of = [index for _, index in pairs]
        places = zip(buffer.parameters, buffer.slices, strict=True)
        vectors = [place.start for p, place in places if p.ndim < 2]
        self._first_vector = vectors[0] if vectors else len(buffer.data)
        self._missed = [0] * len(pairs)  # in how many steps each parameter was frozen
        self._known_runs: list[tuple[int, slice]] = []
        self._runs_for: tuple[Any, list[float]] | None = None  # see ``_runs``
        self.steps = 0

    def __init_subclass__(cls, **options: Any) -> None:
        """Have constructor and methods answer arguments that they do not have."""
        super().__init_subclass__(**options)
        for name in ("__init__", "step", "zero_grad"):
            if name in vars(cls):
                setattr(cls, name, explains(OPTIMIZER_KEYWORDS)(vars(cls)[name]))

    def __repr__(self) -> str:
        sizes = [sum(p.size for p in group.parameters) for group in self.groups]
        in_groups = f" in {len(sizes)} groups" if len(sizes) > 1 else ""
        decay = f", weight_decay={self.weight_decay:g}" if self.weight_decay else ""
        return (
            f"{type(self).__name__}({sum(sizes):,} numbers{in_groups}, lr={self.lr:g}{decay}, "
            f"{self.steps:,} steps)"
        )

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        name = type(self).__name__
        if callable(value):
            raise TypeError(
                f"{name}: lr is a number, got {described(value)}; pass a schedule to "
                "Trainer(schedule=...), or set optimizer.lr = schedule(step) before each step"
            )
        self._lr = number(name, "lr", value, at_least=0)

    def place_in_buffer(self, parameter: Parameter) -> int:  # noqa: ARG002
        """Parameters are sorted by this number: what is treated alike shall lie side by side."""
        return 0

    def _place(self, parameter: Parameter) -> tuple[bool, int]:
        """Matrices before vectors, which do not decay, and in the order of the subclass."""
        return parameter.ndim < 2, self.place_in_buffer(parameter)

    @explains(OPTIMIZER_KEYWORDS)
    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.buffer.parameters:
            p.grad = None

    @explains(OPTIMIZER_KEYWORDS)
    def step(self) -> None:
        """Change every parameter according to its gradient; one without counts as zero.

        Those that are frozen stay as they are.
        """
        grad = self.buffer.collect()
        self.steps += 1
        for index in self.buffer.frozen_indices():
            self._missed[index] += 1
        self.update_all(grad)
        self.buffer.touch()

    def update_all(self, grad: NDArray[Any]) -> None:
        """Change all parameters but the frozen ones.

        An optimiser that treats whole matrices overrides this instead of :meth:`update_block`. It
        sets ``whole_parameters``, and leaves out the parameters that are not ``is_ours(index)``,
        which another process updates.

        Parameters
        ----------
        grad : (n,) ndarray
            The gradients of all parameters, side by side as ``buffer.data`` is.
        """
        for part, settings in self.stretches():
            self.update_in_blocks(part, grad, settings)

    def stretches(self, indices: range | None = None) -> Iterator[tuple[slice, Settings]]:
        """The buffer without what is frozen, cut where the settings change.

        Without groups, and with nothing frozen, these are all matrices and then all vectors; the
        whole buffer if nothing decays, or the decay is decoupled. A stretch is about ten calls of
        NumPy. For a thousand numbers AdamW takes 13 µs: 10 for these calls, and 3 for groups, for
        what is frozen, and for settings and state that are given by name.

        Parameters
        ----------
        indices : range, optional
            Of the only parameters, as in ``buffer.parameters``, that are meant.

        Yields
        ------
        slice
            Of the buffer.
        Settings
            Those of all entries in it.
        """
        for first, part in self._runs():
            settings = self.settings_of(first)
            if settings is not None and (indices is None or first in indices):
                yield part if self._gather is None else overlap(part, self.part), settings

    def _runs(self) -> list[tuple[int, slice]]:
        """Neighbours with the same settings: the index of the first, and where they lie.

        They are found anew only after something was frozen or unfrozen, or a decay was changed.
        Otherwise the parameters of a run are changed equally often, and to look at each of them
        would take longer than the step of a small model.
        """
        frozen = self.buffer.frozen_indices()
        decays: list[float] = []  # of matrices, by group, where vectors have to be updated apart
        if not self.decoupled_decay:
            decays = [self._decay_of(group) for group in self.groups]
        known = self._runs_for
        if known is None or known[0] is not frozen or known[1] != decays:
            kinds = [
                (
                    group,
                    self.place_in_buffer(p),
                    decays[group] if decays and p.ndim >= 2 else 0.0,
                    p.requires_grad,
                    missed,
                )
                for p, group, missed in zip(
                    self.buffer.parameters, self._group_of, self._missed, strict=True
                )
            ]
            runs = [list(run) for _, run in groupby(range(len(kinds)), key=kinds.__getitem__)]
            places = self.buffer.slices
            self._known_runs = [
                (run[0], slice(places[run[0]].start, places[run[-1]].stop)) for run in runs
            ]
            self._runs_for = (frozen, decays)
        return self._known_runs

    def _decay_of(self, group: Group) -> float:
        """The decay of the matrices of a group."""
        return self.weight_decay if group.weight_decay is None else group.weight_decay

    def settings_of(self, index: int) -> Settings | None:
        """The settings of one parameter in this step; None if it is frozen."""
        parameter = self.buffer.parameters[index]
        if not parameter.requires_grad:
            return None
        group = self.groups[self._group_of[index]]
        decay = self._decay_of(group) if parameter.ndim >= 2 else 0.0
        return Settings(self._lr * group.lr_scale, decay, self.steps - self._missed[index])

    def state_of(self, part: slice) -> dict[str, NDArray[Any]]:
        """The state of some entries of the buffer, as views."""
        return {name: array[part] for name, array in self.state.items()}

    def update_in_blocks(self, part: slice, grad: NDArray[Any], settings: Settings) -> None:
        """Call :meth:`update_block` for some entries, a block at a time and on all threads."""
        data = self.buffer.data
        shrink = 1.0
        if self.decoupled_decay:
            shrink -= settings.lr * settings.weight_decay

        def task(rows: slice) -> None:
            block = slice(part.start + rows.start, part.start + rows.stop)
            if shrink != 1:
                matrices = data[block.start : min(block.stop, self._first_vector)]
                matrices *= shrink
            self.update_block(data[block], grad[block], settings, **self.state_of(block))

        count = part.stop - part.start
        if count:
            over_rows(task, count, data.itemsize)

    def update_block(self, w: Any, g: Any, settings: Settings, *_: Any, **state: Any) -> None:
        """Change some entries of the parameters and of the state, in place.

        It is called for one block of entries after the other, on several threads at once, so it
        must not write to attributes. What it writes to is given to it.

        Parameters
        ----------
        w : (n,) ndarray
            Parameters, to be changed.
        g : (n,) ndarray
            Their gradients, which stay as they are.
        settings : Settings
            ``settings.lr``, ``settings.weight_decay`` and ``settings.steps`` of these entries.
        **state : (n,) ndarray
            The arrays that ``state`` named, to be changed.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no update_block()")

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of the state arrays, the counters, and what they belong to."""
        arrays = {
            "steps": np.array(self.steps),
            "updates": np.array([self.steps - missed for missed in self._missed], np.int64),
            "shapes": self._shapes(),
            "group_of": np.array(self._group_of, np.int64),
            "groups": self._numbers_of_groups(),
        }
        return arrays | {name: self.whole_state(name) for name in self.state}

    def _shapes(self) -> NDArray[np.int64]:
        """The shapes of all parameters in a row, each after its length."""
        flat = [n for p in self.buffer.parameters for n in (p.ndim, *p.shape)]
        return np.array(flat, np.int64)

    def _numbers_of_groups(self) -> NDArray[np.float64]:
        """The scale and the decay of each group; NaN for the decay of the optimiser."""
        rows = [
            (group.lr_scale, np.nan if group.weight_decay is None else group.weight_decay)
            for group in self.groups
        ]
        return np.array(rows, np.float64)

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a saved state; the numbers of the groups become those that were saved.

        Raises
        ------
        ValueError
            If it belongs to another kind of optimiser, to other parameters or to other groups.
        """
        name = type(self).__name__
        expected = {"steps", "updates", "shapes", "group_of", "groups", *self.state}
        if set(state) != expected:
            raise ValueError(
                f"{name}: expected the entries {sorted(expected)}, got {sorted(state)}; make the "
                "optimiser as it was when its state was saved"
            )
        same_groups = len(state["groups"]) == len(self.groups)
        if len(state["group_of"]) == len(self._group_of):
            same_groups = same_groups and np.array_equal(state["group_of"], self._group_of)
        if not same_groups:
            raise ValueError(
                f"{name}: the state was saved with {len(state['groups'])} groups of parameters, "
                f"this optimiser has {len(self.groups)}, or other parameters are in them; make it "
                "with the groups it had"
            )
        fits = state["updates"].shape == (len(self._missed),) and all(
            state[key].shape == target.shape for key, target in self.state.items()
        )
        if not fits or not np.array_equal(state["shapes"], self._shapes()):
            raise ValueError(
                f"{name}: the state was saved with another model: its parameters had other shapes, "
                "or another order"
            )
        for key, target in self.state.items():
            target[...] = state[key]
        self.steps = int(state["steps"])
        self._missed = (self.steps - state["updates"]).tolist()
        self._runs_for = None
        for group, (lr_scale, weight_decay) in zip(self.groups, state["groups"], strict=True):
            group.lr_scale = float(lr_scale)
            group.weight_decay = None if np.isnan(weight_decay) else float(weight_decay)

    # --- In several processes, each of which updates a part of the buffer ---

    #: Whether an update looks at whole parameters, which must not be cut then.
    whole_parameters = False

    def cuts(self, count: int) -> list[slice]:
        """The buffer in parts of about the same size, one for each of several processes."""
        size = len(self.buffer.data)
        ends = [size * i // count for i in range(count + 1)]
        if self.whole_parameters:
            borders = [*(place.start for place in self.buffer.slices), size]
            ends = [min(borders, key=lambda border: abs(border - end)) for end in ends]
        return [slice(start, stop) for start, stop in pairwise(ends)]

    def is_ours(self, index: int) -> bool:
        """Whether this process updates a parameter, if parameters are not cut."""
        start: int = self.buffer.slices[index].start
        return start in range(self.part.start, self.part.stop)


add_habits(Optimizer, OF_AN_OPTIMIZER)
