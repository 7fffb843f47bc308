"""What the pictures hold: the numbers behind them, not their looks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foundation_data import TranslationDataset, Vocabulary

pytest.importorskip("matplotlib", reason="the extra plot is not installed")

from foundation_data import plotting
from foundation_data.plotting import MaskMap, plot_coverage, plot_masks, plot_padding

DATASET = TranslationDataset.from_ids([([5], [6]), ([5, 6, 7], [7, 6])])


def is_real(image: Any) -> list[list[bool]]:
    """The colours of a mask as True and False again."""
    colors = np.asarray(image.get_array())
    real = np.isclose(colors, plotting._rgb(plotting._REAL)).all(-1)
    assert (real | np.isclose(colors, plotting._rgb(plotting._PADDING)).all(-1)).all()
    return real.tolist()  # type: ignore[no-any-return]


def test_coverage(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build([["a"] * 6, ["b"] * 3, ["c"]])
    limited = Vocabulary.build([["a"] * 6, ["b"] * 3, ["c"]], max_size=6)
    figure = plot_coverage({"all": vocabulary, "some": limited}, tmp_path / "c.png")
    lines = figure.axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_ydata(), [60, 90, 100])
    np.testing.assert_allclose(lines[2].get_ydata(), [60, 90])
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    for wrong in ({}, dict.fromkeys("abcdefg", vocabulary)):
        with pytest.raises(ValueError, match=f"1 to 6 vocabularies, got {len(wrong)}"):
            plot_coverage(wrong, tmp_path / "d.png")


def test_padding(tmp_path: Path) -> None:
    kinds = {"apart": [DATASET.batch([0]), DATASET.batch([1])], "mixed": [DATASET.batch([0, 1])]}
    figure = plot_padding(kinds, tmp_path / "p.png")
    apart, mixed = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["token", "padding"]
    assert [is_real(image) for image in apart.get_images()] == [[[True] * 2], [[True] * 4]]
    assert is_real(mixed.get_images()[0]) == [[True, True, False, False], [True] * 4]
    assert mixed.get_title("left") == "mixed: 25.0% of the positions are padding"
    assert [image.get_extent()[0] for image in apart.get_images()] == [0, 4]
    with pytest.raises(ValueError, match="at least one batch of each kind, got none"):
        plot_padding({"none": []}, tmp_path / "q.png")


def test_masks(tmp_path: Path) -> None:
    batch = DATASET.batch([0, 1])
    words = ["<bos>", "six", "<pad>"]
    itself = MaskMap(batch.target_pattern[0], words, words, "itself")
    figure = plot_masks([itself], tmp_path / "m.png")
    meanings = [text.get_text() for text in figure.legends[0].get_texts()]
    assert meanings == ["the row may attend to the column", "it may not"]
    ax = figure.axes[0]
    assert is_real(ax.get_images()[0]) == batch.target_pattern[0].tolist()
    assert [label.get_text() for label in ax.get_xticklabels()] == words
    with pytest.raises(ValueError, match=r"a mask of shape \(3, 2\) for as many .* got \(3, 3\)"):
        plot_masks([MaskMap(batch.target_pattern[0], words[:2], words)], tmp_path / "m.png")
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_masks([], tmp_path / "m.png")
