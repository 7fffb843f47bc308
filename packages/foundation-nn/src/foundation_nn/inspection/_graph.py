"""A picture of what is on the tape."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundation_nn.engine._tape import Node, Part
from foundation_nn.engine._tensor import Tensor
from foundation_nn.files import write_file
from foundation_nn.modules._module import Module

FORMATS = (".svg", ".png", ".pdf")


def draw_graph(
    tensor: Tensor, path: str | os.PathLike[str] | None = None, *, model: Module | None = None
) -> str:
    """The recorded operations that led to a tensor, as a tree.

    Below each operation stand its inputs, down to the leaves, which receive gradients.
    Constants are not on the tape. What is used several times is drawn once and marked, ``*1``.

    Parameters
    ----------
    tensor : Tensor
        Before ``backward``, which takes the graph apart.
    path : path, optional
        Also draw a picture there, ``.svg``, ``.png`` or ``.pdf``. Needs the Python package
        ``graphviz`` and Graphviz itself.
    model : Module, optional
        Gives its names to the parameters.

    Returns
    -------
    str
        The tree as text.

    Raises
    ------
    RuntimeError
        If the graph was walked by ``backward`` already, or Graphviz itself is not installed.
    ValueError
        If the path has another ending.
    ModuleNotFoundError
        If ``path`` is given and the package ``graphviz`` is not installed.

    Examples
    --------
    >>> from foundation_nn import Tensor, draw_graph
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> print(draw_graph((x * x + 1).sum()))
    sum ()
    └── add (2,)
        └── multiply (2,)
            ├── tensor (2,) *1
            └── tensor (2,) *1
    """
    names = {} if model is None else {id(p): name for name, p in model.named_parameters()}
    root = tensor if tensor._node is None else tensor._node
    if path is not None:
        _picture(root, names, Path(path))
    return "\n".join(_lines(root, names))


Vertex = Node | Tensor


def _inputs(vertex: Vertex) -> list[Vertex]:
    if isinstance(vertex, Tensor):
        return []
    if vertex.function is None:
        raise RuntimeError(
            f"draw_graph: {vertex.name} was walked by backward() and is no longer there; draw "
            "before backward(), or run the forward pass again"
        )
    return [e if isinstance(e, Node) else e[0] for e in vertex.edges if e is not None]


def _label(vertex: Vertex, names: dict[int, str]) -> str:
    if isinstance(vertex, Tensor):
        return f"{names.get(id(vertex), type(vertex).__name__.lower())} {vertex.shape}"
    name = vertex.name.lstrip("_")
    if isinstance(vertex.function, functools.partial) and vertex.function.func is Part:
        name += f"[{vertex.function.args[0]}]"
    shapes = vertex.shape if isinstance(vertex.shape, list) else [vertex.shape]
    return f"{name} {', '.join(map(str, shapes))}"


def _edges(root: Vertex) -> list[tuple[Vertex, Vertex]]:
    """Every (operation, input), each operation visited once."""
    edges: list[tuple[Vertex, Vertex]] = []
    seen, waiting = {id(root)}, [root]
    while waiting:
        vertex = waiting.pop()
        for source in _inputs(vertex):
            edges.append((vertex, source))
            if id(source) not in seen:
                seen.add(id(source))
                waiting.append(source)
    return edges


def _lines(root: Vertex, names: dict[int, str]) -> Iterator[str]:
    uses: dict[int, int] = {}
    for _, source in _edges(root):
        uses[id(source)] = uses.get(id(source), 0) + 1
    marks: dict[int, str] = {}
    waiting: list[tuple[Vertex, str, str]] = [(root, "", "")]
    while waiting:
        vertex, first, rest = waiting.pop()
        drawn = id(vertex) in marks
        if uses.get(id(vertex), 0) > 1 and not drawn:
            marks[id(vertex)] = f" *{len(marks) + 1}"
        below = [] if drawn else _inputs(vertex)
        hidden = drawn and isinstance(vertex, Node)
        mark = marks.get(id(vertex), "")
        yield first + _label(vertex, names) + mark + (" (see above)" if hidden else "")
        for i, source in reversed(list(enumerate(below))):
            corner, line = ("└── ", "    ") if i == len(below) - 1 else ("├── ", "│   ")
            waiting.append((source, rest + corner, rest + line))


def _picture(root: Vertex, names: dict[int, str], path: Path) -> None:
    if path.suffix not in FORMATS:
        raise ValueError(f"draw_graph: expected a path ending in {', '.join(FORMATS)}, got {path}")
    try:
        graphviz: Any = importlib.import_module("graphviz")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "draw_graph: a picture needs the package graphviz (pip install graphviz, and Graphviz "
            "itself for its program dot); without a path the graph is returned as text",
            name="graphviz",
        ) from error
    graph = graphviz.Digraph("tape")
    graph.attr(rankdir="BT", nodesep="0.3", ranksep="0.35")
    graph.attr("node", fontname="Helvetica", fontsize="11", style="filled", color="#777777")
    graph.attr("edge", color="#777777", arrowsize="0.6")
    edges = _edges(root)
    vertices = {id(v): v for edge in edges for v in edge} | {id(root): root}
    numbers = {key: str(i) for i, key in enumerate(vertices)}  # ids would differ from run to run
    for key, vertex in vertices.items():
        label = _label(vertex, names).replace(" ", "\n", 1)
        shape, colour = ("box", "#ffffff") if isinstance(vertex, Node) else ("ellipse", "#fde9c9")
        graph.node(numbers[key], label, shape=shape, fillcolor=colour)
    for vertex, source in edges:
        graph.edge(numbers[id(source)], numbers[id(vertex)])
    write_file(path, graph.pipe(format=path.suffix[1:]))
