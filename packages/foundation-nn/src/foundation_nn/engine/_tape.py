"""The tape: what was computed, and the walk back along it.

Everything about reverse-mode differentiation that is not calculus happens in this file: the order
of the visits, un-broadcasting, accumulation, and freeing what has been used.

References
----------
.. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, ch. 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._aside import Aside
from foundation_nn.engine._memory import keep_freed_memory
from foundation_nn.engine._threads import SERIAL_SIZE, one_blas_thread
from foundation_nn.engine._watch import Watcher, watching

if TYPE_CHECKING:
    from foundation_nn.engine._tensor import Tensor

#: ``backward(g)``: from the gradient of the value to one gradient per ``Array`` input. It may be
#: None, or a function without arguments that computes it, which is called only if it is needed.
Backward: TypeAlias = Callable[..., Any]

recording: ContextVar[bool] = ContextVar("recording", default=True)
_creation_order = itertools.count()


@contextmanager
def no_grad() -> Iterator[None]:
    """Run operations without recording them; also a decorator.

    Examples
    --------
    >>> from foundation_nn import Tensor, no_grad
    >>> weight = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     y = weight * 3
    >>> y.requires_grad
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


def is_recording() -> bool:
    """Whether anybody takes note of operations: the tape, or ``trace``, ``profile`` and their like.

    Where nobody does, a module may compute on plain arrays what its operations would give.

    Examples
    --------
    >>> from foundation_nn import is_recording, no_grad
    >>> with no_grad():
    ...     is_recording()
    False
    """
    return recording.get() or watching.get() is not None


class Node:
    """One recorded operation: how to go back, and where to.

    It refers to the nodes of its inputs, not to their tensors: an array stays in memory only
    while some ``backward`` closes over it.
    """

    __slots__ = (
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
    ) -> None:
        self.name = name
        self.function: Backward | None = function
        self.edges = edges
        self.shape = shape
        self.dtype = dtype
        self.order = next(_creation_order)
        self.grad: Any = None
        self.owned = False


#: Where a gradient flows: to the node that made the input, to a leaf (with the version it had
#: when it was read), or nowhere.
Edge: TypeAlias = "Node | tuple[Tensor, int] | None"


def walk(root: Node, seed: NDArray[Any]) -> None:
    """Visit every node after all of its consumers: the order of creation, backwards.

    Whoever walks once will walk again: the memory that this step frees is kept for the next one.
    """
    root.grad = seed
    queue = [(-root.order, root)]
    watcher = watching.get()
    aside = Aside()
    keep_freed_memory()
    with one_blas_thread():
        try:
            while queue:
                _visit(heappop(queue)[1], queue, aside, watcher)
        except BaseException:
            for _, waiting in queue:  # a later walk must not find half a gradient here
                waiting.grad = None
            aside.give_up()
            raise
        aside.finish()


def _visit(
    node: Node, queue: list[tuple[int, Node]], aside: Aside, watcher: Watcher | None
) -> None:
    """Call one backward and hand its gradients to the inputs."""
    function = node.function
    edges = node.edges
    g = node.grad
    node.grad = None  # also if this visit fails: a later walk must not find it here
    if function is None:
        raise RuntimeError(
            f"{node.name}: this graph was walked by an earlier backward() and what it saved is "
            "freed; run the forward pass again, or add the losses and walk once"
        )
    node.function = None
    node.edges = ()
    started = 0.0 if watcher is None else perf_counter()
    grads = function(g)
    if len(edges) == 1 and not isinstance(grads, tuple):
        grads = (grads,)
    if watcher is not None:  # it wants to see all gradients now
        grads = tuple(
            [None if edge is None else computed(dx) for edge, dx in zip(edges, grads, strict=True)]
        )
        watcher.backward(node, g, grads, perf_counter() - started)
    for edge, dx in zip(edges, grads, strict=True):
        if edge is None or dx is None:
            continue
        if type(edge) is Node:
            if edge.grad is None:
                heappush(queue, (-edge.order, edge))
            _add_to_node(edge, computed(dx), node.name)
        else:
            leaf, version = edge  # type: ignore[misc]
            if leaf._version != version:
                raise RuntimeError(
                    f"{node.name}: a parameter of shape {leaf.shape} was changed between the "
                    "forward and the backward pass; call backward() before the optimiser's "
                    "step(), or run the forward pass again"
                )
            _add_to_leaf(leaf, dx, node.name, aside)


def computed(dx: Any) -> Any:
    """A gradient that a backward may have given as a function that computes it."""
    return dx() if callable(dx) else dx


def _add_to_leaf(leaf: Tensor, dx: Any, name: str, aside: Aside) -> None:
    """Add a gradient to a leaf; one that is still to be computed, while the walk goes on."""

    def add() -> None:
        leaf._accumulate(unbroadcast(computed(dx), leaf._data.shape, name))

    if aside.waits_for(id(leaf)) or (callable(dx) and leaf.size >= SERIAL_SIZE):
        aside.add(id(leaf), add)
    else:
        add()


def _add_to_node(node: Node, dx: Any, name: str) -> None:
    if isinstance(dx, Part):  # one of several outputs; the others may get no gradient
        if node.grad is None:
            node.grad = [None] * len(node.shape)
        node.grad[dx.index] = dx.grad
        return
    dx = unbroadcast(dx, node.shape, name)
    if dx.dtype != node.dtype:  # a NumPy scalar in the backward of a kernel widened it
        dx = dx.astype(node.dtype)
    if node.grad is None:
        node.grad, node.owned = dx, False
    elif node.owned:
        node.grad += dx
    else:  # the first gradient may be shared with another input: never written to
        node.grad, node.owned = node.grad + dx, True


class Part:
    """The gradient of output number ``index`` of an operation with several outputs."""

    __slots__ = ("grad", "index")

    def __init__(self, index: int, grad: NDArray[Any]) -> None:
        self.index = index
        self.grad = grad


def unbroadcast(g: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Sum over the axes along which an input of ``shape`` was repeated."""
    if g.shape == shape:
        return g
    new = g.ndim - len(shape)
    tail = g.shape[max(new, 0) :]
    if new < 0 or any(n not in (1, m) for n, m in zip(shape, tail, strict=True)):
        raise ValueError(f"{name}: expected a gradient of shape {shape}, backward gave {g.shape}")
    axes = tuple(range(new)) + tuple(
        new + i for i, (n, m) in enumerate(zip(shape, tail, strict=True)) if n != m
    )
    return np.asarray(g.sum(axis=axes, keepdims=True)).reshape(shape)
