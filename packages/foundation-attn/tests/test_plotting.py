"""Attention pictures."""

import numpy as np
import pytest
from foundation_attn.plotting import HeatMap, plot_attention

pytest.importorskip("matplotlib")
from matplotlib.image import imread


def a_map(rng, T=3, S=5, title=""):
    weights = rng.dirichlet(np.ones(S), T)
    return HeatMap(weights, [f"k{s}" for s in range(S)], [f"q{t}" for t in range(T)], title)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_picture_is_written(rng, tmp_path, count):
    path = tmp_path / "attention.png"
    plot_attention([a_map(rng, title="head") for _ in range(count)], path, title="Attention")
    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 100
    assert picture.std() > 0.05  # not blank
    assert [p.name for p in tmp_path.iterdir()] == ["attention.png"]


def test_tokens_stand_where_their_weights_are(rng):
    m = a_map(rng, T=3, S=5, title="the last layer")
    figure = plot_attention([m, m, m], title="three", columns=2)
    assert figure.get_suptitle() == "three"
    maps = [ax for ax in figure.axes if ax.images and ax.get_title(loc="left")]
    assert len(maps) == 3
    for ax in maps:
        np.testing.assert_array_equal(ax.images[0].get_array(), m.weights)
        assert ax.images[0].get_clim() == (0, 1)
        assert [t.get_text() for t in ax.get_xticklabels()] == m.keys
        assert [t.get_text() for t in ax.get_yticklabels()] == m.queries
        assert ax.get_title(loc="left") == "the last layer"


def test_cells_of_all_maps_have_one_size(rng):
    sizes = [(3, 5), (7, 2), (1, 4), (2, 6)]
    figure = plot_attention([a_map(rng, T, S) for T, S in sizes])
    figure.draw_without_rendering()
    cells = [
        np.abs(np.diff(ax.transData.transform([[0, 0], [1, 1]]), axis=0)).ravel()
        for ax in figure.axes[:4]
    ]
    np.testing.assert_allclose(cells, np.full((4, 2), cells[0][0]), rtol=0.02)


def test_numbers_in_the_cells_are_the_weights():
    weights = np.array([[1.0, 0.0, 0.0], [0.97, 0.03, 0.0], [0.25, 0.5, 0.25], [0.1, 0.2, 0.7]])
    figure = plot_attention([HeatMap(weights, list("abc"), list("wxyz"))])
    texts = [text for ax in figure.axes for text in ax.texts]
    assert len(texts) == 8  # all from 0.1 on
    for text in texts:
        s, t = text.get_position()
        assert float(text.get_text()) == pytest.approx(weights[t, s], abs=0.0501)


def test_more_weight_is_darker(tmp_path):
    # One key with all the weight: the cell is the darkest of its row.
    path = tmp_path / "one.png"
    plot_attention([HeatMap(np.eye(2), ["a", "b"], ["c", "d"])], path)
    low = tmp_path / "two.png"
    plot_attention([HeatMap(np.full((2, 2), 0.05), ["a", "b"], ["c", "d"])], low)
    assert imread(path)[..., :3].mean() < imread(low)[..., :3].mean()


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_attention([], tmp_path / "x.png")


@pytest.mark.parametrize(("T", "S"), [(3, 4), (2, 5), (5, 3)])
def test_tokens_and_weights_that_do_not_fit(rng, tmp_path, T, S):
    m = a_map(rng)._replace(weights=np.zeros((T, S)))
    with pytest.raises(ValueError, match=rf"weights of shape \(3, 5\).*got \({T}, {S}\)"):
        plot_attention([a_map(rng), m], tmp_path / "x.png")
    assert not list(tmp_path.iterdir())
