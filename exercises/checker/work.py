"""A learner's file, and its functions, called with care."""

from __future__ import annotations

import contextlib
import copy
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from checker.hints import Gap, Hint, describe_error

__all__ = ["Work", "learners_code"]


@contextlib.contextmanager
def learners_code(file: Path, doing: str) -> Iterator[None]:
    """Within it, whatever is raised becomes a hint. NumPy's warnings are left to the checks.

    Ctrl-C goes through, so that an endless loop can be stopped.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Hint, Gap, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        raise describe_error(error, file, doing) from error


class Work:
    """The names that a learner's file defines, as attributes.

    Functions come back guarded: what they raise is a hint, and so is a result of None, or an
    argument that they have changed. What is no function (a class, a number) comes back as it is.

    Parameters
    ----------
    file : Path
        The exercise, run as a module of its own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        module = types.ModuleType("exercise")
        module.__file__ = str(file)
        with learners_code(file, f"running {file.name} from top to bottom"):
            # The import system would leave a cache beside the file, and would believe it when two
            # edits fall into the same second.
            code = compile(file.read_text("utf-8"), str(file), "exec")
            exec(code, module.__dict__)
        self._names = module.__dict__

    def __getattr__(self, name: str) -> Any:
        try:
            value = self._names[name]
        except KeyError:
            raise Hint(
                f"looking for {name} in {self._file.name}",
                f"The check calls {name} by this name, and the file does not define it any more. "
                "Give it its name back.",
            ) from None
        if isinstance(value, types.FunctionType):
            return Guarded(value, self._file)
        return value


class Guarded:
    """A learner's function: its errors become hints."""

    def __init__(self, function: Callable[..., Any], file: Path) -> None:
        self.function = function
        self.file = file
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call it. It has to return something, and to leave arrays and lists as they are."""
        before = copy.deepcopy([x if _is_data(x) else None for x in arguments])
        result = self.in_place(*arguments, **options)
        if result is None or result is ...:
            raise Hint(
                f"calling {self._shown(arguments)}",
                f"Nothing came back. Does {self.__name__} end with a return?",
                came=str(result),
            )
        for position, (old, new) in enumerate(zip(before, arguments, strict=True)):
            if old is not None and not _identical(old, new):
                raise Hint(
                    f"calling {self._shown(arguments)}",
                    f"Argument {position + 1} was changed by {self.__name__}. The caller still "
                    "needs it as it was: make a new array instead of writing into this one "
                    "(x = x + 1 makes one, x += 1 writes into it).",
                )
        return result

    def in_place(self, *arguments: Any, **options: Any) -> Any:
        """Call a function that is there to change its arguments."""
        with learners_code(self.file, f"calling {self._shown(arguments)}"):
            return self.function(*arguments, **options)

    def _shown(self, arguments: tuple[Any, ...]) -> str:
        return f"{self.__name__}({', '.join(map(_brief, arguments))})"


def _is_data(value: Any) -> bool:
    return isinstance(value, np.ndarray | list | tuple | dict)


def _identical(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray):
        return bool(old.shape == new.shape and old.tobytes() == new.tobytes())
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_identical, old, new))
    if isinstance(old, dict):
        return list(old) == list(new) and all(map(_identical, old.values(), new.values()))
    return bool(old is new or old == new)


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > 6:
            return f"array of shape {value.shape}"
        return np.array2string(value, precision=4, separator=", ").replace("\n", "")
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    text = repr(value)
    return text if len(text) <= 50 else f"{text[:47]}..."
