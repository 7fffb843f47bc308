"""The tape: what was computed, and from what.

Each operation that somebody will want the gradient of leaves a node. It holds the backward of this
very call, and its edges lead to the nodes of the inputs. For ``y = (w * x).sum()`` these are ::

    leaf w  <──  node 0: multiply  <──  node 1: sum  <──  y

Nodes count up as they are made, and an operation is made after its inputs. So whoever visits the
nodes from the highest number to the lowest has seen all consumers of a node before the node itself:
that is all the order that :mod:`foundation_nn.engine._walk` needs to go back. The decorator in
``_operation`` makes the nodes, unless :class:`no_grad` says that nobody will go back.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._watch import watching

if TYPE_CHECKING:
    from foundation_nn.engine._tensor import Tensor

#: ``backward(g)`` turns the gradient of the value into a tuple with one gradient for each ``Array``
#: input; of a single input it may be given without the tuple. A gradient is an array, None, or a
#: function without arguments that computes it, which is called only if somebody needs it. For an
#: operation with several values, ``g`` is a list.
Backward: TypeAlias = Callable[..., Any]

P = ParamSpec("P")
T = TypeVar("T")

#: Numbers the nodes as they are made.
creation_order = itertools.count()


class Node:
    """One recorded operation: how to go back, and where to.

    It refers to the nodes of its inputs, not to their tensors: an array stays in memory only
    while some ``backward`` closes over it.

    Attributes
    ----------
    name : str
        Of the operation, for messages.
    function : callable or None
        The backward; None after the walk has called it, when all that it saved is freed.
    edges : tuple
        One for each array input of the operation: where its gradient goes.
    shape : tuple of int, or list of them
        Of the value; one for each value where the operation has several.
    dtype : dtype
    blas : bool
        Whether the backward may call BLAS.
    order : int
        How many nodes were made before this one.
    grad : ndarray, list or None
        During the walk, the sum of the gradients that have arrived so far; a list with one for
        each value where there are several.
    owned : bool
        Whether ``grad`` was made for this node alone, so that the next one is added in place.
    """

    __slots__ = (
        "blas",
        "dtype",
        "edges",
        "function",
        "grad",
        "name",
        "order",
        "owned",
        "shape",
    )

    def __init__(
        self,
        name: str,
        function: Backward,
        edges: tuple[Edge, ...],
        shape: Any,
        dtype: np.dtype[Any],
        blas: bool = True,
    ) -> None:
        self.name = name
        self.function: Backward | None = function
        self.edges = edges
        self.shape = shape
        self.dtype = dtype
        self.blas = blas
        self.order = next(creation_order)
        self.grad: Any = None
        self.owned = False


#: A tensor that no operation has made, and the number of changes it had seen when it was read. If
#: somebody gives it a new value before the walk, the number says so.
Leaf: TypeAlias = "tuple[Tensor, int]"

#: Where the gradient of an input goes: to the node that made it, to a leaf, or nowhere.
Edge: TypeAlias = "Node | Leaf | None"


class Part:
    """The gradient of one output of an operation with several outputs.

    For example, ``q, k, v = split_heads(x)`` leaves a node for the operation, and beside it one for
    each output, whose only edge leads to the node of the operation. The backward of the node of
    ``k`` turns g into ``Part(1, g)``. So the walk puts g into place 1 of the list of gradients with
    which it will call the backward of the operation.
    """

    __slots__ = ("grad", "index")

    def __init__(self, index: int, grad: NDArray[Any]) -> None:
        self.index = index
        self.grad = grad


class Again:
    """What the backward of :func:`foundation_nn.recompute` returns instead of gradients.

    ``recompute`` saves memory: in the forward pass it keeps the inputs of a function alone, without
    a graph. Its backward calls the function again, which records the graph now. ``node`` is the
    last node of this graph, and ``grad`` the gradient it begins with. The walk goes on through it.
    """

    __slots__ = ("grad", "node")

    def __init__(self, node: Node, grad: NDArray[Any]) -> None:
        self.node = node
        self.grad = grad


# --- whether operations leave nodes

recording: ContextVar[bool] = ContextVar("recording", default=True)


class no_grad:
    """Run operations without recording them; also a decorator.

    A generator function cannot be decorated: it computes nothing when it is called, but later,
    while its caller loops over it. Write ``with no_grad():`` around what each round computes.

    Raises
    ------
    TypeError
        As a decorator of a generator function or a coroutine.

    Examples
    --------
    >>> from foundation_nn import Tensor, no_grad
    >>> weight = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = weight * 3
    >>> y.requires_grad
    False
    """

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(recording.set(False))

    def __exit__(self, *_: object) -> None:
        recording.reset(self._tokens.pop())

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        if _runs_later(function):
            raise TypeError(
                f"no_grad: {function.__name__} runs after it was called, as a generator or a "
                "coroutine, when no_grad() is over; write `with no_grad():` within it, around what "
                "is computed between two yields"
            )

        @functools.wraps(function)
        def without_recording(*args: P.args, **kwargs: P.kwargs) -> T:
            with no_grad():
                return function(*args, **kwargs)

        return without_recording


def _runs_later(function: Callable[..., Any]) -> bool:
    return (
        inspect.isgeneratorfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    )


def is_recording() -> bool:
    """Whether operations are recorded on the tape, or watched by ``trace``, ``profile`` and so on.

    If not, a module may take a faster way that leaves no trace: plain NumPy instead of operations.

    Examples
    --------
    >>> from foundation_nn import is_recording, no_grad
    >>> with no_grad():
    ...     is_recording()
    False
    """
    return recording.get() or watching.get() is not None
