"""Errors that show the path by which users import them."""

from __future__ import annotations

import sys


def publish(package: str) -> None:
    """Let the errors in ``__all__`` of a package show its name, not the file they stand in.

    A traceback ends with ``foundation_transformer.ContextLengthError: ...``, which is what one
    writes behind ``except``; the file in which the class happens to stand is nobody's business. To
    be called at the end of the package's ``__init__``. Other classes keep the name of their file,
    by which ``inspect.getsource`` finds their source.

    Parameters
    ----------
    package : str
        ``__name__``, within the ``__init__``.
    """
    module = sys.modules[package]
    for name in module.__all__:
        value = getattr(module, name)
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        if is_error and value.__module__.startswith(f"{package}."):
            value.__module__ = package
