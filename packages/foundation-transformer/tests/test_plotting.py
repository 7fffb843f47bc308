"""Pictures of what is inside."""

import numpy as np
import pytest
from foundation_nn import schedules
from foundation_nn.plotting import new_figure
from foundation_transformer import ALiBi, LearnedPositions, Rotary, SinusoidalPositions
from foundation_transformer.plotting import (
    plot_distances,
    plot_embeddings,
    plot_positions,
    plot_schedules,
    principal_components,
)
from foundation_transformer.plotting._embeddings import write_apart

pytest.importorskip("matplotlib")
from matplotlib.image import imread
from matplotlib.text import Text


def test_words_at_one_place_are_written_apart():
    figure, axes = new_figure(7, 6)
    ax = axes[0, 0]
    points = np.array([[0.5, 0.5]] * 5 + [[0.5, 0.51], [0.1, 0.9]])
    figure.draw_without_rendering()
    write_apart(ax, points, ["a", "b", "c", "d", "e", "fg", "h"])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(note) for note in ax.texts]  # without the lines to points
    assert len(boxes) == 7
    assert [box.count_overlaps(boxes) for box in boxes] == [1] * 7  # with itself alone
    assert not any(
        box.contains(*point) for box in boxes for point in ax.transData.transform(points)
    )
    assert all(ax.bbox.contains(*corner) for box in boxes for corner in (box.p0, box.p1))
    away = [note.get_text() for note in ax.texts if note.arrow_patch is not None]
    assert "h" not in away  # where there is room, a label stands beside its point
    assert away


def test_many_labels_stay_apart_from_each_other_and_from_points(rng):
    points = rng.standard_normal((60, 2)) ** 3  # crowded in the middle
    figure, axes = new_figure(8, 6.5)
    ax = axes[0, 0]
    ax.scatter(*points.T)
    figure.draw_without_rendering()
    write_apart(ax, points, [f"word {i}" for i in range(60)])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(note) for note in ax.texts]
    assert [box.count_overlaps(boxes) for box in boxes] == [1] * 60
    assert not any(
        box.contains(*point) for box in boxes for point in ax.transData.transform(points)
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: plot_positions(SinusoidalPositions(16, max_len=30), path),
        lambda path: plot_positions(LearnedPositions(16, max_len=30), path),
        lambda path: plot_distances(Rotary(16, 70), ALiBi(4), path),
        lambda path: plot_embeddings(np.eye(4), ["a", "$b", "_c", "\\d$"], path),
        lambda path: plot_schedules({"Noam": schedules.noam(64)}, 9000, path),
    ],
    ids=["sinusoidal", "learned", "distances", "embeddings", "schedules"],
)
def test_a_picture_is_written(tmp_path, draw):
    path = tmp_path / "picture.png"
    draw(path)
    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.02
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize(("D", "shown"), [(16, 30), (7, 30), (8, 100)])
def test_the_encodings_and_their_similarity(D, shown):
    positions = SinusoidalPositions(D, max_len=30 if shown == 30 else 200)
    figure = plot_positions(positions)
    left, right = [ax for ax in figure.axes if ax.images and ax.get_title()]
    np.testing.assert_array_equal(left.images[0].get_array(), positions.table[:shown])
    similarity = right.images[0].get_array()
    assert similarity.shape == (shown, shown)
    np.testing.assert_allclose(similarity, similarity.T, rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(similarity), 1, rtol=1e-12)


def test_scores_by_distance():
    left, right = plot_distances(Rotary(4, 9, base=100.0), ALiBi(2), distances=9).axes
    t = np.arange(9)
    expected = (np.cos(t) + np.cos(t / 10)) / 2  # two pairs, of the same weight
    np.testing.assert_allclose(left.lines[0].get_ydata(), expected, atol=1e-12)
    slopes = [1 / 16, 1 / 256]
    for line, slope in zip(right.lines, slopes, strict=True):
        np.testing.assert_allclose(line.get_ydata(), np.exp(-slope * t))


def test_principal_components(rng):
    # Points on a line in space, with a little width across it.
    along, across = np.array([3.0, 0.0, 4.0]) / 5, np.array([0.0, 1.0, 0.0])
    s, t = np.array([-3.0, -1.0, 0.0, 4.0]), np.array([0.1, -0.2, 0.2, -0.1])
    found = principal_components(7 + s[:, None] * along + t[:, None] * across)
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found[:, 0], s, atol=0.02)
    np.testing.assert_allclose(np.abs(found[:, 1]), np.abs(t), atol=0.08)
    with pytest.raises(ValueError, match=r"at least 2 vectors of 2 dimensions, got shape \(5, 1\)"):
        principal_components(np.ones((5, 1)))


def test_a_map_of_embeddings(rng):
    vectors = rng.standard_normal((5, 7))
    (ax,) = plot_embeddings(vectors, list("abcde"), title="Letters").axes
    points = principal_components(vectors)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), points)
    shares = np.var(points, axis=0) / np.var(vectors, axis=0).sum()
    first, second = (f"{100 * share:.0f} %" for share in shares)
    assert ax.get_xlabel() == f"first principal component ({first} of the variance)"
    assert ax.get_ylabel() == f"second principal component ({second})"
    assert [text.get_text() for text in ax.texts] == list("abcde")
    np.testing.assert_allclose([text.xy for text in ax.texts], points)
    with pytest.raises(ValueError, match="a label for each of the 5 vectors, got 4"):
        plot_embeddings(vectors, list("abcd"))


def test_lines_of_schedules():
    lines = {"a": schedules.linear(1.0, 10, warmup=2), "b": schedules.constant(0.3)}
    (ax,) = plot_schedules(lines, 10).axes
    first, second = ax.lines
    assert first.get_xdata().tolist() == list(range(1, 11))
    np.testing.assert_allclose(first.get_ydata()[[0, 1, 5, 9]], [0.5, 1.0, 0.5, 0.0])
    np.testing.assert_allclose(second.get_ydata(), 0.3)
    with pytest.raises(ValueError, match="nothing to draw: 0 lines, 10 steps"):
        plot_schedules({}, 10)
