"""Pictures: that they are written, and show what they should."""

import sys

import numpy as np
import pytest
from foundation_nn import plotting
from foundation_nn.training import Evaluation, History, Step


def history(steps, evaluations=()):
    return History(
        [Step(i, 3 / i, 0.1 / i, 1.0, 7, 0.1) for i in range(1, steps + 1)],
        [Evaluation(step, 4 / step) for step in evaluations],
    )


def pixels(path):
    image = pytest.importorskip("matplotlib.image")
    return image.imread(path)[..., :3]


def close_to(picture, color):
    """How many pixels are of a colour given as #rrggbb."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return int((np.abs(picture - rgb).max(-1) < 0.02).sum())


@pytest.mark.parametrize("steps", [1, 2, 300])
def test_a_run_is_drawn(tmp_path, steps):
    pytest.importorskip("matplotlib")
    path = tmp_path / "loss.png"
    plotting.plot_history(history(steps), path)
    picture = pixels(path)
    assert picture.shape == (825, 1200, 3)
    assert (picture[0, 0] == 1).all()  # a white margin
    assert (picture.min(-1) < 0.2).mean() > 0.001  # the text
    if steps > 1:
        assert close_to(picture, plotting.COLORS[0]) > 100
        assert close_to(picture, plotting.COLORS[2]) > 100
    assert close_to(picture, plotting.COLORS[1]) == 0


def test_evaluations_are_drawn_in_a_colour_of_their_own(tmp_path):
    pytest.importorskip("matplotlib")
    plotting.plot_history(history(50, [10, 20, 50]), tmp_path / "loss.png", title="A run")
    assert close_to(pixels(tmp_path / "loss.png"), plotting.COLORS[1]) > 100


def test_the_ending_decides_on_the_format(tmp_path):
    pytest.importorskip("matplotlib")
    plotting.plot_history(history(5), str(tmp_path / "loss.svg"), title="Sünje's run")
    assert "<svg" in (tmp_path / "loss.svg").read_text("utf-8")


def test_what_is_plotted_are_the_numbers_of_the_run(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(
        plotting, "save_figure", lambda figure, path: figures.append((figure, path))
    )
    plotting.plot_history(history(4, [2, 4]), "where", title="A run")
    (figure, path) = figures[0]
    upper, lower = figure.axes
    each, smooth, held_out = upper.lines
    np.testing.assert_array_equal(each.get_xydata(), [[i, 3 / i] for i in range(1, 5)])
    np.testing.assert_array_equal(smooth.get_xdata(), each.get_xdata())
    np.testing.assert_array_equal(held_out.get_xydata(), [[2, 2], [4, 1]])
    np.testing.assert_array_equal(lower.lines[0].get_xydata(), [[i, 0.1 / i] for i in range(1, 5)])
    assert (upper.get_title(), lower.get_xlabel(), path) == ("A run", "step", "where")
    assert [text.get_text() for text in upper.get_legend().get_texts()][-1] == "held out"
    assert upper.get_xlim() == lower.get_xlim()


def test_smoothing_keeps_a_constant_and_calms_what_jumps(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: figures.append(figure))
    for losses in (np.full(500, 3.0), 3 + (-1.0) ** np.arange(500)):
        run = History([Step(i + 1, loss, 0.1, 1.0, 1, 0.1) for i, loss in enumerate(losses)])
        plotting.plot_history(run, "where")
    constant, jumping = (figure.axes[0].lines[1].get_ydata() for figure in figures)
    np.testing.assert_allclose(constant, 3, rtol=1e-12)
    assert np.abs(jumping[50:] - 3).max() < 0.1
    assert jumping[0] == 4  # no bias towards zero at the start


def test_a_grid_of_axes_has_always_two_dimensions():
    pytest.importorskip("matplotlib")
    figure, axes = plotting.new_figure(4, 3)
    assert axes.shape == (1, 1)
    assert tuple(figure.get_size_inches()) == (4, 3)
    assert plotting.new_figure(4, 3, rows=2, columns=3)[1].shape == (2, 3)


def test_a_run_without_steps_is_refused(tmp_path):
    with pytest.raises(ValueError, match="plot_history: the history has no steps"):
        plotting.plot_history(History(), tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_message_names_the_extra(tmp_path, monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it now fails
    with pytest.raises(ImportError, match=r"pictures need matplotlib.*foundation-nn\[plot\]"):
        plotting.plot_history(history(3), tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == []
