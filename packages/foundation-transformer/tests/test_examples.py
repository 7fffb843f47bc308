"""The examples: what they promise holds."""

import re

import numpy as np
import pytest
from foundation_nn import Tensor, no_grad
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.examples import copy_task, one_page, pipeline, shakespeare, translate
from foundation_transformer.examples._pairs import BOS, EOS, FIRST, PAD, PairBatch, PairBatches


def test_a_batch_of_pairs_by_hand():
    batch = PairBatch.of([([5, 6], [7]), ([8], [])])
    np.testing.assert_array_equal(batch.source, [[5, 6, EOS], [8, EOS, PAD]])
    np.testing.assert_array_equal(batch.target_in, [[BOS, 7], [BOS, PAD]])
    np.testing.assert_array_equal(batch.target_out, [[7, EOS], [EOS, PAD]])
    np.testing.assert_array_equal(batch.source_mask, [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(batch.target_mask, [[1, 1], [1, 0]])
    assert batch.num_tokens == 3


def test_every_pair_is_in_one_batch():
    pairs = [([FIRST + i] * (i % 3 + 1), [i]) for i in range(10)]
    batches = PairBatches(pairs, 4, np.random.default_rng(0))
    epochs = [[int(i) for b in batches for i in b.target_out[:, 0]] for _ in range(3)]
    assert len(batches) == 3
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


# --- a GPT on one page


def test_the_page_is_the_model(rng):
    """The same scores and gradients as CausalLM's, from the same weights; arrays and tensors."""
    config = TransformerConfig.gpt2(
        vocab_size=13, max_len=11, d_model=20, num_heads=5, num_layers=3, dropout=0.0
    )
    model = CausalLM(config, rng=rng)
    for p in model.parameters():  # no bias is zero, and no norm does nothing
        p.data = p.data + 0.1 * rng.standard_normal(p.shape).astype(np.float32)
    model.astype(np.float64)
    ids = rng.integers(0, 13, (2, 7))
    arrays = {name: array for name, array in model.state_dict().items() if name != "output.weight"}
    scores = one_page.gpt(ids, arrays, 5)
    assert type(scores) is np.ndarray
    logits = model(ids)
    np.testing.assert_allclose(scores, logits.data, rtol=0, atol=1e-10)

    (logits * np.cos(np.arange(13))).sum().backward()
    tensors = {name: Tensor(array, requires_grad=True) for name, array in arrays.items()}
    (one_page.gpt(ids, tensors, 5) * np.cos(np.arange(13))).sum().backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(tensors[name].grad, p.grad, rtol=0, atol=1e-9, err_msg=name)


def test_the_page_learns_and_writes(rng):
    text = np.tile([0, 1, 2, 3, 4], 40)
    weights = one_page.random_weights(rng, vocab_size=5, max_len=8, d_model=16, num_layers=1)
    assert weights.keys() == {
        name
        for name in CausalLM(
            TransformerConfig.gpt2(vocab_size=5, max_len=8, d_model=16, num_heads=2, num_layers=1)
        ).state_dict()
        if name != "output.weight"
    }
    losses = one_page.train(text, weights, 2, 100, rng)
    assert losses[0] == pytest.approx(np.log(5), abs=0.1)
    assert losses[-1] < 0.1
    assert one_page.write([3], weights, 2, 12, rng) == [3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]


# --- copying


@pytest.mark.parametrize(
    ("task", "target"), [("copy", [5, 3, 4]), ("reverse", [4, 3, 5]), ("sort", [3, 4, 5])]
)
def test_tasks(task, target):
    assert copy_task.TASKS[task]([5, 3, 4]) == target
    pairs = copy_task.strings(task, 50, np.random.default_rng(0))
    assert len({tuple(source) for source, _ in pairs}) == 50
    assert all(copy_task.TASKS[task](source) == list(target) for source, target in pairs)


def test_copying_is_learned():
    _, perplexity, exact, unseen = copy_task.train("copy", seed=0, epochs=2)
    assert len(unseen) == 1000
    assert perplexity < 1.07
    assert exact > 0.9


def test_copying_marks_its_answers_and_draws(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(copy_task, "SEEN", 1500)
    options = ["--quick", "--task", "sort", "--seed", "3", "--out", str(tmp_path)]
    assert copy_task.main(options) == 0
    said = capsys.readouterr().out
    answers = re.findall(r"\n  (\d+)\n    = (\d*)(?:\n    ≠ (\d+))?", said)
    assert len(answers) == 5
    assert all((right or answer) == "".join(sorted(word)) for word, answer, right in answers)
    assert [path.name for path in tmp_path.iterdir()] == ["sort_attention.png"]


# --- numbers


@pytest.mark.parametrize(
    ("number", "words", "mots"),
    [
        (0, "zero", "zéro"),
        (17, "seventeen", "dix sept"),
        (21, "twenty one", "vingt et un"),
        (70, "seventy", "soixante dix"),
        (71, "seventy one", "soixante et onze"),
        (80, "eighty", "quatre vingts"),
        (81, "eighty one", "quatre vingt un"),
        (97, "ninety seven", "quatre vingt dix sept"),
        (100, "one hundred", "cent"),
        (101, "one hundred one", "cent un"),
        (200, "two hundred", "deux cents"),
        (280, "two hundred eighty", "deux cent quatre vingts"),
        (1000, "one thousand", "mille"),
        (2016, "two thousand sixteen", "deux mille seize"),
        (
            9999,
            "nine thousand nine hundred ninety nine",
            "neuf mille neuf cent quatre vingt dix neuf",
        ),
    ],
)
def test_numbers_in_words(number, words, mots):
    assert " ".join(translate.english(number)) == words
    assert " ".join(translate.french(number)) == mots


def test_no_two_numbers_are_called_alike():
    for language in (translate.english, translate.french):
        assert len({tuple(language(n)) for n in range(10_000)}) == 10_000


def test_numbers_are_translated_marked_and_drawn(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    train = translate.train
    monkeypatch.setattr(translate, "train", lambda seed, epochs: train(seed, epochs, 1000))
    assert translate.main(["--epochs", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    answers = re.findall(r"\n  ([a-z ]+)\n    = (.*)(?:\n    ≠ (.*))?", said)
    assert len(answers) == 5
    of_words = {" ".join(translate.english(n)): " ".join(translate.french(n)) for n in range(1000)}
    assert all((right or answer) == of_words[text] for text, answer, right in answers)
    assert re.search(r"Translated greedily: \d+ of 100 unseen numbers are right", said)
    assert [path.name for path in tmp_path.iterdir()] == ["translate_attention.png"]


def test_numbers_begin_to_be_learnt():
    trainer, _, _, _ = translate.train(seed=0, epochs=2, numbers=2000)
    losses = [step.loss for step in trainer.history.steps]
    assert np.mean(losses[-5:]) < 0.6 * losses[0]


def test_words_become_ids_and_back():
    words = translate.Words([["b", "a"], ["a", "c"]])
    assert words.encode("c a", add_bos=True, add_eos=True) == [BOS, FIRST + 2, FIRST, EOS]
    assert words.decode([BOS, FIRST + 2, FIRST, EOS]) == "c a"


# --- a text


def test_a_text_as_ids():
    characters = shakespeare.Characters.of("abcab" * 400)
    assert characters.alphabet == "abc"
    assert characters.decode(characters.train[:7]) == "abcabab"
    assert len(characters.train) == 1800
    assert len(characters.held_out) == 200
    with pytest.raises(ValueError, match="at least 1280 characters, got 5"):
        shakespeare.Characters.of("abcab")


def test_a_file_is_learned_and_written_about(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "text.txt"
    file.write_text("to be or not to be, that is the question\n" * 60, encoding="utf-8")
    assert shakespeare.main([str(file), "--steps", "30", "--out", str(tmp_path / "new")]) == 0
    (loss,) = re.findall(r"(\d\.\d+) nats a character", capsys.readouterr().out)
    assert float(loss) < 2.6  # guessing among sixteen: 2.77
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"shakespeare_loss.png", "shakespeare_characters.png"}


def test_files_that_are_no_text(tmp_path, capsys):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe" * 2000)
    for arguments in ([str(tmp_path / "none")], [str(tmp_path / "bytes")]):
        with pytest.raises(SystemExit, match="2"):
            shakespeare.main(arguments)
        assert "cannot be read as a text in UTF-8" in capsys.readouterr().err


# --- the pipeline


def test_sentences_end_with_who_acted():
    for seed in range(20):
        words = pipeline.sentence(np.random.default_rng(seed))
        assert len(words) == pipeline.T
        assert words[1] == words[-2]
        assert len({words[1], words[4], words[7]}) == 3


def test_a_layer_by_hand_is_the_layer(capsys):
    model = pipeline.train(seed=0, steps=1).astype(np.float64)
    x = Tensor(np.random.default_rng(0).standard_normal((1, 7, 32)))
    with no_grad():
        by_hand = pipeline.one_layer(model, x).data
        expected = model.stack.layers[0](x, causal=True).data
    np.testing.assert_allclose(by_hand, expected, rtol=1e-12)
    assert "(1, 4, 7, 7)" in capsys.readouterr().out


def test_the_pipeline_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert pipeline.main(["--quick", "--out", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"positions.png", "pipeline_attention.png", "words.png", "schedule.png"}
    said = capsys.readouterr().out
    (likeliest,) = re.findall(r"After the last: (\w+)", said)
    assert likeliest in pipeline.NOUNS  # a hundred steps teach what stands behind "the"
    assert re.search(r" …\n    = \w+ \S+\n", said)
