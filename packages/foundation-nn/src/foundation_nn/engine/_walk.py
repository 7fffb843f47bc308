"""The walk back along the tape: from a result to the gradients of all that it was computed from.

By the chain rule, a gradient goes from the result of an operation to its inputs, and where a value
was used several times, the gradients of all its uses are added. In plain Python, with the class
``Node`` of the tape:

>>> from foundation_nn import Tensor
>>> def plain_walk(result, g):
...     gradients = {result._node: g}  # of nodes that wait for their visit
...     of_leaves = {}
...     while gradients:
...         # The node that was made last: all that its value was used for was visited before.
...         node = max(gradients, key=lambda node: node.order)
...         g = gradients.pop(node)
...         for edge, dx in zip(node.edges, node.function(g)):  # for each input
...             dx = dx() if callable(dx) else dx  # it may be a function that computes the gradient
...             if isinstance(edge, Node):  # another operation has made it
...                 gradients[edge] = gradients.get(edge, 0) + dx
...             elif edge is not None:  # a leaf, such as a parameter; None has no gradient
...                 leaf, version = edge
...                 of_leaves[leaf] = of_leaves.get(leaf, 0) + dx
...     return of_leaves

>>> x, w = Tensor([3.0], requires_grad=True), Tensor([2.0], requires_grad=True)
>>> y = w * x * x  # dy/dw = x² and dy/dx = 2 w x
>>> gradients = plain_walk(y, np.ones(1))
>>> gradients[w], gradients[x]
(array([9.]), array([12.]))

The class below does the same. Beside that it sums over the axes that broadcasting has repeated,
has the gradients of weights computed aside, frees what has been used, and refuses what would be
wrong: a graph that was walked before, or a parameter that has changed since.

References
----------
.. [1] A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM, 2008, ch. 3.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from heapq import heappop, heappush
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from foundation_nn.engine._aside import Aside
from foundation_nn.engine._memory import keep_freed_memory
from foundation_nn.engine._tape import Again, Leaf, Node, Part
from foundation_nn.engine._threads import SERIAL_SIZE, get_num_threads, one_blas_thread
from foundation_nn.engine._watch import watching

if TYPE_CHECKING:
    from foundation_nn.engine._tensor import Tensor


def walk(root: Node, seed: NDArray[Any]) -> None:
    """Visit every node after all of its consumers: in the order of creation, backwards.

    Parameters
    ----------
    root : Node
        Of the tensor that is differentiated.
    seed : ndarray
        The gradient to begin with, of its shape.
    """
    # The C library shall keep the memory that is freed: the next training step needs as much.
    keep_freed_memory()
    _Walk().run(root, seed)


class _Walk:
    """One walk: the nodes that have a gradient and wait for their visit, the last made first."""

    __slots__ = ("aside", "until_the_end", "waiting", "watcher")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Node]] = []  # a heap; the smallest is minus the highest order
        self.watcher = watching.get()
        self.aside: Aside | None = None  # made when the first large weight is met
        self.until_the_end: ExitStack | None = None  # made when the first large array is met

    def run(self, root: Node, seed: NDArray[Any]) -> None:
        root.grad = seed
        try:
            self.visit(root)
            while self.waiting:
                self.visit(heappop(self.waiting)[1])
            if self.aside is not None:
                self.aside.finish()
        except BaseException:
            for _, node in self.waiting:  # a later walk must not find half a gradient here
                node.grad = None
            if self.aside is not None:
                self.aside.give_up()
            raise
        finally:
            if self.until_the_end is not None:
                self.until_the_end.close()

    def limit_blas(self) -> None:
        """Have BLAS use one thread until the end of the walk."""
        if self.until_the_end is None:
            self.until_the_end = ExitStack()
            self.until_the_end.enter_context(one_blas_thread())

    def visit(self, node: Node) -> None:
        """Call the backward of a node, and hand its gradients to the inputs of the operation."""
        backward = node.function
        edges = node.edges
        g = node.grad
        node.grad = None  # also if this visit fails: a later walk must not find it here
        if backward is None:
            raise RuntimeError(
                f"{node.name}: this graph was walked by an earlier backward(), or by one that "
                "failed, and what it saved is freed; run the forward pass again, or add the losses "
                "and walk once"
            )
        node.function = None
        node.edges = ()
        if node.blas and isinstance(g, np.ndarray) and g.size >= SERIAL_SIZE:
            self.limit_blas()
        started = 0.0 if self.watcher is None else perf_counter()
        grads = backward(g)
        if not isinstance(grads, tuple):
            if isinstance(grads, Again):  # its nodes are the newest, and are visited next
                self.add_to_node(grads.node, grads.grad, node.name)
                return
            grads = (grads,)
        if len(grads) != len(edges):
            raise TypeError(
                f"{node.name}: backward returns one gradient, or None, for each of its "
                f"{len(edges)} inputs; got {len(grads)}"
            )
        if self.watcher is not None:  # it wants to see all gradients now
            grads = tuple(
                None if edge is None else computed(dx)
                for edge, dx in zip(edges, grads, strict=True)
            )
            self.watcher.backward(node, g, grads, perf_counter() - started)
        for edge, dx in zip(edges, grads):  # noqa: B905, of one length: strict= takes 0.1 µs more
            if edge is None or dx is None:
                continue
            if isinstance(edge, Node):
                self.add_to_node(edge, dx() if callable(dx) else dx, node.name)
            else:
                self.add_to_leaf(edge, dx, node.name)

    def add_to_node(self, node: Node, dx: Any, name: str) -> None:
        if node.grad is None:
            heappush(self.waiting, (-node.order, node))
        if isinstance(dx, Part):  # the parts of an operation's gradient that are missing stay None
            if node.grad is None:
                node.grad = [None] * len(node.shape)
            node.grad[dx.index] = dx.grad  # the sum: each part is a node that is visited once
            return
        if dx.shape != node.shape:
            dx = unbroadcast(dx, node.shape, name)
        if dx.dtype != node.dtype:  # multiplied by a np.float64, float32 has become float64
            dx = dx.astype(node.dtype)
        if node.grad is None:
            node.grad = dx
            node.owned = False  # the same array may have been handed to another input, too
        elif node.owned:
            node.grad += dx
        else:  # the sum is a new array that nobody else holds: the next dx is added in place
            node.grad = node.grad + dx
            node.owned = True

    def add_to_leaf(self, edge: Leaf, dx: Any, name: str) -> None:
        leaf, version = edge
        if not leaf._leaf:  # frozen after the forward pass
            return
        if leaf._version != version:
            require_unchanged(edge, name)
        is_to_be_computed = callable(dx)
        if self.aside is not None or (is_to_be_computed and leaf._data.size >= SERIAL_SIZE):
            self.add_aside(leaf, dx, name)
        else:
            g = dx() if is_to_be_computed else dx
            leaf._accumulate(g if g.shape == leaf._data.shape else unbroadcast(g, leaf.shape, name))

    def add_aside(self, leaf: Tensor, dx: Any, name: str) -> None:
        """Let another thread add a gradient to a leaf while the walk goes on, if that pays.

        It pays where the gradient is still to be computed: then ``dx`` is a function. A walk that
        meets small weights only does all of it by itself. What is added to a leaf for which some
        gradient waits already has to wait behind that one, also if it is computed: so the sum does
        not depend on the number of threads.
        """
        if self.aside is None and get_num_threads() > 1:
            self.limit_blas()  # for the other threads, which do not do it for themselves
            self.aside = Aside()
        add = partial(_accumulate, leaf, dx, name)
        if self.aside is not None and (callable(dx) or self.aside.waits_for(id(leaf))):
            self.aside.add(id(leaf), add)
        else:
            add()


def require_unchanged(edge: Leaf, name: str) -> None:
    """Refuse a leaf that was given a new value after the operation ``name`` has read it."""
    leaf, version = edge
    if leaf._version != version:
        raise RuntimeError(
            f"{name}: a parameter of shape {leaf.shape} was changed between the forward and "
            "the backward pass; call backward() before the optimiser's step(), or run the "
            "forward pass again"
        )


def _accumulate(leaf: Tensor, dx: Any, name: str) -> None:
    leaf._accumulate(unbroadcast(computed(dx), leaf.shape, name))


def computed(dx: Any) -> Any:
    """A gradient that a backward may have given as a function that computes it."""
    return dx() if callable(dx) else dx


def unbroadcast(g: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Sum over the axes along which an input of ``shape`` was repeated.

    Where broadcasting has copied a number, its gradient is the sum over all copies: that of an
    input (3, 1) that has become (2, 3, 5) is summed over the axes 0 and 2.
    """
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)  # leading axes that the input does not have
    lengths = list(zip(shape, g.shape[max(added, 0) :], strict=False))
    if added < 0 or any(before not in (1, after) for before, after in lengths):
        raise ValueError(f"{name}: expected a gradient of shape {shape}, backward gave {g.shape}")
    stretched = [added + axis for axis, (before, after) in enumerate(lengths) if before != after]
    return np.asarray(g.sum(axis=(*range(added), *stretched), keepdims=True)).reshape(shape)
