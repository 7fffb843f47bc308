"""Modules own parameters and call operations."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from foundation_nn.engine._habit_tables import OF_A_MODULE
from foundation_nn.engine._habits import (
    add_habits,
    explain_call,
    explains_keywords,
)
from foundation_nn.engine._parameter import Buffer, Parameter
from foundation_nn.engine._watch import watching
from foundation_nn.modules._tree import tree
from foundation_nn.modules._weights import read_weights, write_weights

P = ParamSpec("P")
Output = TypeVar("Output", covariant=True)


class _Called(Protocol[P, Output]):
    """What a type checker looks at in a call of a module: the ``forward`` of its class.

    It takes and returns what that one does, so that ``Linear(2, 3)(x)`` is known to be a Tensor.
    """

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> Output: ...

    def _say_where(self, error: Exception) -> None: ...


class Module:
    """Base class of everything with parameters.

    A subclass sets parameters, modules, or lists and dictionaries of them as attributes and defines
    ``forward``. There is no register of parameters beside the attributes: whoever asks for the
    parameters gets those that the attributes hold at that moment. So a layer can be replaced by
    assigning another one.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import Linear, Module, functional
    >>> class TwoLayers(Module):
    ...     def __init__(self, rng):
    ...         self.layers = [Linear(2, 3, rng=rng), Linear(3, 1, rng=rng)]
    ...     def forward(self, x):
    ...         return self.layers[1](functional.tanh(self.layers[0](x)))
    >>> model = TwoLayers(np.random.default_rng(0))
    >>> [name for name, _ in model.named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    """

    @explains_keywords
    def __init__(self) -> None:
        """A layer without parameters and options needs no constructor of its own."""
        super().__init__()

    def __init_subclass__(cls, **options: Any) -> None:
        """Have the constructor answer keywords that it does not have; nothing else is touched."""
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = explains_keywords(cls.__init__)  # type: ignore[method-assign]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self: _Called[P, Output], *args: P.args, **kwargs: P.kwargs) -> Output:
        watcher = watching.get()
        forward = self.forward if watcher is None else watcher.around(cast(Module, self))
        try:
            return forward(*args, **kwargs)
        except (TypeError, ValueError) as error:
            if isinstance(error, TypeError):
                explain_call(error, self.forward, type(self).__name__, args, kwargs)
            self._say_where(error)
            raise

    def _say_where(self, error: Exception) -> None:
        """Put the path of the failing layer before the message, seen from this module."""
        culprit, message = getattr(error, "_where", (self, str(error)))
        error._where = (culprit, message)  # type: ignore[attr-defined]
        for path, module in self.named_modules():
            if module is culprit and path:
                argument = f"{path.rpartition('.')[2]}: "  # mostly, the layer has another name
                error.args = (f"{_bracketed(path)}: {message.removeprefix(argument)}",)
                return

    def _children(self) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
        for name, value in vars(self).items():
            yield from _members(name, value)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (named ``""``) and all within, in the order of their definition."""
        yield prefix, self
        for name, child in self._children():
            if isinstance(child, Module):
                yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _all_names(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        """Every name of every parameter and buffer; one that is shared has several."""
        for path, module in self.named_modules():
            for name, child in module._children():
                if not isinstance(child, Module):
                    yield (f"{path}.{name}" if path else name), child

    def _first_names(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        """Every parameter and buffer once."""
        seen: set[int] = set()
        for name, value in self._all_names():
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Parameters with their names; a shared one once, under its first name."""
        for name, value in self._first_names():
            if isinstance(value, Parameter):
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once."""
        for _, parameter in self.named_parameters():
            yield parameter

    def buffers(self) -> Iterator[Buffer]:
        """Each kept value that is not learnt, once."""
        for _, value in self._first_names():
            if isinstance(value, Buffer):
                yield value

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """A new module from what ``to_dict()`` of one returned; the values are fresh.

        It is ``cls(**config)``. A class of your own that is to be saved in checkpoints defines
        ``to_dict()``, which returns the arguments of its constructor, but for an ``rng``: where one
        is asked for, it is a fresh generator, for what it draws will be replaced.
        """
        rng = inspect.signature(cls).parameters.get("rng")
        if rng is not None and rng.default is rng.empty and "rng" not in config:
            config = {**config, "rng": np.random.default_rng()}
        return cls(**config)

    def num_parameters(self, trainable: bool = False) -> int:
        """The number of numbers in all parameters; shared ones count once.

        Parameters
        ----------
        trainable : bool
            Count only what is not frozen.
        """
        return sum(p.size for p in self.parameters() if p.requires_grad or not trainable)

    def freeze(self) -> Self:
        """Keep all parameters as they are; returns this module.

        No gradient is computed for what is frozen, and optimisers leave it alone, until
        :meth:`unfreeze`. Gradients still flow through a frozen layer to those before it. It can be
        done before or after the optimiser is made, and also between two steps. A checkpoint tells
        what is frozen. A parameter that this module shares with another one is frozen in both.

        Examples
        --------
        >>> from foundation_nn import MLP
        >>> model = MLP([2, 8, 1])
        >>> first = model[0].freeze()
        >>> model.num_parameters(), model.num_parameters(trainable=True)
        (33, 9)
        """
        return self._set_requires_grad(False)

    def unfreeze(self) -> Self:
        """Have all parameters learnt again; returns this module."""
        return self._set_requires_grad(True)

    def _set_requires_grad(self, value: bool) -> Self:
        for p in self.parameters():
            p.requires_grad = value
        return self

    def astype(self, dtype: DTypeLike) -> Self:
        """Cast every parameter and buffer in place, e.g. to float64 for a gradient check.

        Optimisers made before refuse to step afterwards.
        """
        for _, value in self._first_names():
            value._astype(dtype)
        return self

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Copies of all parameters and buffers by name."""
        return {name: value.numpy() for name, value in self._first_names()}

    def load_state_dict(
        self, state: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> None:
        """Copy values into parameters and buffers; nothing is changed if anything does not fit.

        Parameters
        ----------
        state : mapping from name to array
            Anything NumPy can read, e.g. PyTorch's ``state_dict()`` on the CPU. Values are cast
            to the dtype of the parameters. A shared parameter, such as a tied weight, may appear
            under any of its names, or under several with the same values.
        strict : bool
            Refuse missing and unexpected names. Wrong shapes are always refused.
        assign : bool
            Take arrays of the right dtype over instead of copying them; they become read-only.

        Raises
        ------
        ValueError
            With a table of what is missing, unexpected or of the wrong shape, and of shared
            parameters whose names bring different values.
        """
        names: dict[int, list[str]] = {}
        targets: dict[str, Parameter | Buffer] = {}
        for name, target in self._all_names():
            names.setdefault(id(target), []).append(name)
            targets[name] = target
        values = {name: np.asarray(state[name]) for name in targets if name in state}
        strange = [name for name, value in values.items() if value.dtype.kind not in "fiub"]
        if strange:
            raise ValueError(
                f"the state holds no numbers for {', '.join(strange)}: expected arrays, got "
                f"{type(state[strange[0]]).__name__}"
            )
        problems = [
            f"  wrong shape  {name}: expected {targets[name].shape}, got {value.shape}"
            for name, value in values.items()
            if value.shape != targets[name].shape
        ]
        for aliases in names.values():
            given = [values[name] for name in aliases if name in values]
            if strict and not given:
                problems.append(f"  missing      {aliases[0]} {targets[aliases[0]].shape}")
            if any(not np.array_equal(given[0], other) for other in given[1:]):
                problems.append(f"  contradict   {', '.join(aliases)}: shared, but not equal")
        if strict:
            problems += [f"  unexpected   {name}" for name in state if name not in targets]
        if problems:
            raise ValueError(
                f"the state does not fit this {type(self).__name__}:\n" + "\n".join(problems)
            )
        for name, value in values.items():
            if assign:
                targets[name]._adopt(value)
            else:
                targets[name].data = value

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write all parameters and buffers to one file, in the safetensors format.

        How the module is made is not in it: :func:`foundation_nn.checkpoint.save` writes that, too.

        Parameters
        ----------
        path : path
            Such as ``weights.safetensors``; its folder exists. An older file is replaced when the
            new one is whole.

        Raises
        ------
        OSError
            If it cannot be written; an older file is untouched.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> from foundation_nn import Linear
        >>> path = pathlib.Path(tempfile.mkdtemp(), "weights.safetensors")
        >>> layer = Linear(2, 3)
        >>> layer.save_weights(path)
        >>> twin = Linear(2, 3)
        >>> twin.load_weights(path)
        >>> bool((twin.weight == layer.weight).all())
        True
        """
        write_weights(path, self.state_dict())

    def load_weights(self, path: str | os.PathLike[str], strict: bool = True) -> None:
        """Take the values of all parameters and buffers from a safetensors file.

        One that PyTorch's users have written will do, if the names are the same, as they are for
        the layers that both have.

        Parameters
        ----------
        path : path
        strict : bool
            Refuse missing and unexpected names. Wrong shapes are always refused.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no safetensors file, or does not fit; nothing was changed then.
        """
        state = read_weights(path)
        try:
            self.load_state_dict(state, strict)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): " + _in_short(part).replace("\n", "\n  ") for name, part in self._shown()
        ]
        head = f"{type(self).__name__}({self._options()}"
        return head + ("\n" + "\n".join(lines) + "\n)" if lines else ")")

    def _repr_html_(self) -> str:
        """For notebooks: a tree that can be opened and closed."""
        return tree(self)

    def _shown(self) -> Iterator[tuple[str, Any]]:
        """What ``repr`` shows line by line: the modules within."""
        for name, child in self._children():
            if isinstance(child, Module):
                yield name, child

    def _options(self) -> str:
        """What ``repr`` shows between the parentheses."""
        plain = {k: v for k, v in vars(self).items() if isinstance(v, bool | int | float | str)}
        return ", ".join(f"{k}={v!r}" for k, v in plain.items())


def _in_short(part: Any) -> str:
    """A module, or a function among the layers, as ``repr`` shows it."""
    return repr(part) if isinstance(part, Module) else getattr(part, "__name__", repr(part))


def _members(name: str, value: Any) -> Iterator[tuple[str, Module | Parameter | Buffer]]:
    """What an attribute holds, looking into lists, tuples and dictionaries."""
    if isinstance(value, Module | Parameter | Buffer):
        yield name, value
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _members(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _members(f"{name}.{key}", item)


def _bracketed(path: str) -> str:
    """``layers.2.norm`` as one writes it in Python: ``layers[2].norm``."""
    return "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in path.split(".")).lstrip(".")


add_habits(Module, OF_A_MODULE)
