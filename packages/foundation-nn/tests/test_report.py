"""The page of a run: what it shows, and what it concludes."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from foundation_nn.training import Evaluation, History, Step, diagnose, write_report
from foundation_nn.training._chart import Line, _thin, _ticks, chart


def history(losses, evaluations=(), clipped=()):
    steps = [Step(i, loss, 0.1, 1.0 + i, 10, 0.5, i in clipped) for i, loss in enumerate(losses, 1)]
    return History(steps, [Evaluation(*e) for e in evaluations])


def points(svg, index=0):
    line = re.findall(r'<polyline points="([^"]*)"', svg)[index]
    return [tuple(map(float, p.split(","))) for p in line.split()]


def test_a_line_is_where_it_should_be():
    svg = chart([Line("a", [(0, 0.0), (5, 10.0), (10, 5.0)], "#000")], "A <b>")
    assert "A &lt;b&gt;" in svg
    # The drawing goes from x = 64 to 848, and from y = 230 up to 12.
    assert points(svg) == [(64, 230), (456, 12), (848, 121)]
    ET.fromstring(f"<div>{svg.replace('&ensp;', ' ')}</div>")


def test_what_is_not_finite_is_left_out_and_outliers_do_not_flatten_the_rest():
    svg = chart([Line("a", [(1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0)], "#000")], "x")
    assert len(points(svg)) == 2
    values = [(i, 1.0 + i % 2) for i in range(1, 1000)] + [(1000, 1e9)]
    heights = {y for _, y in points(chart([Line("a", values, "#000")], "x"))}
    assert max(heights) - min(heights) > 100
    assert "nothing yet" in chart([Line("a", [(1, math.nan)], "#000")], "x")


def test_ticks_are_round_and_span_the_range():
    assert _ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert _ticks(0.013, 0.029) == pytest.approx([0.01, 0.015, 0.02, 0.025, 0.03])
    for low, high in ((3.0, 3.0), (0.0, 0.0), (-5.0, 1e7), (1e-9, 2e-9)):
        ticks = _ticks(low, high)
        assert ticks[0] <= low
        assert ticks[-1] >= high
        assert 2 <= len(ticks) <= 9


def test_no_peak_is_lost_among_many_points():
    values = [(i, 0.0) for i in range(100_000)]
    values[77_777] = (77_777, 5.0)
    values[33_333] = (33_333, -5.0)
    thin = _thin(values)
    assert len(thin) <= 801
    assert {(77_777, 5.0), (33_333, -5.0)} <= set(thin)
    assert thin == sorted(thin)


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path):
    run = history(
        [3.0, 2.0, 1.0],
        [(1, 2.5, {"bleu": 3.0}, ["a → <script>"]), (3, 1.25, {"bleu": 9.0}, ["b"])],
        {2},
    )
    write_report(run, tmp_path / "r.html", "<run>", {"lr": 0.1}, {"numpy": "2"})
    page = (tmp_path / "r.html").read_text("utf-8")
    assert page.count("<svg") == 4  # loss, bleu, learning rate, norms
    for part in ("<h1>&lt;run&gt;</h1>", "a → &lt;script&gt;", "<th>lr</th><td>0.1</td>", "numpy"):
        assert part in page
    assert "1.2500 at step 3 (the best)" in page
    assert "1 steps (33%)" in page
    assert not re.search(r"https?:|<script|<link|src=", page)
    with pytest.raises(ValueError, match="write_report: the history has no steps"):
        write_report(History(), tmp_path / "r.html")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (history([3 / i for i in range(1, 40)]), []),
        (history([3, 2, 1], [(1, 2.0), (2, 1.0), (3, 1.5)]), ["best at step 2 (1.000) and is 1.5"]),
        (history([3, 2, 1], [(1, 2.0), (2, 1.0), (3, 1.01)]), []),
        (history([3.0] * 40), ["hardly moved, from 3.000 to 3.000"]),
        (history([3 / i for i in range(1, 41)], (), range(30, 41)), ["55% of the gradients"]),
        (history([3 / i for i in range(1, 41)], (), range(1, 21)), []),
    ],
)
def test_what_an_experienced_eye_sees(run, words):
    found = diagnose(run)
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert word in text
