"""The parameters that a caller means: of a module, or given one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from foundation_nn._arguments import described
from foundation_nn.engine._parameter import Parameter
from foundation_nn.modules._module import Module

#: What optimisers take.
Parameters: TypeAlias = Module | Parameter | Iterable[Parameter]


def parameters_of(caller: str, given: Any) -> list[Parameter]:
    """The parameters of a module, of a list or of any other iterable; or a single one.

    Raises
    ------
    TypeError
        If it is anything else. The message names the fix.
    ValueError
        If a module has no parameters.
    """
    if isinstance(given, Module):
        parameters = list(given.parameters())
        if not parameters:
            raise ValueError(
                f"{caller}: {described(given)} has no parameters to learn; those of a module are "
                "its attributes, or those of layers that are its attributes, alone or in lists, "
                "tuples and dictionaries"
            )
        return parameters
    if isinstance(given, Parameter):
        return [given]
    if isinstance(given, Mapping):
        raise TypeError(f"{caller}: expected parameters, got a dictionary; {_fix_for_dict(given)}")
    if isinstance(given, str | type) or not isinstance(given, Iterable):
        hint = "; call it" if callable(given) and not isinstance(given, type) else ""
        raise TypeError(
            f"{caller}: expected a module or parameters, got {described(given)}{hint}; pass the "
            "model, or model.parameters()"
        )
    parameters = list(given)
    for p in parameters:
        if not isinstance(p, Parameter):
            raise TypeError(f"{caller}: expected parameters, got {described(p)}; {_fix_for(p)}")
    return parameters


def _fix_for(item: Any) -> str:
    """What to write instead of a list with this item."""
    if isinstance(item, tuple):
        return "named_parameters() gives pairs, pass model.parameters()"
    if isinstance(item, Mapping):
        return _fix_for_dict(item)
    if isinstance(item, Module):
        return "pass the parameters of several modules as [*a.parameters(), *b.parameters()]"
    return "wrap what is to be learnt in Parameter(...)"


def _fix_for_dict(item: Mapping[Any, Any]) -> str:
    if "params" in item:
        return "groups belong to optimisers, which are made as AdamW([{'params': ...}, ...])"
    return "pass model.parameters(), or the values of the dictionary if they are parameters"
