"""Which classes a file may name: those that our packages export, and the caller's own.

A file chooses nothing. It holds the public name of a class, such as ``foundation_nn:MLP``, which is
looked up among the names that the modules listed here export. No other module is ever imported for
a file; other classes are passed by the caller. Functions, which may be layers of a ``Sequential``,
are those of ``foundation_nn.functional``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from foundation_nn import functional
from foundation_nn.checkpoint._folder import CheckpointError

#: The modules whose ``__all__`` is searched, in this order.
MODULES = (
    "foundation_nn",
    "foundation_nn.training",
    "foundation_nn.schedules",
    "foundation_data",
    "foundation_seq",
    "foundation_seq.recipes",
    "foundation_attn",
    "foundation_transformer",
    "foundation_transformer.recipes",
    "foundation_transformer.adapters",
    "foundation_transformer.chat",
    "foundation_transformer.pretrained",
)


def public_name(cls: type) -> str:
    """``module:Class`` with the module that exports it, so that files may move within a package.

    Raises
    ------
    TypeError
        If it is a class of our packages that none of them exports.
    """
    package = cls.__module__.partition(".")[0]
    for module in MODULES:
        if module.partition(".")[0] == package and _exported(module, cls.__name__) is cls:
            return f"{module}:{cls.__name__}"
    if package in MODULES:
        raise TypeError(f"checkpoint: {package} does not export {cls.__qualname__}")
    return f"{cls.__module__}:{cls.__qualname__}"


def find_class(public: str, classes: Sequence[type] = ()) -> Any:
    """What :func:`public_name` named: one of ``classes``, or one that a package of ours exports.

    Raises
    ------
    CheckpointError
        If it is neither, or the package is not installed.
    """
    module, _, name = str(public).partition(":")
    for cls in classes:
        if public_name(cls) == public:
            return cls
    for cls in classes:  # saved by a script, ``__main__``, and loaded by another one
        if module not in MODULES and cls.__qualname__ == name:
            return cls
    if module not in MODULES:
        raise CheckpointError(
            f"the class {public} is not one that a foundation package exports; if it is yours, "
            "name it: load(path, classes=[...])"
        )
    try:
        found = _exported(module, name)
    except ImportError:
        package = module.partition(".")[0].replace("_", "-")
        raise CheckpointError(f"{public} is needed; install {package}") from None
    if found is None:
        raise CheckpointError(f"there is no class {public}; the file was altered, or is newer")
    return found


def function_name(value: Any) -> str | None:
    """The name of a function of ``foundation_nn.functional``; None for anything else."""
    name: Any = getattr(value, "__name__", None)
    return name if name in functional.__all__ and getattr(functional, name) is value else None


def find_function(name: str) -> Any:
    """What :func:`function_name` named.

    Raises
    ------
    CheckpointError
        If there is no such function.
    """
    if name not in functional.__all__:
        raise CheckpointError(f"foundation_nn.functional has no {name}; the file was altered")
    return getattr(functional, name)


def _exported(module: str, name: str) -> type | None:
    """The class of this name that the module exports."""
    content = importlib.import_module(module)
    found = getattr(content, name, None) if name in content.__all__ else None
    return found if isinstance(found, type) else None
