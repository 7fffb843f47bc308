"""Pictures of what is inside."""

import numpy as np
import pytest
from foundation_transformer import SinusoidalPositions, plotting
from foundation_transformer.plotting import plot_positions

pytest.importorskip("matplotlib")
from matplotlib.image import imread


def test_a_picture_is_written(tmp_path):
    path = tmp_path / "positions.png"
    plot_positions(SinusoidalPositions(16, max_len=30), path)
    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.05
    assert [p.name for p in tmp_path.iterdir()] == ["positions.png"]


@pytest.mark.parametrize(("D", "shown"), [(16, 30), (7, 30), (8, 100)])
def test_it_shows_the_encodings_and_their_similarity(monkeypatch, D, shown):
    figures = []
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: figures.append(figure))
    positions = SinusoidalPositions(D, max_len=30 if shown == 30 else 200)
    plot_positions(positions, "nowhere.png")
    left, right = [ax for ax in figures[0].axes if ax.images and ax.get_title()]
    np.testing.assert_array_equal(left.images[0].get_array(), positions.table[:shown])
    similarity = right.images[0].get_array()
    assert similarity.shape == (shown, shown)
    np.testing.assert_allclose(similarity, similarity.T, rtol=1e-12)
    if D % 2 == 0:
        np.testing.assert_allclose(np.diagonal(similarity), 1, rtol=1e-12)
