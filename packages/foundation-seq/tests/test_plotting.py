"""Pictures show what they should, and what they are made of is right."""

import numpy as np
import pytest
from foundation_nn import Tensor
from foundation_seq import GRU, LSTM, RNN, lstm_gates, plotting, state_gradients

pytest.importorskip("matplotlib")

TEXT = "to be\nor"


def test_states_are_drawn_token_by_token():
    h = np.random.default_rng(0).uniform(-1, 1, (8, 5))
    ax = plotting.plot_states(h, TEXT).axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), h.T)
    assert ax.images[0].get_clim() == (-1, 1)
    assert "".join(label.get_text() for label in ax.get_xticklabels()) == "to␣be⏎or"


def test_each_gate_has_a_map():
    gates = {name: np.full((8, 3), value) for name, value in (("f", 0.25), ("o", 0.75))}
    figure = plotting.plot_gates(gates, TEXT)
    for ax, (name, gate) in zip(figure.axes, gates.items(), strict=False):
        assert ax.get_ylabel() == f"{name}\nunit"
        np.testing.assert_array_equal(ax.images[0].get_array(), gate.T)
        assert ax.images[0].get_clim() == (0, 1)


def test_units_are_counted_in_whole_numbers():
    """Twelve units would have ticks at 2.5 and 7.5."""
    states, gates = plotting.plot_states(np.zeros((8, 12)), TEXT), {"f": np.zeros((8, 12))}
    for figure in (states, plotting.plot_gates(gates, TEXT)):
        ticks = figure.axes[0].get_yticks()
        assert (ticks == ticks.round()).all()


def test_norms_are_lines_on_a_logarithmic_axis():
    ax = plotting.plot_gradient_norms({"RNN": [0, 1e-9, 1], "LSTM": [0.1, 0.5, 1]}).axes[0]
    assert ax.get_yscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [np.nan, 1e-9, 1])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["RNN", "LSTM"]


def test_a_series_is_marked_where_it_was_given():
    ax = plotting.plot_series({"true": [1, 2, 3]}, 2).axes[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 2, 3])
    assert ax.lines[1].get_xdata() == [1.5, 1.5]


def test_a_file_is_written(tmp_path):
    plotting.plot_states(np.zeros((8, 5)), TEXT, tmp_path / "states.png")
    assert (tmp_path / "states.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plotting.plot_states(np.zeros((3, 2)), "ab"), r"got \(3, 2\) and 2"),
        (lambda: plotting.plot_gates({}, "ab"), "nothing to draw"),
        (lambda: plotting.plot_gates({"f": np.zeros(2)}, "ab"), "expected f of shape"),
        (lambda: plotting.plot_gradient_norms({}), "at least one line"),
        (lambda: plotting.plot_gradient_norms({key: [1] for key in "abcdefg"}), "up to 6"),
        (lambda: plotting.plot_series({}, 1), "expected 1 to 6 series, got 0"),
    ],
)
def test_errors_of_pictures(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_gates_explain_the_cells():
    # c_t = f c_{t-1} + i g and h_t = o tanh(c_t): with the candidate at tanh(0.3) throughout.
    lstm = LSTM(3, 2, rng=np.random.default_rng(1)).astype(np.float64)
    weights = lstm.state_dict()
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_hh_l0"):
        weights[name] = weights[name].copy()
        weights[name][4:6] = 0
    weights["bias_ih_l0"] = weights["bias_ih_l0"].copy()
    weights["bias_ih_l0"][4:6] = 0.3
    lstm.load_state_dict(weights)
    x = np.random.default_rng(2).standard_normal((1, 7, 3))
    gates, c = lstm_gates(lstm, x), np.zeros(2)
    output = lstm(Tensor(x))[0].data[0]
    for t in range(7):
        c = gates["forget gate"][t] * c + gates["input gate"][t] * np.tanh(0.3)
        np.testing.assert_allclose(gates["output gate"][t] * np.tanh(c), output[t], rtol=1e-12)


def test_gradients_of_states_by_hand():
    # h_t = h_{t-1} / 2 with relu, from a large state on: each step halves the gradient.
    rnn = RNN(1, 1, nonlinearity="relu").astype(np.float64)
    rnn.load_state_dict(
        {
            "weight_ih_l0": [[1.0]],
            "weight_hh_l0": [[0.5]],
            "bias_ih_l0": [0.0],
            "bias_hh_l0": [0.0],
        }
    )
    norms = state_gradients(rnn, np.ones((3, 5, 1)))
    np.testing.assert_allclose(norms, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    assert all(p.grad is None for p in rnn.parameters())


@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_gradients_of_states_equal_differences(kind):
    layer = kind(3, 2, rng=np.random.default_rng(3)).astype(np.float64)
    x = np.random.default_rng(4).standard_normal((1, 5, 3))
    at, eps = 2, 1e-6
    _, state = layer(Tensor(x[:, : at + 1]))

    def last(nudge):
        pair = isinstance(state, tuple)
        moved = (state[0].data + nudge, state[1].data) if pair else state.data + nudge
        return layer(Tensor(x[:, at + 1 :]), state=moved)[0].data[:, -1].sum()

    slopes = [(last(e) - last(-e)) / (2 * eps) for e in eps * np.eye(2)]
    found = state_gradients(layer, x)[at]
    np.testing.assert_allclose(found, np.linalg.norm(slopes), rtol=1e-7)


def test_errors_of_what_is_drawn():
    x = np.zeros((1, 4, 3), np.float32)
    with pytest.raises(ValueError, match=r"expected x of shape \(1, T, I\), got \(2, 4, 3\)"):
        lstm_gates(LSTM(3, 2), np.zeros((2, 4, 3), np.float32))
    with pytest.raises(ValueError, match="one direction"):
        lstm_gates(LSTM(3, 2, bidirectional=True), x)
    with pytest.raises(ValueError, match="a single layer"):
        state_gradients(RNN(3, 2, num_layers=2), x)
