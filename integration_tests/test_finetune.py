"""A model is tuned by commands alone: from examples to a model in the files of others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_data import split_pairs
from foundation_nn import checkpoint, no_grad
from foundation_nn.distributed import launch
from foundation_nn.training import Sample, checkpoints_of, read_history
from foundation_transformer import CausalLM, load_pretrained
from foundation_transformer.adapters import Lora, load_adapter
from foundation_transformer.cli import main
from foundation_transformer.cli._pretrained import load_run
from foundation_transformer.pretrained._safetensors import read_header
from tuning import TEMPLATE, ends_like, talk, told, write_base, write_colours, write_lines

OPTIONS = [
    "--max-len",
    "64",
    "--lora",
    "2",
    "--steps",
    "24",
    "--evaluate-every",
    "8",
    "--lr",
    "0.05",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def data(base: Path) -> Path:
    return write_colours(base.parent / "colours.jsonl")


@pytest.fixture(scope="module")
def run(base: Path, data: Path) -> Path:
    out = base.parent / "run"
    assert main(["finetune", str(base), "--data", str(data), *OPTIONS, "--out", str(out)]) == 0
    return out


def test_a_run_learns_and_is_a_folder_like_any_other(run: Path, base: Path) -> None:
    assert sorted(p.name for p in run.iterdir()) == [
        "checkpoint",
        "history.jsonl",
        "last",
        "run.json",
    ]
    history = read_history(run / "history.jsonl")
    assert history.steps[-1].loss < history.steps[0].loss / 1.2
    sample = history.evaluations[-1].samples[0]
    assert isinstance(sample, Sample)
    assert sample.expected == sample.given[:2]
    loaded = checkpoint.load(run / "checkpoint")
    assert isinstance(loaded.model, Lora)
    assert loaded.extras["base"].path == str(base.resolve())
    assert (run / "checkpoint" / "model.safetensors").stat().st_size < 40_000
    shown = json.loads((run / "run.json").read_text("utf-8"))
    assert shown["tables"]["Settings"]["lora"] == 2
    assert "columns" not in shown["tables"]["Settings"]


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(
    run: Path, base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["finetune", str(base), "--data", str(data), *OPTIONS]
    ends_like(run, command, tmp_path / "run", monkeypatch, stop=11, steps=24)


def test_what_is_learnt_is_shown(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(tmp_path / "two.jsonl", [talk("Hi", "Ho", "Bye", "So long"), talk("a", "b")])
    code, out, err = told(capsys, "finetune", base, "--data", file, "--show", "--validation", "0")
    assert (code, err) == (0, "")
    assert (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n⟦Ho<|im_end|>⟧\n"
        "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n⟦So long<|im_end|>⟧\n"
    ) in out
    assert "answers found by rendering the messages up to each answer: 2 examples" in out
    assert not (Path.cwd() / "runs" / "two").exists()


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    import io

    stdin, sys.stdin = sys.stdin, io.StringIO("red a\n")
    try:
        code, out, err = told(capsys, "chat", *arguments, "--temperature", "0")
    finally:
        sys.stdin = stdin
    assert code == 0, err
    return out


def test_one_can_talk_with_it_and_merge_and_export_it(
    run: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = answer(capsys, run)
    assert said != answer(capsys, base)
    code, _, err = told(capsys, "merge", run, "--out", tmp_path / "merged")
    assert code == 0, err
    assert answer(capsys, tmp_path / "merged") == said

    ids = np.array([[1, 70, 71, 72, 2]])
    with no_grad():
        expected = load_run(run).model(ids).data
        merged = load_run(tmp_path / "merged").model
        np.testing.assert_allclose(merged(ids).data, expected, atol=1e-6)
    assert told(capsys, "export", run, "--to", "hf", "--out", tmp_path / "hf")[0] == 0
    again = load_pretrained(tmp_path / "hf")
    with no_grad():
        assert again.model(ids).data.tobytes() == expected.tobytes()
    assert again.chat_template is not None
    assert again.chat_template.text() == TEMPLATE
    assert again.stop_ids == load_pretrained(base).stop_ids
    assert answer(capsys, tmp_path / "hf") == said

    assert told(capsys, "export", run, "--to", "peft", "--out", tmp_path / "peft")[0] == 0
    fresh = load_pretrained(base).model
    assert isinstance(fresh, CausalLM)
    load_adapter(tmp_path / "peft", fresh)
    with no_grad():
        np.testing.assert_allclose(fresh(ids).data, expected, atol=1e-6)
    code, _, err = told(capsys, "export", run, "--to", "hf", "--out", tmp_path / "hf")
    assert (code, "exists; choose another place" in err) == (1, True)
    code, _, err = told(capsys, "merge", tmp_path / "merged", "--out", tmp_path / "x")
    assert (code, "holds a whole model" in err) == (1, True)


@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_half_the_bytes_for_transformers(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    code, _, err = told(
        capsys, "export", run, "--to", "hf", "--type", kind, "--out", tmp_path / "a"
    )
    assert code == 0, err
    stored = read_header(tmp_path / "a" / "model.safetensors")
    assert {tensor.kind for tensor in stored.values()} == {kind.upper()}
    ids = np.array([[1, 70, 71, 72, 2]])
    with no_grad():
        error = np.abs(
            load_pretrained(tmp_path / "a").model(ids).data - load_run(run).model(ids).data
        )
    assert 0 < error.max() < {"f16": 0.02, "bf16": 0.2}[kind]


@pytest.mark.parametrize(
    ("to", "kind", "message"),
    [
        ("hf", "q8_0", "--type: --to hf has f32, f16, bf16; q8_0 is for --to gguf"),
        ("peft", "f16", "--type: does nothing with --to peft, which has float32"),
        ("peft", "f32", "--type: does nothing with --to peft, which has float32"),
    ],
)
def test_types_that_files_do_not_have_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, kind: str, message: str
) -> None:
    place = tmp_path / "never"
    code, _, err = told(capsys, "export", run, "--to", to, "--type", kind, "--out", place)
    assert (code, message in err) == (1, True), err
    assert not place.exists()


def test_the_mean_of_the_last_checkpoints_is_a_change_too(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, "average", run, "--out", tmp_path / "mean")
    assert code == 0, err
    assert "one of rank 6" in out
    merged = []
    for place in checkpoints_of(run):
        assert told(capsys, "merge", place, "--out", tmp_path / place.name)[0] == 0
        merged.append(load_run(tmp_path / place.name).model.state_dict())
    found = load_run(tmp_path / "mean").model.state_dict()
    for name, value in found.items():
        expected = sum(each[name] for each in merged) / len(merged)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert answer(capsys, tmp_path / "mean")

    other = write_base(tmp_path / "other", seed=1)
    out_of_other = tmp_path / "run"
    short = ["--max-len", "64", "--lora", "2", "--steps", "1", "--out", str(out_of_other)]
    assert main(["finetune", str(other), "--data", str(data), *short]) == 0
    capsys.readouterr()
    places = checkpoints_of(run)[-1], out_of_other / "checkpoint"
    code, _, err = told(capsys, "average", *places, "--out", tmp_path / "never")
    assert (code, "the changes are for different bases" in err, str(other) in err) == (
        1,
        True,
        True,
    )
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0"])
def test_a_gguf_file_holds_all_of_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    pytest.importorskip("gguf", reason="needs the extra gguf")
    file = tmp_path / "model.gguf"
    code, _, err = told(capsys, "export", run, "--to", "gguf", "--type", kind, "--out", file)
    assert code == 0, err
    ours, again = load_run(run), load_pretrained(file)
    ids = np.array([[1, 70, 71, 72, 2]])
    with no_grad():
        error = np.abs(again.model(ids).data - ours.model(ids).data).max()
    assert error <= {"f32": 1e-6, "f16": 0.02, "bf16": 0.2, "q8_0": 0.2}[kind]
    assert again.chat_template is not None
    assert again.chat_template.text() == TEMPLATE
    assert again.stop_ids == ours.stop_ids
    assert again.tokenizer is not None
    text = "Ça va? <|im_end|> 12"
    assert again.tokenizer.encode(text) == ours.tokenizer.encode(text)  # type: ignore[union-attr]
    assert answer(capsys, file) == answer(capsys, run) or kind in ("bf16", "q8_0")


def test_a_base_that_moved_or_changed_is_refused(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write_base(here)
    out = tmp_path / "run"
    short = ["--max-len", "64", "--lora", "1", "--steps", "1"]
    assert main(["finetune", str(here), "--data", str(data), *short, "--out", str(out)]) == 0
    here.rename(there)
    code, _, err = told(capsys, "generate", out, "red")
    assert (code, "put it back, or say where it is with --base" in err) == (1, True)
    assert told(capsys, "generate", out, "red", "--base", there)[0] == 0
    write_base(here, seed=1)
    code, _, err = told(capsys, "generate", out, "red")
    assert (code, "is not the base that the adapter was made for" in err) == (1, True)
    code, _, err = told(capsys, "resume", out, "--steps", "2")
    assert (code, f"{here}: is not what the run was begun with" in err) == (1, True)
    code, _, err = told(capsys, "generate", there, "red", "--base", base)
    assert (code, "--base: does nothing" in err) == (1, True)


def test_all_weights_can_be_learnt(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--full", "--max-len", "64", "--steps", "6", "--lr", "0.003", "--out", str(out)]
    assert main(["finetune", str(base), "--data", str(data), *options]) == 0
    loaded = checkpoint.load(out / "checkpoint")
    assert isinstance(loaded.model, CausalLM)
    before = load_pretrained(base).model.state_dict()
    assert all((value != before[name]).any() for name, value in loaded.model.state_dict().items())
    assert answer(capsys, out)
    # What was tuned is a base in turn.
    again = tmp_path / "again"
    options = ["--lora", "1", "--max-len", "64", "--steps", "1", "--out", str(again)]
    assert main(["finetune", str(out), "--data", str(data), *options]) == 0
    assert answer(capsys, again)


def test_a_compact_base_learns(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = [*OPTIONS, "--compact", "--out", str(out)]
    assert main(["finetune", str(base), "--data", str(data), *options]) == 0
    steps = read_history(out / "history.jsonl").steps
    assert steps[-1].loss < steps[0].loss / 1.2
    assert answer(capsys, out, "--compact")
    never = ["--compact", "--out", tmp_path / "never"]
    code, _, err = told(capsys, "finetune", out, "--data", data, *never)
    assert (code, "--compact: is for a published model" in err) == (1, True), err


def test_other_kinds_of_examples(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"prompt": f"{n} + 1 =", "completion": f" {n + 1}"} for n in range(9)]
    records += [{"text": f"All of this is learnt, {n}."} for n in range(9)]
    file = write_lines(tmp_path / "mixed.jsonl", records)
    out = tmp_path / "run"
    options = ["--max-len", "64", "--steps", "2", "--out", out]
    code, _, err = told(capsys, "finetune", base, "--data", file, *options)
    assert code == 0, err
    code, shown, _ = told(capsys, "finetune", base, "--data", file, "--show", "--validation", "0")
    assert (code, "0 + 1 =⟦ 1<|im_end|>⟧" in shown) == (0, True)
    assert told(capsys, "generate", out, "3 + 1 =", "--max-new-tokens", 2)[0] == 0


def test_what_was_split_before_is_split_again(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names that ``split_pairs`` leaves for training have hashes of one kind."""
    pairs = [(f"question {n}", "answer") for n in range(200)]
    left, _, held_out = split_pairs(pairs, validation=0.0, test=0.1)
    assert held_out
    file = write_lines(tmp_path / "left.jsonl", [talk(*pair) for pair in left])
    code, out, err = told(capsys, "finetune", base, "--data", file, "--show")
    assert code == 0, err
    counts = re.findall(r": (\d+) read, ", out)
    assert len(counts) == 2
    assert 2 <= int(counts[1]) <= 40


def test_the_report_says_what_was_tuned(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "base, tuned beside it, on colours.jsonl" in page


@pytest.mark.skipif(bool(launch.obstacle(2)), reason="needs MPI for two processes")
def test_two_processes_learn_the_same(base: Path, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "foundation_transformer.cli", "finetune", str(base)]
    options = ["--data", str(data), "--max-len", "64", "--steps", "3", "--lora", "2"]
    for count in ("1", "2"):
        out = ["--out", str(tmp_path / count), "--processes", count]
        subprocess.run([*command, *options, *out], check=True, capture_output=True, timeout=300)
    one, two = (
        [step.loss for step in read_history(tmp_path / count / "history.jsonl").steps]
        for count in ("1", "2")
    )
    np.testing.assert_allclose(one, two, rtol=1e-5)


# --- what a user can get wrong


def refused(capsys: pytest.CaptureFixture[str], base: Path, file: Path, *options: object) -> str:
    out = file.parent / "never"
    code, _, err = told(capsys, "finetune", base, "--data", file, "--out", out, *options)
    assert code == 1
    assert not out.exists()
    return err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"bad.jsonl, line 2: .*not valid JSON"),
        ("[1]", r"line 2: expected a JSON object, got list"),
        (
            {"prompt": "x"},
            r"line 2: expected the field messages, or prompt and completion, or text",
        ),
        ({"text": "x", "prompt": "y", "completion": "z"}, r"line 2: .*one of these alone"),
        ({"text": 3}, r"line 2: text: expected a text, got int"),
        ({"text": "x", "label": "y"}, r"line 2: some examples have a label and some have none"),
        ({"messages": []}, r"line 2: messages: expected a list"),
        (
            {"messages": [{"role": "bot", "content": "x"}]},
            r"line 2: message 1: unknown role 'bot'; expected one of system, developer, user",
        ),
        ({"messages": [{"role": "user", "content": 3}]}, r"line 2: message 1: expected a text"),
        ({"messages": ["x"]}, r"line 2: message 1: expected a JSON object"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: object,
    message: str,
) -> None:
    file = write_lines(tmp_path / "bad.jsonl", [talk("a", "b"), line])
    assert re.search(message, refused(capsys, base, file))


def test_examples_that_cannot_be_learnt_from_are_counted(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [
        talk("a", "b"),
        talk("Hi", "short", "x" * 70, "y" * 70),  # loses its second turn
        talk("x" * 200, "y"),  # longer than the context before the first answer
        talk("q", " \n"),
        talk("question"),
        {"prompt": "x" * 100, "completion": "y"},
        {"prompt": "x", "completion": ""},
    ]
    file = write_lines(tmp_path / "some.jsonl", records)
    options = ["--validation", "0", "--max-len", "96", "--show"]
    code, out, _ = told(capsys, "finetune", base, "--data", file, *options)
    assert code == 0
    assert "7 read, 2 kept, 5 dropped" in out
    assert "1 longer than 96 tokens: cut after an answer" in out
    assert "1 longer than 96 tokens up to the first answer, such as line 3" in out
    assert "1 without an answer, such as line 5: 'question'" in out
    assert "2 empty answer, such as line 4: 'q'" in out
    assert "1 longer than 96 tokens, such as line 6" in out


def test_settings_that_would_do_nothing_are_refused(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, message in (
        (["--full", "--lora", "2"], "--lora: does nothing with full"),
        (["--full", "--compact"], "--compact: does nothing with full"),
        (["--lora", "0"], "--lora: expected at least 1"),
        (["--lora", "65"], "rank 65 is larger than 'q', a matrix of shape (32, 32)"),
        (["--targets", "query"], "unknown target 'query'"),
        (["--date", "today"], "--date: expected YYYY-MM-DD, got 'today'"),
        (["--patience", "2", "--validation", "0"], "--patience: does nothing where nothing is"),
    ):
        out = ["--out", str(tmp_path / "never")]
        code, _, err = told(capsys, "finetune", base, "--data", data, *options, *out)
        assert (code, message in err) == (1, True), err
    for flags in (["--columns", "1,2"], ["--model", "dropout=0.1"], ["--depth", "4"]):
        with pytest.raises(SystemExit):
            main(["finetune", str(base), "--data", str(data), *flags])
        assert flags[0] in capsys.readouterr().err
    code, _, err = told(capsys, "export", base, "--to", "gguf", "--out", tmp_path)
    assert (code, "a folder; --to gguf writes a file" in err) == (1, True), err
    with pytest.raises(SystemExit):
        main(["train", "language-model", "--data", str(data), "--lora", "2"])
    code, _, err = told(capsys, "finetune", tmp_path / "nothing", "--data", data)
    assert (code, "no trained model there" in err or "no such" in err) == (1, True), err


def test_messages_without_a_template_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "base", template=None)
    assert "has no chat template" in refused(capsys, base, data)
