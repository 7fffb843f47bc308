"""The classifier, the sequence-to-sequence model, and the recipes that train them."""

import numpy as np
import pytest
from foundation_nn import checkpoint, gradcheck, train_mode
from foundation_nn import functional as F
from foundation_nn.optim import AdamW
from foundation_nn.training import Trainer
from foundation_seq import RecurrentLM, Seq2Seq, SequenceClassifier, beam_search, generate, recipes
from foundation_seq.examples import reverse

IDS = np.random.default_rng(1).integers(11, size=(3, 7))
LENGTHS = np.array([4, 7, 2])


def classifier(bidirectional=True, dropout=0.0):
    rng = np.random.default_rng(0)
    return SequenceClassifier(11, 3, 5, 4, 2, bidirectional, dropout, rng=rng)


def seq2seq(dropout=0.0):
    return Seq2Seq(11, 6, 5, 4, 2, dropout, rng=np.random.default_rng(0))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_classifier_judges_the_ends_of_both_directions(bidirectional):
    model = classifier(bidirectional)
    hidden, _ = model.lstm(model.embedding(IDS), LENGTHS)
    ends = hidden.data[np.arange(3), LENGTHS - 1]  # where reading forward ended
    if bidirectional:  # reading backward ended at the first step
        ends = np.concatenate([ends[:, :4], hidden.data[:, 0, 4:]], axis=1)
    expected = ends @ model.output.weight.data.T + model.output.bias.data
    np.testing.assert_allclose(model(IDS, LENGTHS).data, expected, rtol=1e-5, atol=1e-7)


def test_padding_of_the_classifier_changes_no_bit():
    model, other = classifier(), IDS.copy()
    other[np.arange(7) >= LENGTHS[:, None]] = 0
    np.testing.assert_array_equal(model(IDS, LENGTHS).data, model(other, LENGTHS).data)
    empty = model(IDS, [4, 0, 2]).data[1]
    np.testing.assert_array_equal(empty, model.output.bias.data)


def test_gradcheck_of_the_models():
    assert gradcheck(classifier(), IDS, LENGTHS, max_elements=7)
    assert gradcheck(seq2seq(), IDS, IDS[:, :3] % 6, LENGTHS, max_elements=7)


def test_seq2seq_decodes_from_the_last_state_of_the_encoder():
    model, target = seq2seq(), IDS[:, :3] % 6
    for row, n in enumerate(LENGTHS):
        one = slice(row, row + 1)
        _, state = model.encoder(model.embedding(IDS[one, :n]))
        expected = model.decoder.read(target[one], state=state)[0]
        found = model(IDS, target, LENGTHS).data[one]
        np.testing.assert_allclose(found, expected.data, rtol=1e-5, atol=1e-6)


def test_steps_equal_teacher_forcing():
    model = seq2seq().astype(np.float64)
    writer, target = model.about(IDS, LENGTHS), IDS[:, :5] % 6
    logits, state = writer.start(target[:, :2], np.array([2, 1, 2]), 9)
    np.testing.assert_allclose(logits[0], model(IDS, target, LENGTHS).data[0, 1], rtol=1e-12)
    np.testing.assert_allclose(logits[1], model(IDS, target, LENGTHS).data[1, 0], rtol=1e-12)
    state = writer.select(state, np.array([2, 0]))
    logits, _ = writer.step(state, target[[2, 0], 2])
    np.testing.assert_allclose(logits, model(IDS, target, LENGTHS).data[[2, 0], 2], rtol=1e-12)


@pytest.mark.parametrize("make", [classifier, seq2seq])
def test_checkpoint_round_trip(tmp_path, make):
    model = make(dropout=0.1)
    checkpoint.save(tmp_path / "model", model)
    loaded = checkpoint.load(tmp_path / "model").model
    assert type(loaded) is type(model)
    assert loaded.to_dict() == model.to_dict()
    arguments = (IDS, IDS % 6) if make is seq2seq else (IDS,)
    np.testing.assert_array_equal(loaded(*arguments).data, model(*arguments).data)


def test_dropout_is_on_in_training_only():
    for model, arguments in ((classifier(dropout=0.4), (IDS,)), (seq2seq(0.4), (IDS, IDS % 6))):
        plain = model(*arguments).data
        np.testing.assert_array_equal(plain, model(*arguments).data)
        with train_mode(np.random.default_rng(0)):
            assert not np.array_equal(plain, model(*arguments).data)


def test_classifier_learns_which_end_is_larger():
    """First against last token: something that no single step can tell."""

    def batches(rng):
        while True:
            lengths = rng.integers(2, 9, 32)
            ids = rng.integers(10, size=(32, 8))
            last = ids[np.arange(32), lengths - 1]
            yield ids, lengths, (ids[:, 0] > last).astype(int)

    model = SequenceClassifier(10, 2, 8, 16, bidirectional=True, rng=np.random.default_rng(0))
    recipes.train_classifier(model, batches(np.random.default_rng(1)), steps=250, lr=0.02)
    ids, lengths, labels = next(batches(np.random.default_rng(2)))
    assert np.mean(model(ids, lengths).data.argmax(1) == labels) > 0.9


def test_seq2seq_learns_to_copy_two_tokens():
    rng = np.random.default_rng(1)

    def batches():
        while True:
            source = rng.integers(4, size=(32, 2))
            bos, eos = np.full((32, 1), 4), np.full((32, 1), 5)
            yield (
                source,
                np.full(32, 2),
                np.concatenate([bos, source], axis=1),
                np.concatenate([source, eos], axis=1),
            )

    model = Seq2Seq(4, 6, 8, 24, rng=np.random.default_rng(0))
    trainer = recipes.train_seq2seq(model, batches(), steps=200, lr=0.02)
    assert trainer.history.steps[-1].loss < 0.05
    source = np.array([[0, 3], [2, 2], [3, 1]])
    assert generate(model.about(source), [[4]] * 3, 5, stop_ids=[5]) == source.tolist()
    best = beam_search(model.about(source), [[4]] * 3, 5, beam_size=2, stop_ids=[5])
    assert [row[0].tokens for row in best] == source.tolist()


def test_windows_carry_the_state_and_stop_the_gradient():
    lm = RecurrentLM(5, 3, 4, rng=np.random.default_rng(0))
    text = np.random.default_rng(1).integers(5, size=41)
    batches = recipes.ConsecutiveWindows(text, length=5, batch_size=2)
    assert len(batches) == 4
    whole = np.stack([text[:20], text[20:40]])
    logits = lm(whole).data
    for repeat in range(2):  # a second pass begins without a memory
        for k, window in enumerate(batches):
            np.testing.assert_array_equal(window.ids, whole[:, 5 * k : 5 * k + 5])
            loss, count = recipes.language_model_loss(lm, window)
            expected = F.cross_entropy(logits[:, 5 * k : 5 * k + 5], window.targets)
            assert count == 10
            assert loss.item() == pytest.approx(expected.item(), rel=1e-5), repeat
            loss.backward()
            assert not any(s.requires_grad for s in window.memory.state)


def test_a_run_resumed_in_the_midst_of_a_pass_goes_on_with_the_same_bits(tmp_path):
    text = np.random.default_rng(1).integers(5, size=81)

    def trainer():
        lm = RecurrentLM(5, 3, 4, num_layers=2, rng=np.random.default_rng(0))
        windows = recipes.ConsecutiveWindows(text, length=5, batch_size=2)  # 8 in a pass
        return Trainer(lm, recipes.language_model_loss, AdamW(lm, 0.1)), windows

    whole, windows = trainer()
    whole.fit(windows, max_steps=12)
    for stop in (3, 8, 11):
        first, windows = trainer()
        first.fit(windows, max_steps=stop)
        first.save(tmp_path / f"{stop}")
        again, windows = trainer()
        again.resume(tmp_path / f"{stop}")
        again.fit(windows, max_steps=12)
        assert again.steps == 12
        for name, value in whole.model.state_dict().items():
            assert again.model.state_dict()[name].tobytes() == value.tobytes(), (stop, name)


def test_the_state_of_windows_of_another_text_is_refused():
    text = np.random.default_rng(1).integers(5, size=81)
    windows = recipes.ConsecutiveWindows(text, length=5, batch_size=2)
    lm = RecurrentLM(5, 3, 4, rng=np.random.default_rng(0))
    loop = iter(windows)
    recipes.language_model_loss(lm, next(loop))
    state = windows.state_dict()
    for changes, message in (
        ({"length": 4}, "taken with length=4, and these have 5"),
        ({"rows": [2, 21]}, r"taken with rows=\[2, 21\]"),
        ({"given": 9}, "from 0 to 8 windows"),
        ({"given": True}, "from 0 to 8 windows"),
        ({"memory": [state["memory"][0]]}, "malformed memory"),
        ({"memory": [{"dtype": "object", "shape": [1], "base64": ""}] * 2}, "malformed memory"),
        ({"memory": [state["memory"][0] | {"shape": [7]}] * 2}, "malformed memory"),
    ):
        with pytest.raises(ValueError, match=f"ConsecutiveWindows: .*{message}"):
            windows.load_state_dict(state | changes)
    # A loop that was left early is not gone on with: the next one begins anew.
    assert next(iter(windows)).ids.tolist() == windows.rows[:, :5].tolist()


def test_recipe_of_the_language_model():
    text = np.tile([0, 1, 2, 0, 3, 1, 1, 4], 40)
    lm = RecurrentLM(5, 8, 16, rng=np.random.default_rng(0))
    held_out = recipes.ConsecutiveWindows(text[:65], 8, 2)
    batches = recipes.ConsecutiveWindows(text, 8, 8)
    trainer = recipes.train_lm(lm, batches, steps=120, validation=held_out, lr=0.03)
    assert trainer.history.evaluations[-1].loss < 0.1
    assert trainer.stopped_by == "steps"


def test_reversed_digits_are_reversed():
    source, lengths, target_in, target_out = reverse.make_batch(np.random.default_rng(0), 50)
    for row, n, before, after in zip(source, lengths, target_in, target_out, strict=True):
        expected = row[:n][::-1].tolist()
        assert before[: n + 1].tolist() == [reverse.BOS, *expected]
        assert after[: n + 1].tolist() == [*expected, reverse.EOS]
        assert (after[n + 1 :] == -1).all()


def test_errors():
    with pytest.raises(ValueError, match="SequenceClassifier: expected num_classes >= 1, got 0"):
        SequenceClassifier(11, 0, 3, 5)
    with pytest.raises(ValueError, match="SequenceClassifier: expected 0 <= dropout < 1, got 1"):
        SequenceClassifier(11, 2, 3, 5, dropout=1)
    with pytest.raises(ValueError, match=r"ids of shape \(B, T\), got \(7,\); write ids\[None\]"):
        classifier()(IDS[0])
    with pytest.raises(ValueError, match="id 11 lies outside"):
        classifier()(IDS * 0 + 11)
    with pytest.raises(ValueError, match="lengths from 0 to T=7, got 4 to 8"):
        classifier()(IDS, [4, 8, 7])
    with pytest.raises(ValueError, match="Seq2Seq: expected vocab_size >= 1, got 0"):
        Seq2Seq(0, 6, 5, 4)
    with pytest.raises(ValueError, match=r"Seq2Seq: expected source of shape \(B, S\), got \(7,\)"):
        seq2seq()(IDS[0], IDS[:1])
    with pytest.raises(ValueError, match="id 10 lies outside"):
        seq2seq()(IDS * 0, IDS * 0 + 10)
    with pytest.raises(ValueError, match="one prompt for each of the 3 sources, got 2"):
        generate(seq2seq().about(IDS), [[1]] * 2, 5)
    with pytest.raises(ValueError, match="at least 101 tokens for 10 rows of windows of 10, got"):
        recipes.ConsecutiveWindows(np.arange(100), 10, 10)
    with pytest.raises(ValueError, match=r"as \(N,\) integers, got float64 of shape \(2, 3\)"):
        recipes.ConsecutiveWindows(np.zeros((2, 3)), 1, 1)
