"""How much a text surprises a model, in numbers, in a terminal and as a picture."""

import math

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_transformer import CausalLM, ContextLengthError, TransformerConfig
from foundation_transformer.evaluation import score_language_model, surprisal
from foundation_transformer.plotting import _surprisal, plot_surprisal, surprisal_text
from foundation_transformer.recipes import consecutive_windows


def test_bits_by_hand():
    # After 0 come 0, 1 and 2 with 1/2, 1/4, 1/4; after 2 they come with 1/8, 3/4, 1/8.
    p = np.array([[4, 2, 2], [1, 1, 1], [1, 6, 1]]) / 8
    asked = []

    def model(ids):
        asked.append(ids.tolist())
        return Tensor(np.log(p[ids]) + 100)  # logits are determined up to a constant

    bits = surprisal(model, [0, 0, 2, 1])
    assert np.isnan(bits[0])
    np.testing.assert_allclose(bits[1:], [1, 2, math.log2(4 / 3)], rtol=1e-12)
    assert asked == [[[0, 0, 2, 1]]]
    assert np.isnan(surprisal(model, [1])).tolist() == [True]
    with pytest.raises(ValueError, match="at least one token, got none"):
        surprisal(model, [])


def test_the_mean_is_the_loss_of_a_model(rng):
    config = TransformerConfig.gpt2(
        vocab_size=13, max_len=11, d_model=24, num_heads=2, num_layers=2, dropout=0.0
    )
    model = CausalLM(config, rng=rng).astype(np.float64)
    ids = rng.integers(13, size=11).tolist()
    scores = score_language_model(model, consecutive_windows(np.array(ids), 10, 1))
    np.testing.assert_allclose(
        np.nanmean(surprisal(model, ids)), scores.loss / math.log(2), rtol=1e-12
    )
    with pytest.raises(ContextLengthError, match="12 tokens"):
        surprisal(model, [*ids, 0])


def test_a_terminal_shows_shades_and_never_shades_an_end_of_line():
    lines = surprisal_text(["to", " be", ",\n", "or", " not"], [np.nan, 0.5, 1, 9.9, 40])
    first, second, empty, legend = lines.split("\n")
    assert first == "to\x1b[30;48;5;230m be\x1b[0m\x1b[30;48;5;222m,\x1b[0m"
    assert second == "\x1b[30;48;5;208mor\x1b[0m\x1b[30;48;5;202m not\x1b[0m"
    assert empty == ""
    assert legend.startswith("bits: \x1b[30;48;5;230m < 1 ")
    assert legend.endswith("\x1b[30;48;5;202m more \x1b[0m")


@pytest.mark.parametrize("show", [surprisal_text, plot_surprisal])
def test_a_number_for_each_token(show):
    for tokens, bits in ((["a", "b"], [1.0]), (["a"], [[1.0]]), ([], [])):
        with pytest.raises(ValueError, match=f"each of {len(tokens)} tokens, at least one, got"):
            show(tokens, bits)


def test_lines_break_between_tokens_and_after_ends_of_lines(monkeypatch):
    monkeypatch.setattr(_surprisal, "_WIDTH", 7)
    tokens = ["one", " two", " six", "\n", "a word too long", "!"]
    places = list(_surprisal._places(tokens))
    assert places == [(0, 0), (0, 3), (1, 0), (1, 4), (2, 0), (3, 0)]


def test_a_picture_has_each_character_on_its_shade():
    pytest.importorskip("matplotlib")
    figure = plot_surprisal(["ab", " c", "\n", "$d$"], [np.nan, 2, 3, 12], title="What")
    ax = figure.axes[0]
    shades = np.asarray(ax.images[0].get_array().filled(-1))
    assert shades.shape == (2, 80)
    assert shades[0, :6].tolist() == [-1, -1, 2, 2, 3, -1]
    assert shades[1, :4].tolist() == [12, 12, 12, -1]
    written = {text.get_position(): text for text in ax.texts}
    assert {at: text.get_text() for at, text in written.items()} == {
        (0.5, 0.5): "a",
        (1.5, 0.5): "b",
        (2.5, 0.5): " ",
        (3.5, 0.5): "c",
        (4.5, 0.5): "⏎",
        (0.5, 1.5): "$",
        (1.5, 1.5): "d",
        (2.5, 1.5): "$",
    }
    assert written[0.5, 1.5].get_color() == "white"
    assert written[3.5, 0.5].get_color() == "black"
    assert ax.get_title(loc="left") == "What"


def test_a_picture_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path = tmp_path / "picture.png"
    plot_surprisal(["to", " be"] * 30, [1, 9.5] * 30, path)
    picture = imread(path)[..., :3]
    assert min(picture.shape[:2]) > 150
    assert picture.std() > 0.1
