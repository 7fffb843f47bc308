"""Classes that show the path by which users import them."""

from __future__ import annotations

import sys
from types import FunctionType


def publish(package: str) -> None:
    """Let the classes in ``__all__`` of a package show its name, not the file they stand in.

    ``foundation_data.Batch`` is defined in ``foundation_data.batches._batch``, where nobody should
    import it from. Errors, reprs, pickles and checkpoints name a class by its ``__module__``: this
    sets it to the package. To be called at the end of the package's ``__init__``, in packages that
    are built on this one.

    An example in the docstring of such a class runs with the names of the package alone, as for a
    user: it has to ``import numpy as np`` itself.

    Parameters
    ----------
    package : str
        ``__name__``, within the ``__init__``.
    """
    module = sys.modules[package]
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type) and value.__module__.startswith(f"{package}."):
            _show(value, package)


def _show(cls: type, package: str) -> None:
    """Methods follow their class: otherwise nobody would run the examples in their docstrings."""
    defined_in = cls.__module__
    cls.__module__ = package
    for member in vars(cls).values():
        function = getattr(member, "__func__", member)  # of class methods and static ones
        if isinstance(function, FunctionType) and function.__module__ == defined_in:
            function.__module__ = package
