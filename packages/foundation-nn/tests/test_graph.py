"""The picture of the tape."""

import importlib.util
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from foundation_nn import MLP, Array, Result, Tanh, Tensor, operation
from foundation_nn import functional as F
from foundation_nn.inspection._graph import draw_graph


def loss(model):
    return F.mse_loss(model(np.ones((4, 2), np.float32)), np.zeros((4, 1), np.float32))


def test_the_tree_of_xor():
    model = MLP([2, 2, 1], Tanh, rng=np.random.default_rng(0))
    assert draw_graph(loss(model), model=model).splitlines() == [
        "mse_loss ()",
        "└── linear (4, 1)",
        "    ├── tanh (4, 2)",
        "    │   └── linear (4, 2)",
        "    │       ├── 0.weight (2, 2)",
        "    │       └── 0.bias (2,)",
        "    ├── 2.weight (1, 2)",
        "    └── 2.bias (1,)",
    ]
    assert "├── parameter (1, 2)" in draw_graph(loss(model))


def test_what_is_used_twice_is_drawn_once():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    assert draw_graph((y * y).sum()).splitlines() == [
        "sum ()",
        "└── multiply (2,)",
        "    ├── exp (2,) *1",
        "    │   └── tensor (2,)",
        "    └── exp (2,) *1 (see above)",
    ]


def test_several_outputs():
    @operation(outputs=2)
    def both(x: Array) -> Result:
        return (x + 1, x[:1]), lambda grads: grads[0]

    assert draw_graph(both(Tensor([1.0, 2.0], requires_grad=True))[1]).splitlines() == [
        "both[1] (1,)",
        "└── both (2,), (1,)",
        "    └── tensor (2,)",
    ]


def test_a_leaf_and_a_graph_that_is_gone():
    x = Tensor([1.0], requires_grad=True)
    assert draw_graph(x) == "tensor (1,)"
    y = x * 2
    y.backward()
    with pytest.raises(RuntimeError, match="multiply was walked by backward.*draw before"):
        draw_graph(y)


def test_a_long_chain_needs_no_recursion():
    y = x = Tensor([1.0], requires_grad=True)
    for _ in range(1500):
        y = -y
    lines = draw_graph(y).splitlines()
    assert len(lines) == 1501
    assert lines[-1].endswith("└── tensor (1,)")
    assert x.requires_grad


def test_a_picture_needs_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    y = Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(ModuleNotFoundError, match="package graphviz .pip install graphviz"):
        draw_graph(y, tmp_path / "graph.svg")
    with pytest.raises(ValueError, match=r"ending in .svg, .png, .pdf, got .*graph.txt"):
        draw_graph(y, tmp_path / "graph.txt")


def test_what_is_handed_to_graphviz(monkeypatch, tmp_path):
    class Digraph:
        def __init__(self, name):
            self.nodes, self.edges = {}, []
            made.append(self)

        def attr(self, *_, **__):
            pass

        def node(self, key, label, shape, fillcolor):
            self.nodes[key] = (label, shape)

        def edge(self, tail, head):
            self.edges.append((self.nodes[tail][0], self.nodes[head][0]))

        def pipe(self, format):
            return b"drawn as " + format.encode()

    made = []
    monkeypatch.setitem(sys.modules, "graphviz", SimpleNamespace(Digraph=Digraph))
    x = Tensor([1.0, 2.0], requires_grad=True)
    text = draw_graph((x * x).sum(), str(tmp_path / "graph.svg"))
    (graph,) = made
    assert text.startswith("sum ()")
    assert (tmp_path / "graph.svg").read_bytes() == b"drawn as svg"
    assert sorted(graph.nodes.values()) == [
        ("multiply\n(2,)", "box"),
        ("sum\n()", "box"),
        ("tensor\n(2,)", "ellipse"),
    ]
    assert sorted(graph.edges) == [
        ("multiply\n(2,)", "sum\n()"),
        ("tensor\n(2,)", "multiply\n(2,)"),
        ("tensor\n(2,)", "multiply\n(2,)"),
    ]


@pytest.mark.skipif(
    shutil.which("dot") is None or importlib.util.find_spec("graphviz") is None,
    reason="needs Graphviz and its Python package",
)
def test_graphviz_draws_every_vertex_and_edge(tmp_path):
    (tmp_path / "graph").write_text("mine")
    (tmp_path / "graph.gv").write_text("mine")
    model = MLP([2, 2, 1], Tanh, rng=np.random.default_rng(0))
    for suffix in (".svg", ".png"):
        draw_graph(loss(model), tmp_path / f"graph{suffix}", model=model)
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in tmp_path.iterdir()} == {"graph", "graph.gv", "graph.svg", "graph.png"}
    svg = (tmp_path / "graph.svg").read_text("utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    expected = ["mse_loss", "()", "linear", "(4,1)", "tanh", "(4,2)", "linear", "(4,2)"]
    expected += ["0.weight", "(2,2)", "0.bias", "(2,)", "2.weight", "(1,2)", "2.bias", "(1,)"]
    assert sorted(text.replace(", ", ",") for text in texts) == sorted(expected)
    assert svg.count('class="edge"') == 7
    draw_graph(loss(model), tmp_path / "again.svg", model=model)
    assert (tmp_path / "again.svg").read_text("utf-8") == svg
