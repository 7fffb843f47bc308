"""What is said of a module of a class that does not tell how its instances are made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from foundation_nn._arguments import described
from foundation_nn.modules._module import Module


def _arguments(cls: type) -> list[inspect.Parameter]:
    """What a constructor takes that decides what is made: all but the generator."""
    parameters = list(inspect.signature(cls).parameters.values())
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in parameters if p.kind not in variadic and p.name != "rng"]


def require_all_arguments(name: str, module: Module, config: Mapping[str, Any]) -> None:
    """Refuse a ``to_dict`` from before a subclass took more arguments: they would be lost."""
    kind: Any = type(module)
    order = list(kind.__mro__)
    made_by = next(cls for cls in order if "__init__" in vars(cls))
    told_by = next(cls for cls in order if "to_dict" in vars(cls))
    by_arguments = kind.from_dict.__func__ is Module.from_dict.__func__  # type: ignore[attr-defined]
    if not by_arguments or order.index(told_by) <= order.index(made_by):
        return
    lost = [p.name for p in _arguments(kind) if p.name not in config]
    if lost:
        raise TypeError(
            f"checkpoint: {name} is {described(module)} with an __init__ of its own, and has "
            f"to_dict() from {told_by.__name__}, which knows nothing of {', '.join(lost)}; "
            f"{_the_method(kind)}"
        )


def how_to_save(name: str, module: Module) -> str:
    """What to write so that a module of a class of the user's own can be saved."""
    kind = type(module)
    return (
        f"checkpoint: {name} is {described(module)}, which has no to_dict(), so that a file cannot "
        f"say how one is made; {_the_method(kind)}"
    )


def _the_method(kind: type) -> str:
    items = ", ".join(f'"{p.name}": self.{p.name}' for p in _arguments(kind))
    return (
        f"let the class return the arguments of its constructor:\n\n"
        f"    def to_dict(self) -> dict[str, Any]:\n"
        f"        return {{{items}}}\n\n"
        f"and load it with checkpoint.load(path, classes=[{kind.__name__}]), which calls "
        f"{kind.__name__}.from_dict(config): unless you define another one, that is "
        f"{kind.__name__}(**config). For the weights alone, model.save_weights(path) is enough."
    )
