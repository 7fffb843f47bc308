"""Lists and dictionaries of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, NoReturn, Self, TypeVar, overload

from foundation_nn._arguments import described
from foundation_nn.modules._module import Module

M = TypeVar("M", bound=Module)


class ModuleList(Module, MutableSequence[M]):
    """A list of modules, with the methods of a Python list.

    A plain list that is an attribute of a module is looked into just the same, and gives its
    parameters the same names. A ``ModuleList`` refuses what is no module, has a repr, and is a
    module itself, so that it can be saved by itself.

    Parameters
    ----------
    modules : iterable of Module, optional

    Raises
    ------
    TypeError
        If something is not a module.

    Examples
    --------
    >>> from foundation_nn import Linear, Module, ModuleList, Tensor
    >>> class Stack(Module):
    ...     def __init__(self, width: int, depth: int) -> None:
    ...         self.layers = ModuleList(Linear(width, width) for _ in range(depth))
    ...     def forward(self, x: Tensor) -> Tensor:
    ...         for layer in self.layers:
    ...             x = layer(x)
    ...         return x
    >>> [name for name, _ in Stack(width=2, depth=2).named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    """

    def __init__(self, modules: Iterable[M] = ()) -> None:
        self._items: list[M] = []
        self.extend(_iterated("ModuleList", modules))

    def to_dict(self) -> dict[str, Any]:
        """The modules, for a checkpoint."""
        return {"modules": list(self)}

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> M | Self:
        return type(self)(self._items[index]) if isinstance(index, slice) else self._items[index]

    @overload
    def __setitem__(self, index: int, value: M) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[M]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._items[index] = [_checked("ModuleList", module) for module in value]
        else:
            self._items[index] = _checked("ModuleList", value)

    def __delitem__(self, index: int | slice) -> None:
        del self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def insert(self, index: int, value: M) -> None:
        """Put a module before the one at ``index``."""
        self._items.insert(index, _checked("ModuleList", value))

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Refused: a list does not say how its modules follow one another.

        Raises
        ------
        TypeError
        """
        raise TypeError(
            "a ModuleList cannot be called, it only holds modules: loop over it in the forward of "
            "yours, or make a Sequential of them"
        )

    def _children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), module) for i, module in enumerate(self._items))


class ModuleDict(Module, MutableMapping[str, M]):
    """A dictionary of modules by name, with the methods of a Python dictionary.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of such pairs, optional

    Raises
    ------
    TypeError
        If something is not a module, or a name is no text.
    ValueError
        If a name is empty or has a dot in it, which separates names in a ``state_dict``.

    Examples
    --------
    >>> from foundation_nn import Linear, ModuleDict
    >>> heads = ModuleDict({"mean": Linear(3, 1), "scale": Linear(3, 1)})
    >>> heads["scale"]
    Linear(3, 1, bias=True)
    >>> [name for name, _ in heads.named_parameters()]
    ['mean.weight', 'mean.bias', 'scale.weight', 'scale.bias']
    """

    # A module is equal to itself alone, and may be a key; a mapping says otherwise.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, modules: Mapping[str, M] | Iterable[tuple[str, M]] = ()) -> None:
        self._items: dict[str, M] = {}
        self.update(_iterated("ModuleDict", modules))

    def to_dict(self) -> dict[str, Any]:
        """The modules by name, for a checkpoint."""
        return {"modules": dict(self)}

    def __getitem__(self, name: str) -> M:
        return self._items[name]

    def __setitem__(self, name: str, value: M) -> None:
        if not isinstance(name, str):
            raise TypeError(f"ModuleDict: expected a text as name, got {described(name)}")
        if not name or "." in name:
            raise ValueError(
                f"ModuleDict: expected a name without dots, which separate names in a state_dict, "
                f"got {name!r}"
            )
        self._items[name] = _checked("ModuleDict", value)

    def __delitem__(self, name: str) -> None:
        del self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Refused: a dictionary does not say which of its modules to call.

        Raises
        ------
        TypeError
        """
        raise TypeError(
            "a ModuleDict cannot be called, it only holds modules: call one of them by its name, "
            "modules[name](x)"
        )

    def _children(self) -> Iterator[tuple[str, Module]]:
        return iter(self._items.items())


def _iterated(owner: str, modules: Any) -> Any:
    """What a collection is made of, unless it is one module instead of several."""
    single = isinstance(modules, Module) and not isinstance(modules, Iterable)
    if single or not isinstance(modules, Iterable):
        example = "[module, ...]" if owner == "ModuleList" else '{"name": module, ...}'
        raise TypeError(f"{owner}: expected {owner}({example}), got {described(modules)}")
    return modules


def _checked(owner: str, module: Any) -> Any:
    if isinstance(module, Module):
        return module
    if isinstance(module, type):
        fix = f"make one: {module.__name__}(...)"
    elif isinstance(module, list | tuple):
        fix = "make a ModuleList of it"
    elif isinstance(module, dict):
        fix = "make a ModuleDict of it"
    else:
        fix = "anything else, such as a Parameter or a function, goes into a plain list or dict"
    raise TypeError(f"{owner}: expected modules, got {described(module)}; {fix}")
