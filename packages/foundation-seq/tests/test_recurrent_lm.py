"""The recurrent language model: values, training, checkpoints."""

import numpy as np
import pytest
from foundation_nn import checkpoint, gradcheck, no_grad, optim, train_mode
from foundation_nn import functional as F
from foundation_seq import RecurrentLM, SamplingConfig, generate

IDS = np.random.default_rng(1).integers(11, size=(3, 7))


def model(dropout=0.0):
    return RecurrentLM(11, 3, 5, 2, dropout, rng=np.random.default_rng(0))


def test_is_embedding_lstm_and_output():
    lm = model()
    hidden, (h, c) = lm.lstm(lm.embedding(IDS))
    expected = hidden.data @ lm.output.weight.data.T + lm.output.bias.data
    np.testing.assert_allclose(lm(IDS).data, expected, rtol=1e-6)
    logits, state = lm.read(IDS)
    np.testing.assert_array_equal(logits.data, lm(IDS).data)
    np.testing.assert_array_equal(state[0].data, h.data)
    np.testing.assert_array_equal(state[1].data, c.data)


def test_state_carried_over_equals_the_whole_sequence():
    lm = model()
    first, state = lm.read(IDS[:, :3])
    second, _ = lm.read(IDS[:, 3:], state=state)
    whole = lm(IDS).data
    np.testing.assert_allclose(np.concatenate([first.data, second.data], 1), whole, rtol=1e-5)


def test_gradcheck():
    assert gradcheck(model(), IDS, max_elements=11)


def test_dropout_is_on_in_training_only():
    lm = model(dropout=0.4)
    np.testing.assert_array_equal(lm(IDS).data, lm(IDS).data)
    with train_mode(np.random.default_rng(0)):
        assert not np.array_equal(lm(IDS).data, lm(IDS).data)


def test_learns_a_sequence_by_heart():
    text = np.array([[1, 2, 3, 1, 4, 2, 2, 5, 3, 3, 0]])  # the last token alone decides nothing
    lm = RecurrentLM(6, 7, 23, rng=np.random.default_rng(0))
    adam = optim.AdamW(lm, lr=0.02)
    for _ in range(90):
        adam.zero_grad()
        loss = F.cross_entropy(lm(text[:, :-1]), text[:, 1:])
        loss.backward()
        adam.step()
    assert loss.item() < 0.05
    assert generate(lm, text[:, :1], 99, stop_ids=[0]) == [text[0, 1:-1].tolist()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_checkpoint_round_trip(tmp_path, dtype):
    lm = model(dropout=0.1).astype(dtype)
    checkpoint.save(tmp_path / "lm", lm)
    loaded = checkpoint.load(tmp_path / "lm").model
    assert type(loaded) is RecurrentLM
    assert (
        loaded.to_dict()
        == lm.to_dict()
        == {"vocab_size": 11, "embedding_dim": 3, "hidden_size": 5, "num_layers": 2, "dropout": 0.1}
    )
    np.testing.assert_array_equal(loaded(IDS).data, lm(IDS).data)
    config = SamplingConfig(top_p=0.9)
    assert generate(loaded, IDS, 7, config, np.random.default_rng(0)) == generate(
        lm, IDS, 7, config, np.random.default_rng(0)
    )


def test_inference_records_nothing():
    with no_grad():
        assert not model()(IDS).requires_grad


def test_errors():
    with pytest.raises(ValueError, match="vocab_size >= 1, got 0"):
        RecurrentLM(0, 3, 5)
    with pytest.raises(ValueError, match="0 <= dropout < 1, got 1"):
        RecurrentLM(11, 3, 5, dropout=1)
    with pytest.raises(ValueError, match="hidden_size >= 1"):
        RecurrentLM(11, 3, 0)
    with pytest.raises(ValueError, match=r"ids of shape \(B, T\), got \(7,\); write ids\[None\]"):
        model()(IDS[0])
    with pytest.raises(ValueError, match="embedding: .*id 11 lies outside"):
        model()(IDS + 11 - IDS)
