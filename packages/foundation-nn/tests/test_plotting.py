"""Pictures: that they are written, and show what they should."""

import sys

import numpy as np
import pytest
from foundation_nn import MLP, Module, Parameter, ReLU, Tanh, Tensor, plotting
from foundation_nn.training import Evaluation, History, Step
from foundation_nn.training._smoothing import smoothed


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


def test_what_is_plotted_are_the_numbers_of_the_run():
    pytest.importorskip("matplotlib")
    figure = plotting.plot_history(history(4, [2, 4]), title="A run")
    upper, lower = figure.axes
    each, trend, held_out = upper.lines
    np.testing.assert_array_equal(each.get_xydata(), [[i, 3 / i] for i in range(1, 5)])
    np.testing.assert_array_equal(trend.get_xdata(), each.get_xdata())
    np.testing.assert_allclose(trend.get_ydata(), smoothed([3, 3 / 2, 1, 3 / 4]))
    np.testing.assert_array_equal(held_out.get_xydata(), [[2, 2], [4, 1]])
    np.testing.assert_array_equal(lower.lines[0].get_xydata(), [[i, 0.1 / i] for i in range(1, 5)])
    assert (upper.get_title(), lower.get_xlabel()) == ("A run", "step")
    assert [text.get_text() for text in upper.get_legend().get_texts()][-1] == "held out"
    assert upper.get_xlim() == lower.get_xlim()


def test_a_loss_that_is_not_finite_is_a_gap_in_the_trend():
    pytest.importorskip("matplotlib")
    losses = [5.0, 4.0, np.nan, 2.0, np.inf, 0.0]
    run = History([Step(i, loss, 0.1, 1.0, 1, 0.1) for i, loss in enumerate(losses, start=1)])
    trend = plotting.plot_history(run).axes[0].lines[1].get_ydata()
    np.testing.assert_array_equal(np.isnan(trend), ~np.isfinite(losses))


def test_a_single_step_is_marked():
    pytest.importorskip("matplotlib")
    upper, lower = plotting.plot_history(history(1)).axes
    assert upper.lines[0].get_marker() == lower.lines[0].get_marker() == "o"
    assert plotting.plot_history(history(2)).axes[0].lines[0].get_marker() == "None"


@pytest.mark.parametrize(
    ("losses", "scale", "drawn"),
    [
        ([100.0, 10.0, 1.0], "log", [100, 10, 1]),
        ([1.0, 0.0, -2.0, np.nan, np.inf, 0.1], "log", [1, np.nan, np.nan, np.nan, np.nan, 0.1]),
        ([0.5], "log", [0.5]),
        ([0.0, 0.0], "linear", [0, 0]),
        ([np.nan], "linear", [np.nan]),
    ],
)
def test_losses_on_a_logarithmic_axis(losses, scale, drawn):
    pytest.importorskip("matplotlib")
    run = History([Step(i, loss, 0.1, 1.0, 1, 0.1) for i, loss in enumerate(losses, start=1)])
    figure = plotting.plot_history(run, log=True)
    ax = figure.axes[0]
    assert ax.get_yscale() == scale
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), drawn)
    assert figure._repr_png_().startswith(b"\x89PNG")


def log_labels(low, high):
    figure, axes = plotting.new_figure(3, 5)
    ax = axes[0, 0]
    values = plotting.log_scale(ax, "y", np.array([low, high]))
    ax.plot(values)
    ax.set_ylim(low, high)
    figure.draw_without_rendering()
    labels = ax.get_yticklabels(which="both")
    inside = [low <= label.get_position()[1] * (1 + 1e-9) <= high * 1.01 for label in labels]
    return [t.get_text() for t, shown in zip(labels, inside, strict=True) if shown and t.get_text()]


def test_ticks_of_a_logarithmic_axis_are_plain_numbers():
    pytest.importorskip("matplotlib")
    assert log_labels(0.01, 10_000) == ["0.01", "0.1", "1", "10", "100", "1,000", "10,000"]
    assert {"2", "3", "4"} <= set(log_labels(1.5, 5))
    assert log_labels(1e-9, 10) == ["10⁻⁹", "10⁻⁷", "10⁻⁵", "10⁻³", "10⁻¹", "10"]


def test_losses_of_several_runs_side_by_side():
    pytest.importorskip("matplotlib")
    figure, axes = plotting.new_figure(8, 3, columns=2)
    for ax, steps in zip(axes[0], (3, 5), strict=True):
        assert plotting.plot_history(history(steps), ax=ax, title=f"{steps} steps") is figure
    assert [ax.get_title() for ax in figure.axes] == ["3 steps", "5 steps"]
    assert [len(ax.lines[0].get_xdata()) for ax in figure.axes] == [3, 5]


# where a picture is shown


def test_a_notebook_shows_a_figure_once_and_pyplot_knows_nothing():
    pytest.importorskip("matplotlib")
    from matplotlib import _pylab_helpers

    figure = plotting.plot_history(history(3))
    content = figure._repr_png_()  # IPython asks the value of the last line for it
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000
    assert _pylab_helpers.Gcf.get_all_fig_managers() == []  # what a cell shows at its end


def test_a_picture_is_drawn_in_a_part_of_a_figure_and_saved_as_a_whole(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    whole = Figure()
    left, _ = whole.subfigures(1, 2)
    found = plotting.plot_history(history(3), tmp_path / "loss.png", ax=left.subplots())
    assert found is whole
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


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
    monkeypatch.delitem(sys.modules, "foundation_nn.plotting._picture", raising=False)
    with pytest.raises(ImportError, match=r"pictures need matplotlib.*foundation-nn\[plot\]"):
        plotting.plot_history(history(3), tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == []


def test_the_unit_of_the_loss_can_be_named():
    pytest.importorskip("matplotlib")
    figures = [plotting.plot_history(history(3), unit=unit) for unit in ("nats per point", "")]
    figures.append(plotting.plot_history(history(3)))
    assert [figure.axes[0].get_ylabel() for figure in figures] == [
        "loss (nats per point)",
        "loss",
        "loss (nats per token)",
    ]


# decision boundaries

CORNERS = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])


def half_planes(x):
    """One logit: class 1 where x₁ > 0."""
    return 50 * x[:, 0]


def test_a_boundary_is_drawn_where_the_logit_is_zero(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plane.png"
    plotting.plot_decision_boundary(half_planes, CORNERS, [0, 0, 1, 1], path)
    picture = pixels(path)
    middle = picture[picture.shape[0] // 2 + 60]  # a row of pixels, clear of the points
    blue, orange = middle[150], middle[700]
    assert blue[2] > blue[0] + 0.2
    assert orange[0] > orange[2] + 0.2
    black = np.flatnonzero(middle[150:850].max(-1) < 0.3) + 150
    assert len(black) in range(1, 7)  # a thin line and nothing else
    assert black.mean() == pytest.approx(482, abs=15)  # the middle of the axes


def test_single_logits_and_pairs_give_the_same_picture():
    forms = [
        half_planes,
        lambda x: half_planes(x)[:, None],
        lambda x: np.stack([0 * x[:, 0], half_planes(x)], axis=1),
        lambda x: Tensor(half_planes(x)),
    ]
    figures = [plotting.plot_decision_boundary(form, CORNERS, [0, 0, 1, 1]) for form in forms]
    shades = [figure.axes[0].images[0].get_array() for figure in figures]
    for shade in shades[1:]:
        np.testing.assert_allclose(shade, shades[0], atol=1e-6)
    assert [t.get_text() for t in figures[0].axes[0].get_legend().get_texts()] == [
        "class 0",
        "class 1",
    ]


def test_every_point_is_drawn_in_its_class_and_inside():
    x, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 3
    three = lambda p: np.stack([p[:, 0], p[:, 1], -p[:, 0]], 1)  # noqa: E731
    ax = plotting.plot_decision_boundary(three, x, y).axes[0]
    drawn = [c.get_offsets() for c in ax.collections if len(c.get_offsets()) == 10]
    for label, points in enumerate(drawn):
        np.testing.assert_array_equal(points, x[y == label])
    (left, right), (lower, upper) = ax.get_xlim(), ax.get_ylim()
    assert left < x[:, 0].min() < x[:, 0].max() < right
    assert lower < x[:, 1].min() < x[:, 1].max() < upper
    assert len(drawn) == 3


@pytest.mark.parametrize(
    ("model", "x", "y", "message"),
    [
        (half_planes, np.zeros((4, 3)), [0] * 4, r"shape \(N, 2\), got \(4, 3\)"),
        (half_planes, np.zeros((0, 2)), [], r"shape \(N, 2\), got \(0, 2\)"),
        (half_planes, CORNERS, [0, 1], "one class >= 0 for each of the 4 points"),
        (half_planes, CORNERS, [0, 1, -1, 0], "one class >= 0"),
        (half_planes, CORNERS, [0, 1, 6, 0], "up to 6 classes"),
        (lambda x: x[:5], CORNERS, [0, 1, 1, 0], r"logits of shape \(90601, C\), got \(5, 2\)"),
    ],
)
def test_what_cannot_be_drawn_in_the_plane_is_refused(tmp_path, model, x, y, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_decision_boundary(model, x, y, tmp_path / "no.png")
    assert list(tmp_path.iterdir()) == []


# histograms


def squares(model, x):
    y = model(Tensor(x))
    return (y * y).sum(), len(x)


def network(scale=1.0, depth=3):
    model = MLP([5] * depth, Tanh, rng=np.random.default_rng(0))
    for p in model.parameters():
        p.data = scale * p.data
    return model


def test_histograms_show_outputs_and_their_gradients():
    model, x = MLP([3, 2, 1], ReLU, rng=np.random.default_rng(1)), np.ones((7, 3), np.float32)
    figure = plotting.plot_histograms(model, squares, x, title="Seven rows")
    axes = np.array(figure.axes).reshape(3, 2)
    assert [ax.get_title(loc="left") for ax in axes[:, 0]] == ["0 Linear", "1 ReLU", "2 Linear"]
    y = model(Tensor(x)).data
    for ax, value in ((axes[2, 0], y[0, 0]), (axes[2, 1], np.log10(abs(2 * y[0, 0])))):
        (bar,) = [patch for patch in ax.patches if patch.get_height()]  # seven equal rows
        assert bar.get_height() == 7
        assert bar.get_x() <= value <= bar.get_x() + bar.get_width()
    assert axes[2, 1].get_title(loc="right") == f"median |g| = {abs(2 * y[0, 0]):.1e}"
    assert axes[0, 0].get_xlim() == axes[2, 0].get_xlim()


def test_vanishing_gradients_are_visible():
    x = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    drift = []
    for scale in (0.1, 1):
        right = plotting.plot_histograms(network(scale, depth=5), squares, x).axes[1::2]
        medians = [float(ax.get_title(loc="right").split()[3].rstrip(",")) for ax in right]
        drift.append(np.log10(medians[0] / medians[-1]) if medians[0] else -np.inf)
    assert drift[0] < -2.5
    assert abs(drift[1]) < 2


def test_histograms_leave_the_model_as_it_was():
    model, x = network(), np.ones((2, 5), np.float32)
    squares(model, x)[0].backward()
    before = [p.grad.copy() for p in model.parameters()]
    plotting.plot_histograms(model, squares, 3 * x)
    for p, grad in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    model[0].bias.grad = None
    plotting.plot_histograms(model, squares, x)
    assert model[0].bias.grad is None
    assert all("forward" not in vars(m) for _, m in model.named_modules())


def test_histograms_after_an_error_leave_the_model_as_it_was(tmp_path):
    model = network()
    with pytest.raises(ValueError, match="shape"):
        plotting.plot_histograms(model, squares, np.ones((2, 3), np.float32), tmp_path / "no.png")
    assert all("forward" not in vars(m) for _, m in model.named_modules())
    assert list(tmp_path.iterdir()) == []


def test_a_dead_layer_is_told_in_words():
    model = MLP([2, 3, 1], ReLU, rng=np.random.default_rng(0))
    model[0].bias.data = np.full(3, -9.0)
    figure = plotting.plot_histograms(model, squares, np.zeros((4, 2), np.float32))
    notes = [ax.get_title(loc="right") for ax in figure.axes]
    assert notes[2] == "σ = 0, 100% zeros"  # what comes out of the ReLU
    assert notes[1].endswith("100% zeros")  # what goes back to the first layer


def test_numbers_that_are_none_are_counted_not_drawn():
    model = MLP([2, 3, 1], Tanh, rng=np.random.default_rng(0))
    x = np.ones((4, 2), np.float32)
    x[0] = np.nan
    figure = plotting.plot_histograms(model, squares, x)
    assert "25% inf/nan" in figure.axes[0].get_title(loc="right")


def test_histograms_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    x = np.random.default_rng(0).standard_normal((50, 5)).astype(np.float32)
    plotting.plot_histograms(MLP([5, 7, 2]), squares, x, tmp_path / "layers.png")
    picture = pixels(tmp_path / "layers.png")
    assert close_to(picture, plotting.COLORS[0]) > 1000
    assert close_to(picture, plotting.COLORS[1]) > 1000


def test_a_model_without_layers_has_no_histograms(tmp_path):
    class Identity(Module):
        def __init__(self):
            self.scale = Parameter([1.0])

        def forward(self, x):
            return float(self.scale.data[0]) * x.data

    def loss(model, x):
        model(Tensor(x))
        return (model.scale * 2).sum(), 1

    with pytest.raises(ValueError, match="no layer of this model gave a tensor"):
        plotting.plot_histograms(Identity(), loss, [1.0], tmp_path / "no.png")


# weights and images


def test_weights_are_drawn_with_zero_in_the_middle():
    model = MLP([3, 5, 2, 2, 1], rng=np.random.default_rng(0))
    model[0].weight.data = np.arange(15.0).reshape(5, 3)
    maps = [ax for ax in plotting.plot_weights(model).axes if ax.images]
    assert [ax.get_title() for ax in maps] == [f"{i}.weight" for i in (0, 2, 4, 6)]
    image = maps[0].images[0]
    np.testing.assert_array_equal(image.get_array(), np.arange(15).reshape(5, 3))
    assert image.get_clim() == (-14, 14)


def test_weights_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    plotting.plot_weights(MLP([7, 5], rng=np.random.default_rng(0)), tmp_path / "w.png")
    colours = (pixels(tmp_path / "w.png") * 255).astype(int) @ [65536, 256, 1]
    assert len(np.unique(colours)) > 50


def test_a_model_without_matrices_has_no_picture_of_weights(tmp_path):
    with pytest.raises(ValueError, match="no matrix"):
        plotting.plot_weights(ReLU(), tmp_path / "no.png")


def test_images_stand_under_their_captions():
    images = np.random.default_rng(0).random((11, 4, 3))
    figure = plotting.plot_images(images, [f"number {i}" for i in range(11)], title="Eleven")
    drawn = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in drawn] == [f"number {i}" for i in range(11)]
    for ax, image in zip(drawn, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert len(figure.axes) == 16  # two rows of eight


@pytest.mark.parametrize("shape", [(0, 4, 4), (2, 4), (3, 4, 4)])
def test_images_that_do_not_match_their_captions_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match=r"plot_images: expected images \(N, height, width\)"):
        plotting.plot_images(np.zeros(shape), ["a", "b"], tmp_path / "no.png")


def test_characters_without_a_glyph_are_told_once(tmp_path, caplog):
    pytest.importorskip("matplotlib")
    figure, axes = plotting.new_figure(3, 2)
    axes[0, 0].set_title("日本 and 日")
    plotting.save_figure(figure, tmp_path / "picture.png")
    (told,) = caplog.records
    assert (told.name, told.levelname) == ("foundation", "WARNING")
    assert "picture.png: matplotlib's font lacks 2 of the characters" in told.getMessage()
    assert pixels(tmp_path / "picture.png").std() > 0
