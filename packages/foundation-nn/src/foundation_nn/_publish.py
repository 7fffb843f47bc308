"""What a package shows of itself: its version, its errors, and what it says of other names."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from foundation_nn.engine._habits import missing_name


def publish(package: str, habits: Mapping[str, str] | None = None) -> None:
    """Give a package its ``__version__``, and its errors the name by which users know them.

    The version is the one that was installed, so that ``pyproject.toml`` alone says it. It is
    looked up when somebody asks, so that an import does not pay for it.

    A traceback ends with ``foundation_transformer.ContextLengthError: ...``, which is what one
    writes behind ``except``; the file in which the class happens to stand is nobody's business. To
    be called at the end of the package's ``__init__``. Other classes keep the name of their file,
    by which ``inspect.getsource`` finds their source.

    Parameters
    ----------
    package : str
        ``__name__``, within the ``__init__``.
    habits : mapping of str to str, optional
        Names of other libraries that are looked for in the package, and what to write instead.

    Examples
    --------
    >>> import foundation_nn
    >>> foundation_nn.__version__.count(".")
    2
    """
    module = sys.modules[package]
    for name in module.__all__:
        value = getattr(module, name)
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        if is_error and value.__module__.startswith(f"{package}."):
            value.__module__ = package

    def look_up(name: str) -> str:
        if name == "__version__" and "." not in package:
            return _installed_version(package)
        raise missing_name(package, name, habits or {})

    vars(module)["__getattr__"] = look_up


def _installed_version(package: str) -> str:
    """The version of an installed package, or "unknown" if there are only its sources."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:
        return "unknown"
