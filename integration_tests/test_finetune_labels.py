"""A head learns the labels of a file by commands alone, on a decoder or on an encoder."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import checkpoint, no_grad
from foundation_nn.training import read_history
from foundation_transformer import (
    CausalLM,
    TextClassifier,
    TextEncoder,
    TransformerConfig,
    load_pretrained,
    save_pretrained,
)
from foundation_transformer.adapters import Lora
from foundation_transformer.cli import main
from foundation_transformer.cli._pretrained import load_run
from tuning import ends_like, tokenizer_of_bytes, told, write_base, write_lines

OPTIONS = ["--max-len", "32", "--steps", "48", "--evaluate-every", "16", "--lr", "0.01"]
OPTIONS += ["--batch-size", "16", "--warmup", "4", "--validation", "0.2"]
#: What is learnt, with the options that make the other choices.
WAYS = {"all": ["--full"], "change": ["--lora", "4", "--lr", "0.03"]}


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


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def command(base: Path, data: Path, way: str) -> list[str]:
    return ["finetune", str(base), "--data", str(data), *OPTIONS, *WAYS[way]]


@pytest.fixture(scope="module")
def run(base: Path, way: str, command: list[str]) -> Path:
    out = base.parent / way
    assert main([*command, "--out", str(out)]) == 0
    return out


def classified(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO("a dog red\nmy cat red\n"))
    code, out, err = told(capsys, "classify", *arguments)
    assert (code, err) == (0, "")
    return out


def test_labels_are_learnt_and_used(
    run: Path,
    way: str,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = read_history(run / "history.jsonl").evaluations[-1]
    assert last.metrics["accuracy"] > 0.8
    saved = checkpoint.load(run / "checkpoint")
    model = load_run(run).model
    assert isinstance(model, TextClassifier)
    assert isinstance(saved.model, Lora if way == "change" else TextClassifier)
    assert ("base" in saved.extras) == (way == "change")
    assert model.labels == ("cats", "dogs")
    assert isinstance(model.body, CausalLM | TextEncoder)
    shown = json.loads((run / "run.json").read_text("utf-8"))["tables"]["Model"]
    assert shown["kind"] == f"TextClassifier on a {type(model.body).__name__}"
    out = classified(capsys, monkeypatch, run)
    assert [line.split("\t")[0] for line in out.splitlines()] == ["dogs", "cats"]
    code, out, err = told(capsys, "evaluate", run, "--data", data, "--json")
    assert (code, err) == (0, "")
    scores = json.loads(out)
    assert scores["texts"] == 30
    assert scores["accuracy"] > 0.9
    assert scores["commonest_label"] == pytest.approx(2 / 3)
    right = 20 * scores["found: cats"] + 10 * scores["found: dogs"]
    assert scores["accuracy"] == pytest.approx(right / 30)
    assert told(capsys, "report", run, "--out", run.parent / "page.html")[0] == 0
    assert told(capsys, "inspect", run)[0] == 0


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(
    run: Path, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_like(run, command, tmp_path / "run", monkeypatch, stop=11, steps=48)


def test_a_change_with_its_head_is_put_into_one_piece(
    base: Path,
    run: Path,
    way: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, _, err = told(capsys, "merge", run, "--out", tmp_path / "merged")
    if way == "all":
        assert (code, "it is in one piece already" in err) == (1, True)
        return
    assert code == 0
    said = classified(capsys, monkeypatch, run)
    base.rename(tmp_path / "moved")
    try:
        assert classified(capsys, monkeypatch, tmp_path / "merged") == said
        code, _, err = told(capsys, "classify", run)
        assert (code, "or say where it is with --base" in err) == (1, True)
        assert classified(capsys, monkeypatch, run, "--base", tmp_path / "moved") == said
    finally:
        (tmp_path / "moved").rename(base)
    merged = load_run(tmp_path / "merged").model
    assert isinstance(merged, TextClassifier)
    assert merged.body.num_parameters(trainable=True) > 0
    code, out, err = told(capsys, "average", run, "--out", tmp_path / "mean")
    assert (code, "one of rank 12" in out) == (0, True), err
    assert classified(capsys, monkeypatch, tmp_path / "mean")
    code, _, err = told(capsys, "export", run, "--to", "peft", "--out", tmp_path / "peft")
    assert (code, "has learnt a head with its change" in err) == (1, True)
    assert not (tmp_path / "peft").exists()


def test_a_base_of_one_byte_a_weight_learns_labels(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "base")
    options = [*OPTIONS, *WAYS["change"], "--compact", "--out", str(tmp_path / "run")]
    assert main(["finetune", str(base), "--data", str(data), *options]) == 0
    capsys.readouterr()
    code, out, _ = told(capsys, "evaluate", tmp_path / "run", "--data", data, "--json")
    assert (code, json.loads(out)["accuracy"] > 0.8) == (0, True)


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

    assert "rank 33 is larger than 'q', a matrix of shape (32, 32)" in refused(data, "--lora", "33")
    assert "the layers of this model have no qkw" not in refused(data, "--targets", "qkw")
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

    assert (
        main(["finetune", str(base), "--data", str(data), *OPTIONS[:3], "1", "--out", str(out)])
        == 0
    )
    code, _, err = told(capsys, "evaluate", out, "--data", other)
    assert (code, "other.jsonl, line 1: the label 'c' is none that the model" in err) == (1, True)
    text = write_lines(tmp_path / "text.jsonl", [{"text": "a"}])
    code, _, err = told(capsys, "evaluate", out, "--data", text)
    assert (code, "expected a text and its label in each line" in err) == (1, True)
    code, _, err = told(capsys, "evaluate", out, "--data", data, "--stride", "3")
    assert (code, "--stride: does nothing for a classifier" in err) == (1, True)


def test_published_encoders_are_a_base_too(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = tokenizer_of_bytes()
    config = TransformerConfig.bert(
        vocab_size=len(tokenizer), d_model=32, num_heads=4, num_layers=1, max_len=64
    )
    folder = save_pretrained(tmp_path / "bert", TextEncoder(config), tokenizer)
    options = ["--max-len", "32", "--steps", "1", "--validation", "0"]
    code, out, _ = told(
        capsys, "finetune", folder, "--data", data, *options, "--out", tmp_path / "run"
    )
    assert code == 0
    assert "labels: cats (20), dogs (10)" in out
    assert f"foundation classify {tmp_path / 'run'}" in out
    assert "A change of rank 8 in 4 matrices, and a head for 2 labels" in out
    # transformers has classifiers that read BERT's pooler.
    for arguments in (["merge", tmp_path / "run"], ["export", tmp_path / "run", "--to", "hf"]):
        assert told(capsys, *arguments, "--out", tmp_path / str(arguments[0]))[0] == 0
    model = load_pretrained(tmp_path / "export").model
    assert isinstance(model, TextClassifier)
    expected = load_run(tmp_path / "run").model
    ids = np.array([[5, 9, 11]])
    with no_grad():
        np.testing.assert_array_equal(model(ids).data, expected(ids).data)
