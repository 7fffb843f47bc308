"""Groups: parameters that are trained at a rate, or with a decay, of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypeAlias, TypedDict

from foundation_nn._arguments import described, did_you_mean, number
from foundation_nn.engine._parameter import Parameter
from foundation_nn.modules._module import Module
from foundation_nn.optim._parameters import Parameters, parameters_of


class ParameterGroup(TypedDict):
    """What a caller says of a group, as a dictionary.

    Attributes
    ----------
    params : Module, Parameter or iterable of Parameter
    lr : float
        Its learning rate at first. The optimiser keeps the ratio to its own ``lr``, and a schedule,
        which sets that, moves both. To an ``lr`` of 0 there is no ratio: a ValueError says to give
        ``lr_scale`` instead.
    lr_scale : float
        This ratio; 1 by default. Give one of the two.
    weight_decay : float
        For its matrices; that of the optimiser by default.
    """

    params: Parameters
    lr: NotRequired[float]
    lr_scale: NotRequired[float]
    weight_decay: NotRequired[float]


#: What an optimiser takes: parameters, or a list of groups.
Trainable: TypeAlias = Module | Parameter | Iterable[Parameter | ParameterGroup]


class Group:
    """Parameters of an optimiser that share a rate and a decay.

    Attributes
    ----------
    parameters : list of Parameter
    lr_scale : float
        Their learning rate is that of the optimiser, times this number.
    weight_decay : float or None
        Of their matrices; None for that of the optimiser.

    Both numbers may be changed between steps.
    """

    def __init__(
        self,
        caller: str,
        parameters: list[Parameter],
        lr_scale: float = 1.0,
        weight_decay: float | None = None,
    ) -> None:
        self._caller = caller
        self.parameters = parameters
        self.lr_scale = lr_scale
        self.weight_decay = weight_decay

    @property
    def lr_scale(self) -> float:
        return self._lr_scale

    @lr_scale.setter
    def lr_scale(self, value: float) -> None:
        self._lr_scale = number(self._caller, "lr_scale", value, at_least=0)

    @property
    def weight_decay(self) -> float | None:
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: float | None) -> None:
        if value is not None:
            value = number(self._caller, "weight_decay", value, at_least=0)
        self._weight_decay = value

    def __repr__(self) -> str:
        decay = "" if self.weight_decay is None else f", weight_decay={self.weight_decay:g}"
        numbers = sum(p.size for p in self.parameters)
        return f"Group({numbers:,} numbers, lr_scale={self.lr_scale:g}{decay})"


def groups_of(caller: str, given: Any, lr: float) -> list[Group]:
    """The groups that a caller means; parameters alone are one group.

    Raises
    ------
    TypeError
        If it is anything else, or a group has a setting that no group can have.
    ValueError
        If a number is out of bounds.
    """
    if isinstance(given, Mapping) and "params" in given:
        raise TypeError(f"{caller}: groups are a list of dictionaries; write [{{'params': ...}}]")
    if not isinstance(given, Module | Parameter | Mapping | str) and isinstance(given, Iterable):
        given = list(given)
    if isinstance(given, list) and any(isinstance(item, Mapping) for item in given):
        return [_group(caller, index, item, lr) for index, item in enumerate(given)]
    return [Group(caller, parameters_of(caller, given))]


def modules_of(given: Any) -> list[Module]:
    """The modules that a caller named, of all groups."""
    if isinstance(given, Module):
        return [given]
    if not isinstance(given, list | tuple):
        return []
    named = [item.get("params") for item in given if isinstance(item, Mapping)]
    return [module for module in named if isinstance(module, Module)]


def _group(caller: str, index: int, item: Any, lr: float) -> Group:
    """One group, from the dictionary that says what belongs to it."""
    if not isinstance(item, Mapping):
        raise TypeError(
            f"{caller}: expected a dictionary for each group, got {described(item)} for group "
            f"{index}; write {{'params': ...}}"
        )
    where = f"{caller}, group {index}"
    known = list(ParameterGroup.__annotations__)
    for name in item:
        if name not in known:
            raise TypeError(
                f"{where}: a group has no {name!r}{did_you_mean(str(name), known)}; what is "
                "different in other ways needs an optimiser of its own"
            )
    if "params" not in item:
        raise TypeError(f"{where}: 'params' is missing: which parameters belong to it")
    scale = item.get("lr_scale", 1.0)
    if "lr" in item:
        scale = _ratio(where, item, lr)
    parameters = parameters_of(where, item["params"])
    return Group(where, parameters, scale, item.get("weight_decay"))


def _ratio(where: str, item: Mapping[str, Any], lr: float) -> float:
    """The rate of a group as a multiple of the optimiser's."""
    own = number(where, "lr", item["lr"], at_least=0)
    if "lr_scale" in item:
        raise ValueError(f"{where}: lr and lr_scale say the same thing; give one of them")
    if not lr:
        raise ValueError(
            f"{where}: lr is kept as a multiple of the optimiser's, which is 0; give lr_scale"
        )
    return own / lr
