"""A head learns the labels of a file by commands alone, on a decoder or on an encoder."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import checkpoint
from foundation_nn.training import read_history
from foundation_transformer import (
    CausalLM,
    TextClassifier,
    TextEncoder,
    TransformerConfig,
    save_pretrained,
)
from foundation_transformer.cli import main
from tuning import ends_like, tokenizer_of_bytes, told, write_base, write_lines

OPTIONS = ["--full", "--max-len", "32", "--steps", "48", "--evaluate-every", "16", "--lr", "0.01"]
OPTIONS += ["--batch-size", "16", "--warmup", "4", "--validation", "0.2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["red", "blue", "green", "grey", "black", "white", "pink", "brown", "gold", "teal"]
    records = [
        {"text": f"{start} {word}", "label": label}
        for word in words
        for start, label in (("a cat", "cats"), ("a dog", "dogs"), ("my cat", "cats"))
    ]
    return write_lines(tmp_path_factory.mktemp("data") / "pets.jsonl", records)


def encoder(folder: Path) -> Path:
    tokenizer = tokenizer_of_bytes()
    config = TransformerConfig.bert(
        vocab_size=len(tokenizer), d_model=32, num_heads=4, num_layers=1, max_len=64, pooler=False
    )
    model = TextEncoder(config, rng=np.random.default_rng(0))
    checkpoint.save(folder, model, tokenizer=tokenizer)
    return folder


@pytest.fixture(scope="module", params=["CausalLM", "TextEncoder"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    return write_base(folder) if request.param == "CausalLM" else encoder(folder)


@pytest.fixture(scope="module")
def run(base: Path, data: Path) -> Path:
    out = base.parent / "run"
    assert main(["finetune", str(base), "--data", str(data), *OPTIONS, "--out", str(out)]) == 0
    return out


def test_labels_are_learnt_and_used(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    last = read_history(run / "history.jsonl").evaluations[-1]
    assert last.metrics["accuracy"] > 0.8
    model = checkpoint.load(run / "checkpoint").model
    assert isinstance(model, TextClassifier)
    assert model.labels == ("cats", "dogs")
    assert isinstance(model.body, CausalLM | TextEncoder)
    shown = json.loads((run / "run.json").read_text("utf-8"))["tables"]["Model"]
    assert shown["kind"] == f"TextClassifier on a {type(model.body).__name__}"
    monkeypatch.setattr(sys, "stdin", io.StringIO("a dog red\nmy cat red\n"))
    code, out, err = told(capsys, "classify", run)
    assert (code, err) == (0, "")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["dogs", "cats"]


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(
    run: Path, base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["finetune", str(base), "--data", str(data), *OPTIONS]
    ends_like(run, command, tmp_path / "run", monkeypatch, stop=11, steps=48)


def test_what_does_not_go_together_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "base")
    out = tmp_path / "run"

    def refused(file: Path, *flags: str) -> str:
        code, _, err = told(capsys, "finetune", base, "--data", file, *flags, "--out", out)
        assert code == 1
        assert not (out / "run.json").exists()
        return err

    assert "holds labels, which a head learns together with all weights; write --full" in refused(
        data
    )
    one = write_lines(tmp_path / "one.jsonl", [{"text": "a", "label": "x"}] * 3)
    assert "expected at least two labels, got ['x']" in refused(one, "--full", "--validation", "0")
    two = write_lines(tmp_path / "two.jsonl", [{"text": t, "label": t} for t in "ab"])
    other = write_lines(tmp_path / "other.jsonl", [{"text": "c", "label": "c"}])
    assert "other.jsonl, line 1: the label 'c' is held out" in refused(
        two, "--full", "--held-out", str(other)
    )
    code, shown, _ = told(capsys, "finetune", base, "--data", data, "--full", "--show")
    assert code == 0
    assert shown == "a cat red\n→ cats\n"


def test_published_encoders_are_a_base_too(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tokenizer_of_bytes()
    config = TransformerConfig.bert(
        vocab_size=len(tokenizer), d_model=32, num_heads=4, num_layers=1, max_len=64
    )
    folder = save_pretrained(tmp_path / "bert", TextEncoder(config), tokenizer)
    options = ["--full", "--max-len", "32", "--steps", "1", "--validation", "0"]
    code, out, _ = told(
        capsys, "finetune", folder, "--data", data, *options, "--out", tmp_path / "run"
    )
    assert code == 0
    assert "labels: cats (20), dogs (10)" in out
    assert f"foundation classify {tmp_path / 'run'}" in out
