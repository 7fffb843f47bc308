"""Classifiers and encoders that were trained here are used by the commands, like published ones."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_data import CharTokenizer
from foundation_nn import checkpoint, no_grad, training
from foundation_transformer import (
    CausalLM,
    TextClassifier,
    TextEncoder,
    TransformerConfig,
    mean_pool,
    recipes,
)
from foundation_transformer.cli import main

TOKENIZER = CharTokenizer.train(["abcdefghijklmnopqrstuvwxyz "])
SIZES = {
    "vocab_size": len(TOKENIZER),
    "d_model": 16,
    "num_heads": 2,
    "num_layers": 1,
    "max_len": 16,
}


def say(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_classifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    model = TextClassifier(
        CausalLM(TransformerConfig.gpt2(**SIZES), rng=rng), ["cats", "dogs"], rng=rng
    )
    texts = [f"{who} {what}" for who in ("a cat", "a dog") for what in ("ran", "slept", "ate")]
    rows = recipes.padded([TOKENIZER.encode(text) for text in texts])
    data = training.batches(*rows, np.array([0, 0, 0, 1, 1, 1]), batch_size=6)
    recipes.train_classifier(model, data, steps=60, lr=1e-2, rng=rng)
    place = checkpoint.save(tmp_path / "model", model, tokenizer=TOKENIZER)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a dog sat\na cat sat\n"))
    code, out, err = say(capsys, "classify", place)
    assert (code, err) == (0, "")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["dogs", "cats"]
    code, out, _ = say(capsys, "inspect", place)
    assert code == 0
    assert "TextClassifier" in out


def test_an_encoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TextEncoder(TransformerConfig.bert(**SIZES), rng=np.random.default_rng(0))
    place = checkpoint.save(tmp_path / "model", model, tokenizer=TOKENIZER)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a cat\n"))
    code, out, err = say(capsys, "embed", place)
    assert (code, err) == (0, "")
    with no_grad():
        vector = mean_pool(model(np.array([TOKENIZER.encode("a cat")]))).data[0]
    found = np.array(out.replace("[", " ").replace("]", " ").replace(",", " ").split(), float)
    np.testing.assert_allclose(found, vector, atol=1e-4)


def test_what_is_no_classifier_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TextEncoder(TransformerConfig.bert(**SIZES))
    monkeypatch.setattr(sys, "stdin", io.StringIO("a cat\n"))
    place = checkpoint.save(tmp_path / "model", model, tokenizer=TOKENIZER)
    code, _, err = say(capsys, "classify", place)
    assert code == 1
    assert "holds a text encoder" in err
    bare = checkpoint.save(tmp_path / "bare", model)
    code, _, err = say(capsys, "embed", bare)
    assert code == 1
    assert "no tokenizer beside the weights" in err
