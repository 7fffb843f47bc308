"""Text reaches the models of the command line as it was written, or normalised by the tokenizer."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from foundation_data import CharTokenizer
from foundation_nn import checkpoint
from foundation_transformer import CausalLM, TransformerConfig

pytest.importorskip("sacrebleu")
from foundation_transformer.cli import _task
from foundation_transformer.cli._main import main
from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._task import make_task

VERSE = "To be, or not to be,\n    that is the question:\n\tWhether 'tis nobler\n\n" * 20


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_a_language_model_sees_line_ends(tokenizer: str, tmp_path: Path) -> None:
    data = tmp_path / "verse.txt"
    data.write_text(VERSE, "utf-8")
    settings = Settings(
        task="language-model", data=str(data), tokenizer=tokenizer, max_len=16, vocab_size=300
    )
    trained = make_task(settings).extras["tokenizer"]
    assert trained.decode(trained.encode(VERSE)) == VERSE


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_a_translator_reads_what_looks_the_same_alike(tokenizer: str, tmp_path: Path) -> None:
    pairs = [(f"one {n} two", f"où {n} ça ?") for n in range(90)]
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), "utf-8")
    settings = Settings(task="translation", data=str(data), tokenizer=tokenizer, vocab_size=400)
    extras = make_task(settings).extras
    for side in (extras["source_tokenizer"], extras["target_tokenizer"]):
        clean = side.encode("one où ça ?")
        for spelling in ("one\u00a0où ça\u202f?", "\ufeffone  ou\u0300 ça ?\n", "one\toù ça ? "):
            assert side.encode(spelling) == clean


def test_scores_in_training_are_those_of_pairs_from_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In many files the shortest sentences come first; these are numbered.
    data = tmp_path / "pairs.tsv"
    data.write_text("".join(f"{n}\tle {n}\n" for n in range(4000)), "utf-8")

    def scored(seed: int) -> list[int]:
        settings = Settings(task="translation", data=str(data), metric="chrf", seed=seed)
        task = make_task(settings)
        seen: list[int] = []

        def translated(_: object, sources: list[str], *__: object) -> list[str]:
            seen.extend(map(int, sources))
            return [f"le {source}" for source in sources]

        monkeypatch.setattr(_task, "translate", translated)
        assert task.metrics["chrf"](None) == pytest.approx(100)
        return seen

    numbers = scored(seed=0)
    assert len(numbers) == len(set(numbers)) == 200
    assert 1700 < np.mean(numbers) < 2300  # of the first 200, it would be about 1000
    assert numbers == scored(seed=0) != scored(seed=1)
    assert "chrf is that of 200 of the 419 held-out pairs" in capsys.readouterr().out


def test_bits_per_byte_count_the_bytes_that_are_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "où\nça\n" * 9
    data = tmp_path / "text.txt"
    data.write_text(text, "utf-8")
    tokenizer = CharTokenizer.train([text])
    config = TransformerConfig.gpt2(
        vocab_size=len(tokenizer), max_len=8, d_model=8, num_heads=2, num_layers=1
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    checkpoint.save(tmp_path / "model", model, tokenizer=tokenizer)
    arguments = ["evaluate", str(tmp_path / "model"), "--data", str(data), "--json"]
    assert main(arguments) == 0
    scores = json.loads(capsys.readouterr().out)
    num_tokens = len(text) - 1  # nothing comes before the first token
    assert scores["tokens"] == num_tokens
    num_bytes = len(text[1:].encode())
    expected = scores["loss"] * num_tokens / math.log(2) / num_bytes
    assert scores["bits_per_byte"] == pytest.approx(expected)
