"""The page of a run: what it shows, and what it concludes."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from foundation_nn.training import Evaluation, History, Sample, Step, diagnose, write_report
from foundation_nn.training._chart import Line, _thin, _ticks, chart
from foundation_nn.training._smoothing import smoothed


def history(losses, evaluations=(), clipped=()):
    steps = [Step(i, loss, 0.1, 1.0 + i, 10, 0.5, i in clipped) for i, loss in enumerate(losses, 1)]
    return History(steps, [Evaluation(*e) for e in evaluations])


def points(svg, index=0):
    line = re.findall(r'<polyline class="[a-z]+" points="([^"]*)"', svg)[index]
    return [tuple(map(float, p.split(","))) for p in line.split()]


def texts(svg, axis):
    """The marks of an axis: where they stand, from 0 to 100, and what they say."""
    (part,) = re.findall(rf'<div class="{axis}">(.*?)</div>', svg)
    side = {"x": "left", "y": "bottom"}[axis]
    found = re.findall(rf'<span style="{side}:([\d.]+)%">([^<]*)</span>', part)
    return {text: float(at) for at, text in found}


def test_a_line_is_where_it_should_be():
    svg = chart([Line("a", [(0, 0.0), (5, 10.0), (10, 5.0)], "blue")], "A <b>", "m/s")
    assert "A &lt;b&gt;" in svg
    # A drawing of 1000 by 1000, counted from the upper left.
    assert points(svg) == [(0, 1000), (500, 0), (1000, 500)]
    assert texts(svg, "x") == {"0": 0, "2": 20, "4": 40, "6": 60, "8": 80, "10": 100}
    assert texts(svg, "y") == {"0": 0, "2": 20, "4": 40, "6": 60, "8": 80, "10": 100}
    assert '<div class="unit">m/s</div>' in svg
    assert '<div class="step">step</div>' in svg
    ET.fromstring(svg)


def test_a_logarithmic_axis_has_powers_of_ten():
    line = Line("a", [(1, 0.5), (2, 50.0), (3, 5.0)], "blue")
    svg = chart([line], "x", "nats", may_be_log=True)
    assert texts(svg, "y") == {"0.1": 0, "1": 33.33, "10": 66.67, "100": 100}
    assert "nats (log scale)" in svg
    heights = [1000 * (1 - math.log10(10 * y) / 3) for y in (0.5, 50.0, 5.0)]
    assert [y for _, y in points(svg)] == pytest.approx(heights, abs=0.05)
    assert "log" not in chart([line], "x", "nats")
    zero = Line("a", [(1, 0.0), (2, 50.0)], "blue")
    assert "log" not in chart([zero], "x", "nats", may_be_log=True)


def test_marks_of_steps_are_whole():
    assert texts(chart([Line("a", [(1, 1.0), (2, 2.0)], "blue")], "x", ""), "x") == {
        "0": 0,
        "1": 50,
        "2": 100,
    }


def test_a_smoothed_curve_neither_lags_nor_bends_at_its_ends(rng):
    falling = 9.0 - 0.01 * np.arange(700)
    np.testing.assert_allclose(smoothed(falling), falling, rtol=1e-12)
    np.testing.assert_allclose(smoothed(falling[::-1]), falling[::-1], rtol=1e-12)
    noisy = 2 + 7 * np.exp(-np.arange(2000) / 300) + rng.normal(0, 0.3, 2000)
    above = smoothed(noisy) - noisy
    for part in np.split(above, 10):  # nowhere above its points, or below
        assert abs(part.mean()) < 0.05
    assert np.diff(smoothed(noisy)).std() < np.diff(noisy).std() / 20


def test_a_smoothed_curve_follows_the_steep_beginning_of_a_run():
    loss = 3 / np.sqrt(np.arange(1, 5001))
    np.testing.assert_allclose(smoothed(loss)[2:], loss[2:], rtol=0.06)
    np.testing.assert_allclose(smoothed(loss)[30:], loss[30:], rtol=0.003)


def test_a_smoothed_value_is_that_of_the_line_through_its_neighbours(rng):
    y = rng.standard_normal(23)
    curve = smoothed(y, share=0.1)  # two to either side, and one before the twentieth
    for i in range(23):
        side = 2 if i >= 20 else 1
        near = np.arange(max(0, i - side), min(23, i + side + 1))
        assert curve[i] == pytest.approx(np.polyval(np.polyfit(near, y[near], 1), i))
    assert smoothed([]).shape == (0,)
    assert smoothed([3.0]).tolist() == [3.0]


def test_what_is_not_finite_is_left_out_and_outliers_do_not_flatten_the_rest():
    svg = chart([Line("a", [(1, 1.0), (2, math.nan), (3, math.inf), (4, 2.0)], "blue")], "x", "")
    assert len(points(svg)) == 2
    values = [(i, 1.0 + i % 2) for i in range(1, 1000)] + [(1000, 1e9)]
    heights = {y for _, y in points(chart([Line("a", values, "blue")], "x", ""))}
    assert max(heights) - min(heights) > 100
    assert "nothing yet" in chart([Line("a", [(1, math.nan)], "blue")], "x", "")


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


def test_a_sample_says_what_was_expected_only_where_it_differs():
    assert str(Sample("a\n", "b", "b")) == "a⏎ → b"
    assert str(Sample("a", "b")) == "a → b"
    assert str(Sample("a", "b", "c")) == "a → b (expected: c)"


@pytest.fixture
def page(tmp_path):
    run = history(
        [3.0, 2.0, 1.0],
        [
            (1, 2.5, {"bleu": 3.0}, [Sample("a <script>", "x", "y"), "free"]),
            (3, 1.25, {"bleu": 9.0}, [Sample("a <script>", "y", "y"), "freer"]),
        ],
        {2},
    )
    tables = {"Settings": {"lr": 0.1, "skip": False}, "<Model>": {"width": 1024}}
    write_report(
        run,
        tmp_path / "r.html",
        "<run> {title}",
        tables,
        loss_unit="nats per token",
        metric="bleu",
        maximize=True,
    )
    return (tmp_path / "r.html").read_text("utf-8")


def test_the_page_holds_everything_and_asks_for_nothing(page):
    assert page.count("<svg") == 4  # loss, bleu, learning rate, norms
    for part in ("<th>lr</th><td>0.1</td>", "<th>skip</th><td>no</td>", "<td>1,024</td>"):
        assert part in page
    assert "<h2>&lt;Model&gt;</h2>" in page
    assert "<dd>33%</dd><dd>1 steps</dd>" in page
    assert not re.search(r"https?:|<script|<link|src=|@import|url\(", page)


def test_the_title_says_what_was_trained_and_how_good_it_became(page):
    assert "<title>&lt;run&gt; {title}: best BLEU 9, at step 3</title>" in page
    assert "<h1>&lt;run&gt; {title}</h1>" in page


def test_axes_have_names_and_units(page):
    for unit in ("nats per token", "on the held-out data", "at each step", "before clipping"):
        assert re.search(rf'<div class="unit">[^<]*{unit}', page)
    assert page.count('<div class="step">step</div>') == 4


def test_what_was_expected_stands_beside_what_was_written(page):
    (card, free) = re.findall(r'<div class="card"><p>(.*?)</table>', page)
    assert re.findall(r"<t[hd].*?>(.*?)</t[hd]>", card) == [
        *("expected", "y"),
        *("step 1", "x"),
        *("step 3", "y"),
    ]
    assert "<b>a &lt;script&gt;</b>" in card
    assert card.count('class="right"') == 1  # the last
    assert "expected" not in free


def test_one_step_that_failed_does_not_hide_the_others(tmp_path):
    losses = [8.0, math.nan, 2.0, math.inf, 1.0, 0.01]
    write_report(history(losses), tmp_path / "r.html")
    loss = (tmp_path / "r.html").read_text("utf-8").split("<figure>")[1]
    each, trend = points(loss, 0), points(loss, 1)
    assert len(each) == len(trend) == 4
    assert "(log scale)" in loss  # the trend does not point below the lowest loss
    assert set(texts(loss, "y")) == {"0.01", "0.1", "1", "10"}
    write_report(history([math.nan]), tmp_path / "r.html")
    assert "Loss: nothing yet." in (tmp_path / "r.html").read_text("utf-8")


def test_the_page_refuses(tmp_path):
    with pytest.raises(ValueError, match="write_report: the history has no steps"):
        write_report(History(), tmp_path / "r.html")
    with pytest.raises(ValueError, match="no metric 'bleu' was evaluated"):
        write_report(history([1.0], [(1, 2.0)]), tmp_path / "r.html", metric="bleu")
    assert not list(tmp_path.iterdir())


def colors(page):
    """The colours of the style sheet on light and on dark screens."""
    style = page[page.index("<style>") : page.index("</style>")]
    light, dark = (
        dict(re.findall(r"--(\w+): #(\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


def luminance(color):
    """As WCAG 2.2 defines it."""
    channels = np.array([int(color[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("777777", "ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("screen", ["light", "dark"])
def test_lines_and_letters_can_be_told_from_what_is_behind_them(page, screen):
    color = colors(page)[screen]
    drawn = set(re.findall(r"--color:var\(--(\w+)\)", page))
    assert drawn == {"blue", "pale", "orange", "green", "red"}
    for name in drawn:
        assert contrast(color[name], color["card"]) >= 3, name
    for letters in ("ink", "soft"):
        for behind in ("paper", "card"):
            assert contrast(color[letters], color[behind]) >= 4.5, (letters, behind)
    assert contrast(color["ink"], color["note"]) >= 4.5
    assert contrast(color["green"], color["card"]) >= 4.5  # what was expected
    assert contrast(color["blue"], color["pale"]) >= 1.8  # the smoothed curve on top of the noise
    assert "opacity" not in page


def test_no_letter_is_small_and_none_shrinks_with_the_drawing(page):
    style = page[page.index("<style>") : page.index("</style>")]
    sizes = [float(x) for x in re.findall(r"font(?:-size)?: (\d+(?:\.\d+)?)px", style)]
    assert len(sizes) >= 6
    assert min(sizes) >= 12
    assert not re.search(r"font[^;{}]*\d(em|rem|%|vw)", style)
    assert "<text" not in page  # a letter of an SVG would shrink with it


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
