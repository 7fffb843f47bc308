"""What a notebook shows at the end of a cell."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from foundation_nn import MLP, BatchNorm1d, Linear, Module, Parameter, Sequential, Tensor
from foundation_nn import functional as F
from foundation_nn.optim import SGD
from foundation_nn.training import Evaluation, History, Step, Trainer

VOID = {"br", "path", "circle", "polyline"}


class Reader(HTMLParser):
    """Its text, and whether each tag that is opened is closed."""

    def __init__(self, page):
        super().__init__()
        self.open = []
        self.texts = []
        self.counts = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.open.append(tag)
        assert all(value is None or "<" not in value for _, value in attrs)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(thing):
    reader = Reader(thing._repr_html_())
    assert not reader.open
    return reader


def history(steps, evaluations=0):
    return History(
        [Step(i, 1 / i, 0.1, 1.0, 3, 0.01) for i in range(1, steps + 1)],
        [Evaluation(i * 10, 2 / i) for i in range(1, evaluations + 1)],
    )


def test_a_tensor_shows_its_kind_shape_dtype_and_numbers():
    page = read(Tensor([[1.5, -2.0], [np.nan, 3e-9]], requires_grad=True))
    assert page.texts[:3] == ["Tensor", " ", "(2, 2) float32, requires_grad"]
    assert page.texts[3:] == ["0", "1", "0", "1.5", "-2", "1", "nan", "3e-09"]
    assert read(Parameter([1.0])).texts[0] == "Parameter"
    assert read(Tensor(2.5)).texts[-1] == "2.5"
    assert read(Tensor([True, False])).texts[3:] == ["0", "1", "True", "False"]
    assert read(Tensor(np.zeros((0, 3)))).texts[2:] == ["(0, 3) float64"]


def test_of_many_numbers_those_in_the_middle_are_left_out():
    x = np.arange(2 * 3 * 100 * 50).reshape(2, 3, 100, 50)
    page = read(Tensor(x))
    assert "the first matrix, x[0, 0]" in page.texts
    rows = "|".join(page.texts)
    assert "|0|1|2|3|…|47|48|49|0|0|1|2|3|…|47|48|49|1|50|" in rows
    assert rows.endswith("|99|4950|4951|4952|4953|…|4997|4998|4999")
    assert len(Tensor(x)._repr_html_()) < 12_000


class Odd(Module):
    """With a name to be escaped."""

    def __init__(self):
        self.name = "<script>"
        self.layer = Linear(2, 3)
        self.scale = Parameter(np.ones((), np.float32))


def test_a_module_is_a_tree_with_parameters():
    page = read(Sequential(Linear(2, 3), F.relu, Odd(), BatchNorm1d(3)))
    text = "".join(page.texts)
    assert text.startswith("Sequential 25 parameters, float32(0) Linear(2, 3, bias=True) 9 param")
    assert "weight (3, 2)bias (3,)(1) relu(2) Odd(name='<script>') 10 parameters" in text
    assert "scale ()" in text
    assert "running_mean buffer (3,)" in text
    assert page.counts["details"] == 5
    assert "script" not in page.counts


def test_what_is_deep_is_closed_at_first():
    deep = Sequential(Sequential(Sequential(Linear(2, 3))))
    assert re.findall(r"<details( open)?>", deep._repr_html_()) == [" open", " open", "", ""]


def test_a_history_is_a_line_and_a_picture():
    assert repr(History()) == "History(nothing yet)"
    assert read(History()).texts == ["History", " ", "nothing yet"]
    run = history(40, 3)
    text = "40 steps, loss 1 → 0.025; 3 evaluations, the best 0.6667 at step 30"
    assert repr(run) == f"History({text})"
    page = read(run)
    assert page.texts[2] == text
    assert page.counts["polyline"] == 3
    assert page.counts["circle"] == 3
    for label in ("loss", "step", "training", "held out", "0", "40"):
        assert label in page.texts


def test_the_curve_stands_where_its_numbers_are():
    page = History([Step(1, 0.0, 0.1, 1.0, 3, 0.01), Step(10, 1.0, 0.1, 1.0, 3, 0.01)])
    points = re.search(r'polyline points="([^"]*)"', page._repr_html_())[1]
    (x1, y1), (x2, y2) = ([float(v) for v in p.split(",")] for p in points.split(" "))
    left, right, top, bottom = 58, 420 - 14, 12, 220 - 46
    assert x1 == pytest.approx(left + (right - left) / 10, abs=0.1)
    assert (x2, y1, y2) == (right, bottom, top)


def test_a_long_run_and_one_that_failed_can_be_shown():
    run = history(100_000, 1000)
    assert len(repr(run)) < 200
    assert len(run._repr_html_()) < 100_000
    run.steps.append(Step(100_001, float("nan"), 0.1, 1.0, 3, 0.01))
    assert "nan," not in run._repr_html_()
    assert "loss 1 → nan" in repr(run)
    read(run)


def test_a_curve_of_many_evaluations_stays_a_line_and_its_last_number_fits():
    few, many = history(1000, 10)._repr_html_(), history(1000, 100)._repr_html_()
    assert few.count('r="3"') == 10
    assert many.count('r="1.5"') == 100
    assert 'x="420.0" y="190" text-anchor="end">1,000</text>' in few


def test_the_last_line_of_a_cell_is_short():
    def loss(model, x):
        return (model(Tensor(x)) ** 2).mean(), len(x)

    model = MLP([2, 3, 1])
    trainer = Trainer(model, loss, SGD(model, lr=0.1))
    shown = trainer.fit([np.ones((4, 2), np.float32)], max_steps=500)
    assert len(repr(shown)) < 100
    assert repr(trainer).startswith("Trainer(MLP, SGD, History(500 steps, loss ")
    text = "".join(read(trainer).texts)
    assert text.startswith("Trainer 500 steps with SGD, stopped by stepsMLP 13 parameters")
    assert "History 500 steps" in text
