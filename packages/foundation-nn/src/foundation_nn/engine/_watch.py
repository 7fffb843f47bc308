"""The one hook: who is told of every module, every operation and every backward.

``trace``, ``profile``, ``summary`` and ``first_non_finite`` are watchers. While none is at work,
the engine pays for one look at a context variable.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from foundation_nn.engine._tape import Node
    from foundation_nn.modules._module import Module

watching: ContextVar[Watcher | None] = ContextVar("watching", default=None)


class Watcher:
    """Told of what runs within ``with watcher:``. This base class knows where it runs.

    Within another watcher's context, only the inner one is told.

    Attributes
    ----------
    path : str
        Of the module that runs now, seen from the outermost one, as ``named_modules`` writes it.
    kind : str
        Its class. Both are empty outside of modules.
    """

    def __init__(self) -> None:
        # By identity; the modules are held so that no other can take their place.
        self._names: dict[int, tuple[str, Module]] = {}
        self._running: list[Module] = []
        self._tokens: list[Token[Watcher | None]] = []

    def __enter__(self) -> Self:
        self._tokens.append(watching.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        watching.reset(self._tokens.pop())

    @property
    def path(self) -> str:
        return self._names[id(self._running[-1])][0] if self._running else ""

    @property
    def kind(self) -> str:
        return type(self._running[-1]).__name__ if self._running else ""

    def name_modules(self, root: Module, prefix: str = "") -> None:
        """Call the modules within ``root`` by their paths; the first name of each is kept."""
        for path, module in root.named_modules(prefix):
            self._names.setdefault(id(module), (path, module))

    def around(self, module: Module) -> Callable[..., Any]:
        """The ``forward`` of a module, with this watcher told of its begin and end."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if id(module) not in self._names:
                kind = type(module).__name__
                self.name_modules(module, f"{self.path}.{kind}".lstrip(".") * bool(self._running))
            self._running.append(module)
            try:
                output = module.forward(*args, **kwargs)
                self.module_done(output)
                return output
            finally:
                self._running.pop()

        return call

    def module_done(self, output: Any) -> None:
        """The module at ``path`` has returned ``output``."""

    def forward(
        self,
        kernel: Callable[..., Any],
        inputs: list[Any],
        output: Any,
        backward: Callable[..., Any],
        node: Node | None,
        seconds: float,
    ) -> None:
        """A kernel has run on arrays (or None).

        Parameters
        ----------
        kernel : callable
        inputs : list of ndarray or None
            Its differentiable inputs.
        output : ndarray, or tuple of them
        backward : callable
            What the kernel returned beside its value.
        node : Node or None
            What stands on the tape for it; None if nothing was recorded.
        seconds : float
        """

    def backward(self, node: Node, g: Any, grads: tuple[Any, ...], seconds: float) -> None:
        """The backward of ``node`` has turned ``g`` into one gradient (or None) per input."""
