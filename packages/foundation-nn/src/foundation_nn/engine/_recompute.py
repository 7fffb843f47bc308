"""Less memory for more time: intermediate values are computed again on the way back.

The backward of a layer needs what its forward has computed, and a stack of L layers keeps all of
that until the walk comes by. Here only what goes into the function is kept. When the walk arrives,
the function runs once more and is recorded, and the walk goes on through what it has left on the
tape. So the values of one layer are in memory at a time, for the price of a second forward [1]_.

References
----------
.. [1] T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from foundation_nn.engine._modes import current_generator, train_mode
from foundation_nn.engine._tape import Again, Edge, Node, creation_order, recording
from foundation_nn.engine._tensor import Tensor, result
from foundation_nn.engine._walk import require_unchanged


def recompute(function: Callable[..., Tensor], *inputs: Any) -> Tensor:
    """``function(*inputs)``, whose intermediate values are not kept but computed again.

    Values and gradients are those of a plain call, to the bit: also of parameters that the function
    uses, that are frozen, or that are used elsewhere, too. Dropout draws the same numbers again,
    from a copy of the generator of the surrounding :class:`train_mode`.

    Parameters
    ----------
    function : callable
        Returns one tensor, the same one each time: it must not draw from a generator of its own,
        nor change what it reads. Running statistics, as a ``BatchNorm1d`` has them, would be
        updated twice.
    *inputs
        What it is called with. It may use other tensors, too, which receive their gradients.

    Returns
    -------
    Tensor

    Raises
    ------
    RuntimeError
        By ``backward``, if a parameter was given a new value in between, or the function has
        another result the second time.

    Examples
    --------
    >>> import numpy as np
    >>> from foundation_nn import MLP, Tensor, recompute
    >>> layer = MLP([3, 64, 3], rng=np.random.default_rng(0))
    >>> x = Tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    >>> layer(x).sum().backward()
    >>> kept = x.grad
    >>> x.grad = None
    >>> recompute(layer, x).sum().backward()
    >>> np.array_equal(x.grad, kept)
    True
    """
    if not recording.get():
        return function(*inputs)
    generator = copy.deepcopy(current_generator())  # as it is now, before anything is drawn
    first_order = next(creation_order)
    output = function(*inputs)
    last_node = output._node
    if last_node is None or last_node.order < first_order:  # there is nothing to go back through
        return output
    edges = _edges_to_outside(last_node, first_order)
    shape = output.shape

    def backward(g: Any) -> Again | tuple[None, ...]:
        for edge in edges:
            if isinstance(edge, tuple):
                require_unchanged(edge, "recompute")
        token = recording.set(True)
        try:
            with train_mode(generator):
                again = function(*inputs)
        finally:
            recording.reset(token)
        if again.shape != shape:
            raise RuntimeError(
                f"recompute: the function returned shape {shape} at first and {again.shape} when "
                "it was run again; it must return the same each time"
            )
        # Without a node, all that had a gradient was frozen in between.
        return (None,) * len(edges) if again._node is None else Again(again._node, g)

    node = Node("recompute", backward, edges, shape, output.dtype)
    return result(output._data, node)  # what `output` has recorded is freed with it


def _edges_to_outside(last_node: Node, first_order: int) -> tuple[Edge, ...]:
    """Where the gradient leaves the nodes after ``first_order``: to older nodes, and to leaves."""
    edges: dict[int, Edge] = {}
    waiting = [last_node]
    visited = {id(last_node)}
    while waiting:
        for edge in waiting.pop().edges:
            if isinstance(edge, Node) and edge.order > first_order:
                if id(edge) not in visited:
                    visited.add(id(edge))
                    waiting.append(edge)
            elif isinstance(edge, Node):
                edges[id(edge)] = edge
            elif edge is not None:
                edges[id(edge[0])] = edge
    return tuple(edges.values())
