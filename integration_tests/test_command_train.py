"""From one's own file to a translator or a writer, by commands alone."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from foundation_nn import checkpoint
from foundation_nn.training import FailedStep, Progress, Sample, checkpoints_of, read_history
from foundation_transformer import CausalLM, Transformer
from foundation_transformer.cli import main
from foundation_transformer.cli._settings import Settings
from pages import page_data
from test_demo import write_pairs

SMALL = ["--model", "d_model=16", "--model", "num_layers=1", "--batch-size", "16"]


def run_main(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data") / "numbers.tsv")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    """A finished run of translation."""
    out = data.parent / "run"
    options = ["--epochs", "2", "--ema", "0.5", "--accumulate", "2", "--out", str(out)]
    assert main(["train", "translation", "--data", str(data), *SMALL, *options]) == 0
    return out


@pytest.fixture(scope="module")
def writer(data: Path) -> Path:
    """A finished run of a language model."""
    text = data.parent / "text.txt"
    text.write_text("one and two makes three.\n" * 40, "utf-8")
    out = data.parent / "writer"
    options = ["--steps", "12", "--max-len", "16", "--out", str(out)]
    assert main(["train", "language-model", "--data", str(text), *SMALL, *options]) == 0
    return out


def test_a_run_is_a_folder_one_can_look_into(run: Path, data: Path) -> None:
    names = sorted(p.name for p in run.iterdir())
    assert names == ["checkpoint", "history.jsonl", "last", "run.json"]
    history = read_history(run / "history.jsonl")
    assert len(history.evaluations) == 2
    for sample in (sample for e in history.evaluations for sample in e.samples):
        assert isinstance(sample, Sample)
        assert f"{sample.given}\t{sample.expected}\n" in data.read_text("utf-8")
    loaded = checkpoint.load(run / "checkpoint")
    assert isinstance(loaded.model, Transformer)
    assert loaded.model.config.d_model == 16


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "history.jsonl"
    }


def test_a_run_that_is_stopped_and_resumed_is_the_same(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = read_history(run / "history.jsonl").steps
    original = Progress.on_step

    def stopping(self: Progress, trainer: object, step: object) -> None:
        original(self, trainer, step)  # type: ignore[arg-type]
        if step.step == 4:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGTERM)

    out = tmp_path / "run"
    options = ["--epochs", "2", "--ema", "0.5", "--accumulate", "2", "--out", str(out)]
    monkeypatch.setattr(Progress, "on_step", stopping)
    assert main(["train", "translation", "--data", str(data), *SMALL, *options]) == 130
    assert [p.name for p in checkpoints_of(out)][-1] == "step_000004"
    monkeypatch.undo()
    assert main(["resume", str(out)]) == 0
    ours, theirs = contents(out), contents(run)
    last = f"last/step_{len(steps):06}/"
    for name, content in theirs.items():
        if name.startswith((last, "checkpoint/")):
            assert ours[name] == content, name
    again = read_history(out / "history.jsonl").steps
    assert [s.loss for s in again] == [s.loss for s in steps]


def test_a_killed_run_is_resumed(data: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "foundation_transformer.cli", "train", "translation"]
    options = ["--epochs", "2", "--ema", "0.5", "--accumulate", "2", "--out", str(out)]
    with subprocess.Popen(
        [*command, "--data", str(data), *SMALL, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not (out / "run.json").exists():
            time.sleep(0.01)
        process.kill()
    assert main(["resume", str(out)]) == 0
    assert contents(out)["checkpoint/model.safetensors"] == (
        (run / "checkpoint" / "model.safetensors").read_bytes()
    )


OWNER = """
import sys
from foundation_nn.training import own_folder
with own_folder(sys.argv[1]):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("command", ["train", "resume"])
def test_a_run_on_which_another_process_is_at_work_is_left_alone(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    out = tmp_path / "run"
    if command == "resume":
        shutil.copytree(run, out)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        before = contents(out)
        arguments = ["train", "translation", "--data", data, *SMALL, "--out", out]
        code, _, err = run_main(capsys, *(arguments if command == "train" else ["resume", out]))
        assert code == 1
        assert f"another process is at work there (process {other.pid} on" in err
        assert contents(out) == before
        other.communicate("")


def test_settings_are_written_whole_or_not_at_all(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "run"
    arguments = ["train", "translation", "--data", data, *SMALL, "--epochs", "1", "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr("foundation_nn.files._write.sync_file", full)
        code, _, err = run_main(capsys, *arguments)
    assert code == 1
    assert "No space left on device" in err
    assert "run.json" in err
    assert not out.exists()
    code, _, _ = run_main(capsys, *arguments)
    assert code == 0
    assert not list(out.rglob(".*"))


def test_a_file_whose_name_is_no_text_is_trained_on_and_resumed(data: Path, tmp_path: Path) -> None:
    strange = tmp_path / "n\udcffmbers.tsv"
    try:
        shutil.copy(data, strange)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    command = [sys.executable, "-m", "foundation_transformer.cli"]
    options = ["--epochs", "1", "--out", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    for arguments in (
        ["train", "translation", "--data", str(strange), *SMALL, *options],
        ["resume", str(tmp_path / "run")],
    ):
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "\\udcff" in (tmp_path / "run" / "run.json").read_text("utf-8")


def test_lines_are_translated_alone_and_in_batches(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "one and two .\n\nnine and three .\nsix and six .\n"
    outputs = []
    for options in ([], ["--batch-size", "3"], ["--beam-size", "2", "--n-best", "2"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        code, out, _ = run_main(capsys, "translate", run, *options)
        assert code == 0
        outputs.append(out)
    assert outputs[0] == outputs[1]
    assert outputs[0].split("\n")[1] == ""
    rows = [line.split("\t") for line in outputs[2].splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "3", "4", "4"]
    assert float(rows[0][1]) >= float(rows[1][1])
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n" + "two " * 99 + "\n\nsix\n"))
    code, out, err = run_main(capsys, "translate", run, "--batch-size", 9)
    first, *empty, last, _ = out.split("\n")
    assert (code, empty) == (1, ["", ""])
    assert first
    assert last
    assert "standard input, line 2: has 100 tokens, the model reads 64" in err
    assert err.count("\n") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
    code, _, err = run_main(capsys, "translate", run, "--n-best", 3)
    assert code == 1
    assert "--n-best 3 needs a beam as wide: --beam-size 3" in err


def test_looking_at_a_run(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run_main(capsys, "report", run, "--out", tmp_path / "r.html")
    assert code == 0
    report = (tmp_path / "r.html").read_text("utf-8")
    assert report.count("<svg") == 3
    title = "Transformer with 1 + 1 layers of width 16, on numbers.tsv"
    assert re.search(rf"<title>{re.escape(title)}: best held-out loss \d\.\d+, at step", report)
    assert "nats per token" in report
    rows = dict(re.findall("<th>(.*?)</th><td>(.*?)</td>", report))
    # Everything with the value that it came to, and nothing that has no effect in this run.
    assert not {"None", "none", "null"} & set(rows.values())
    steps = len(read_history(run / "history.jsonl").steps)
    assert rows["steps"] == str(steps)
    assert rows["warmup"] == f"{steps // 10} steps"
    assert rows["evaluate_every"] == "each epoch"
    assert (rows["tokenizer"], rows["label_smoothing"]) == ("word", "0.1")
    assert (rows["num_kv_heads"], rows["d_ff"]) == ("4", "64")
    assert "rotary_base" not in rows
    assert "pooler" not in rows
    code, out, _ = run_main(capsys, "inspect", run)
    assert code == 0
    assert "WordTokenizer of" in out
    assert "encoder.layers.0.self_attn.in_proj_weight" in out
    code, out, _ = run_main(capsys, "evaluate", run, "--data", data, "--json")
    scores = json.loads(out)
    assert code == 0
    assert scores["sentences"] == 100
    assert 0 <= scores["bleu"] <= 100
    page = tmp_path / "a.html"
    code, _, err = run_main(capsys, "attention", run, "", "--out", page)
    assert code == 1
    assert "nothing to look at; give a sentence" in err
    code, out, _ = run_main(capsys, "attention", run, "one and two .", "--out", page)
    assert code == 0
    layers = page_data(page)
    names = [layer["name"] for layer in layers]
    assert names[0] == "encoder layer 1, self-attention"
    assert names[-1] == f"decoder layer {len(names) // 3}, attention to the source"
    # A row of the decoder reads a token; in the source it looks for what it writes next.
    *_, reads, writes = (layer["queries"] for layer in layers)
    assert reads[1:] == writes[:-1]
    assert reads[0] == "<bos>"
    mine = tmp_path / "run"
    shutil.copytree(run, mine)
    code, out, _ = run_main(capsys, "attention", mine, "one and two .")
    assert (code, out) == (0, f"{mine / 'attention.html'}\n")
    code, out, _ = run_main(capsys, "report", mine)
    assert (code, out) == (0, f"{mine / 'report.html'}\n")


def test_the_average_of_a_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run_main(capsys, "average", run, "--out", tmp_path / "mean")
    assert code == 0
    states = [checkpoint.load(p).model.state_dict() for p in checkpoints_of(run)]
    mean = checkpoint.load(tmp_path / "mean")
    assert sorted(mean.extras) == ["source_tokenizer", "target_tokenizer"]
    for name, value in mean.model.state_dict().items():
        expected = sum(state[name].astype(float) for state in states) / len(states)
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)


def test_a_language_model_writes_and_is_measured(
    writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(checkpoint.load(writer / "checkpoint").model, CausalLM)
    texts = [
        run_main(capsys, "generate", writer, "one and", "--max-new-tokens", 6, "--seed", 3)[1]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[0].startswith("one and")
    assert len(texts[0]) > len("one and\n")
    code, out, _ = run_main(capsys, "evaluate", writer, "--data", writer.parent / "text.txt")
    assert code == 0
    assert "perplexity" in out
    code, _, _ = run_main(capsys, "report", writer)
    assert code == 0
    report = (writer / "report.html").read_text("utf-8")
    assert "<title>CausalLM with 1 layer of width 16, on text.txt: best held-out loss" in report
    rows = dict(re.findall("<th>(.*?)</th><td>(.*?)</td>", report))
    assert (rows["steps"], rows["tokenizer"]) == ("12", "char")
    assert not {"epochs", "label_smoothing", "columns", "num_decoder_layers"} & rows.keys()
    assert rows["expected"]
    code, _, _ = run_main(capsys, "attention", writer, "one and", "--out", tmp_path / "a.html")
    assert code == 0
    # Beyond the 16 tokens that it reads at once, it goes on.
    prompt = "one and " * 5
    options = ["--max-new-tokens", 50, "--temperature", 0]
    code, out, _ = run_main(capsys, "generate", writer, prompt, *options)
    assert code == 0
    assert out.startswith(prompt)
    assert len(out) == len(prompt) + 50 + 1


def test_a_language_model_is_resumed(writer: Path, tmp_path: Path) -> None:
    out = tmp_path / "writer"
    shutil.copytree(writer, out)
    newest = checkpoints_of(out)
    for place in newest[1:]:
        shutil.rmtree(place)
    assert main(["resume", str(out)]) == 0
    name = f"last/{newest[-1].name}/"
    for path, content in contents(writer).items():
        if path.startswith(name):
            assert contents(out)[path] == content


def test_a_failed_step_is_replayed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from foundation_data import TranslationDataset

    model = checkpoint.load(run / "checkpoint").model
    state = {name: np.full_like(value, np.nan) for name, value in model.state_dict().items()}
    batch = TranslationDataset.from_ids([([5], [6])]).batch([0])
    rng = np.random.default_rng(0).bit_generator.state
    place = FailedStep(7, 0.1, "step 7: …", batch, state, rng, model).save(tmp_path / "failed")
    code, out, err = run_main(capsys, "replay", place)
    assert (code, err) == (0, "")
    assert "replay:  forward of embedding in layer source_embedding" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "translatoin"], "did you mean 'translation'?"),
        (["train", "translation"], "there is nothing to train on; give it with --data FILE"),
        (["train", "translation", "--data", "nix.tsv"], "nix.tsv: no such file"),
        (["train", "nix.toml"], "nix.toml: no such file"),
        (
            ["train", "language-model", "--data", "x", "--metric", "bleu"],
            "metric: does nothing for",
        ),
        (
            ["train", "translation", "--data", "x", "--lr", "0.1", "--keep", "0"],
            "--keep: expected at least 1, got 0",
        ),
        (["train", "translation", "--data", "x", "--model", "d_model"], "expected NAME=VALUE"),
        (
            ["train", "translation", "--data", "x", "--validation", "2"],
            "--validation: expected a number from 0 to less than 1, got 2.0",
        ),
        (
            ["train", "translation", "--data", "x", "--lr", "0"],
            "--lr: expected more than 0, got 0.0",
        ),
        (
            ["train", "translation", "--data", "x", "--epochs", "0"],
            "--epochs: expected at least 1, got 0",
        ),
        (["train", "language-model", "--data", "x", "--epochs", "3"], "give steps instead"),
        (["train", "language-model", "--data", "x", "--columns", "1,2"], "--columns: does nothing"),
        (["train", "language-model", "--data", "x", "--label-smoothing", "0"], "does nothing"),
        (["train", "translation", "--data", "x", "--epochs", "3", "--steps", "5"], "one of them"),
        (
            ["train", "translation", "--data", "x", "--validation", "0", "--patience", "5"],
            "patience: does nothing where nothing is held out",
        ),
        (["resume", "nowhere"], "no run there; begin one with: foundation train --help"),
        (["report", "nowhere"], "nowhere: no trained model there"),
        (["average", "nowhere", "--out", "x"], "nowhere: no checkpoints there"),
        (["inspect", "nowhere"], "nowhere: no trained model there"),
        (["replay", "nowhere"], "nowhere: no such failed_step folder"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run_main(capsys, *arguments)
    assert code == 1
    assert message in err
    assert err.startswith(f"foundation {arguments[0]}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'task="translation"\ndata="x"\nepoch=3',
            "setting 'epoch'; did you mean 'epochs'?",
        ),
        ('task="translate"\ndata="x"', "task: unknown 'translate'; did you mean 'translation'?"),
        ('task="translation"\ndata="x"\nlr="high"', "lr: expected a number, got 'high'"),
        ('task="translation"\ndata="x"\nepochs=true', "epochs: expected a whole number, got True"),
        ('task="translation"', "there is nothing to train on"),
        ('data="x"', "the setting 'task' is missing"),
        ("task=", "not valid TOML"),
    ],
)
def test_mistakes_in_a_file_are_told_with_its_name(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text(text)
    code, _, err = run_main(capsys, "train", tmp_path / "run.toml")
    assert code == 1
    assert message in err
    assert "run.toml: " in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translte"], "did you mean 'translate'?"),
        (["train", "translation", "--epocs", "3"], "did you mean '--epochs'?"),
        (["train", "translation", "--epoch", "3"], "did you mean '--epochs'?"),
        (
            ["train", "translation", "--epochs", "many"],
            "--epochs: expected a whole number, got 'many'",
        ),
    ],
)
def test_unknown_arguments_come_with_the_nearest(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_is_not_overwritten(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(run)
    code, _, err = run_main(capsys, "train", "translation", "--data", data, "--out", run)
    assert code == 1
    assert f"go on with it by foundation resume {run}" in err
    assert contents(run) == before


def test_a_file_and_flags_go_together(tmp_path: Path) -> None:
    from foundation_transformer.cli._arguments import make_parser
    from foundation_transformer.cli._settings import settings_of

    file = tmp_path / "run.toml"
    file.write_text(
        'task = "translation"\ndata = "a.tsv"\nlr = 1\nepochs = 3\n[model]\nd_model = 8\n', "utf-8"
    )
    flags = ["--epochs", "5", "--model", "norm=rms", "--model", "num_heads=2", "--skip-failed"]
    settings = settings_of(make_parser().parse_args(["train", str(file), *flags]))
    assert (settings.epochs, settings.lr, settings.skip_failed) == (5, 1, True)
    assert settings.model == {"d_model": 8, "norm": "rms", "num_heads": 2}
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_a_damaged_checkpoint_is_not_resumed_but_an_older_one_is(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    older, newest = checkpoints_of(out)[-2:]
    with (newest / "optimizer.safetensors").open("r+b") as file:
        file.truncate(100)
    code, _, err = run_main(capsys, "resume", out)
    assert code == 1
    assert "optimizer.safetensors: truncated or altered" in err
    assert main(["resume", str(out), "--from", str(older)]) == 0
    assert (
        contents(out)["checkpoint/model.safetensors"]
        == (contents(run)["checkpoint/model.safetensors"])
    )


def test_steps_are_meant_and_not_cut_by_the_default_epochs(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    few = tmp_path / "few.tsv"
    few.write_text("".join(data.read_text("utf-8").splitlines(keepends=True)[:30]), "utf-8")
    options = ["--steps", "25", "--out", str(out)]
    assert main(["train", "translation", "--data", str(few), *SMALL, *options]) == 0
    steps = read_history(out / "history.jsonl").steps
    assert len(steps) == 25  # of two or three in an epoch
    assert steps[12].lr > steps[-1].lr


def test_a_run_that_has_ended_is_prolonged(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, printed, _ = run_main(
        capsys, "train", "translation", "--data", data, *SMALL, "--epochs", 1, "--out", out
    )
    assert code == 0
    assert f"foundation resume {out} --epochs 2" in printed
    first = len(read_history(out / "history.jsonl").steps)
    assert main(["resume", str(out), "--epochs", "3"]) == 0
    history = read_history(out / "history.jsonl")
    assert len(history.steps) == 3 * first
    assert json.loads((out / "run.json").read_text("utf-8"))["settings"]["epochs"] == 3
    code, _, err = run_main(capsys, "resume", out, "--epochs", 2)
    assert code == 1
    assert "--epochs: the run has 3; expected more, got 2" in err


def test_columns_and_a_header(data: Path, tmp_path: Path) -> None:
    from foundation_transformer.cli._task import read_columns

    table = tmp_path / "table.txt"
    table.write_text("id;french;english\n1;un;one\n2;deux;two\n", "utf-8")
    pairs = read_columns(table, "3,2", skip_header=True, delimiter=";")
    assert list(pairs) == [("one", "un"), ("two", "deux")]
    records = tmp_path / "pairs.jsonl"
    records.write_text('{"en": "one", "fr": "un"}\n', "utf-8")
    assert list(read_columns(records, "en,fr", skip_header=False, delimiter=None)) == [
        ("one", "un")
    ]
    for wrong in ("1", "0,1", "1,1", "1,2,3"):
        with pytest.raises(ValueError, match="^columns: "):
            read_columns(table, wrong, skip_header=False, delimiter=";")
    numbered = tmp_path / "numbered.csv"
    lines = data.read_text("utf-8").splitlines()
    rows = [f"{number},{line}".replace("\t", ",") for number, line in enumerate(lines)]
    numbered.write_text("\n".join(["number,source,target", *rows]), "utf-8")
    out = tmp_path / "run"
    options = ["--columns", "2,3", "--skip-header", "--steps", "2", "--out", str(out)]
    assert main(["train", "translation", "--data", str(numbered), *SMALL, *options]) == 0
    words = checkpoint.load(out / "checkpoint").extras["source_tokenizer"].vocabulary
    assert "one" in words
    assert "7" not in words
    assert "source" not in words


@pytest.mark.parametrize("task", ["translation", "language-model"])
def test_nothing_is_held_out_if_that_is_wanted(task: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--validation", "0", "--steps", "3", "--max-len", "16", "--out", str(out)]
    assert main(["train", task, "--data", str(data), *SMALL, *options]) == 0
    history = read_history(out / "history.jsonl")
    assert (len(history.steps), history.evaluations) == (3, [])
    loaded = checkpoint.load(out / "checkpoint")
    assert loaded.extras["step"] == 3
    if task == "translation":
        known = loaded.extras["source_tokenizer"].vocabulary
        words = {
            w for line in data.read_text("utf-8").splitlines() for w in line.split("\t")[0].split()
        }
        assert all(word in known for word in words)


@pytest.mark.parametrize("kind", ["writer", "run"])
def test_a_run_whose_data_have_changed_is_not_resumed(
    kind: str, writer: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(writer if kind == "writer" else run, out)
    settings = json.loads((out / "run.json").read_text("utf-8"))
    text = tmp_path / "text.tsv"
    original = Path(settings["settings"]["data"]).read_text("utf-8")
    settings["settings"]["data"] = str(text)
    (out / "run.json").write_text(json.dumps(settings), "utf-8")
    text.write_text(original.replace("three", "seven"), "utf-8")
    before = contents(out)
    longer = ["--steps", "14"] if kind == "writer" else ["--epochs", "3"]
    code, _, err = run_main(capsys, "resume", out, *longer)
    assert code == 1
    assert f"{text}: is not what the run was begun with" in err
    assert contents(out) == before
    text.write_text(original, "utf-8")
    assert main(["resume", str(out), *longer]) == 0


def test_a_failed_step_is_replayed_with_the_smoothing_of_its_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foundation_transformer.cli import _replay

    settings = json.loads((run / "run.json").read_text("utf-8"))
    settings["settings"]["label_smoothing"] = 0.25
    folder = run.parent / "smoothed"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(settings), "utf-8")
    seen: list[float | None] = []
    monkeypatch.setattr(_replay, "loss_of", lambda settings: seen.append(settings.label_smoothing))
    _replay._loss_of_the_run(folder / "failed_step_3")
    assert seen == [0.25]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"settings": 3, "title": "", "tables": {}}', "["]
)
def test_a_report_on_broken_settings_is_refused(
    content: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "run.json").write_text(content, "utf-8")
    for command in ("report", "resume"):
        code, _, err = run_main(capsys, command, out)
        assert code == 1
        assert f"{out / 'run.json'}: not the settings of a run" in err


def test_several_prompts_and_samples(
    writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompt.txt").write_text("makes\n", "utf-8")
    options = ["--file", tmp_path / "prompt.txt", "--samples", 2, "--seed", 1]
    code, out, _ = run_main(
        capsys, "generate", writer, "one", *options, "--max-new-tokens", 4, "--temperature", 2
    )
    assert code == 0
    heads = [line for line in out.splitlines() if line.startswith("---")]
    assert heads == [f"--- prompt {p}, sample {s}" for p in (1, 2) for s in (1, 2)]
    assert out.startswith("--- prompt 1, sample 1\nmakes\n")
    texts = out.split("--- prompt 2, sample ")
    assert texts[1][2:] != texts[2][2:]


def test_words_are_continued_with_the_spaces_that_belong_between_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat ran. " * 200, "utf-8")
    out = tmp_path / "run"
    options = ["--tokenizer", "word", "--steps", "60", "--max-len", "8", "--lr", "0.01"]
    assert (
        main(["train", "language-model", "--data", str(text), *SMALL, *options, "-o", str(out)])
        == 0
    )
    capsys.readouterr()
    code, printed, _ = run_main(
        capsys, "generate", out, "the cat", "--max-new-tokens", 2, "--temperature", 0
    )
    assert (code, printed) == (0, "the cat ran.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "{writer}", "one", "--temperature", "0", "--top-k", "3"], "--top-k: does"),
        (["generate", "{writer}", "one", "--temperature", "0", "--seed", "3"], "--seed: does"),
        (["generate", "{writer}", "one", "--temperature", "0", "--samples", "2"], "--samples: "),
        (["chat", "{writer}", "--temperature", "0", "--min-p", "0.1"], "--min-p: does nothing"),
        (["translate", "{run}", "--length-penalty", "1"], "--length-penalty: does nothing"),
        (["evaluate", "{writer}", "--data", "{data}", "--beam-size", "2"], "--beam-size: does"),
        (["evaluate", "{writer}", "--data", "{data}", "--columns", "1,2"], "--columns: does"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(
    arguments: list[str],
    message: str,
    run: Path,
    writer: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
    places = {"run": run, "writer": writer, "data": data}
    code, _, err = run_main(capsys, *(argument.format(**places) for argument in arguments))
    assert code == 1
    assert message in err


def test_a_file_is_translated_into_a_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "source.txt", tmp_path / "target.txt"
    source.write_text("one and two .\n\nsix and six .\n", "utf-8")
    code, out, err = run_main(capsys, "translate", run, source, "-o", target)
    assert (code, out, err) == (0, "", "")
    lines = target.read_text("utf-8").split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    source.write_bytes(b"one\n\xff\n")
    code, _, err = run_main(capsys, "translate", run, source, "-o", target)
    assert code == 1
    assert f"{source}, after line 1: not UTF-8" in err or f"{source}, after line 0" in err
    assert target.read_text("utf-8").split("\n") == lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.txt", "target.txt"]


def test_pairs_that_are_too_long_are_counted_and_score_as_untranslated(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = tmp_path / "longer.tsv"
    longer.write_text(data.read_text("utf-8") + "one " * 99 + "\tun\n", "utf-8")
    scores = []
    for file in (data, longer):
        code, out, _ = run_main(capsys, "evaluate", run, "--data", file, "--json")
        assert code == 0
        scores.append(json.loads(out))
    assert [s["too_long"] for s in scores] == [0, 1]
    assert scores[1]["sentences"] == scores[0]["sentences"] + 1
    assert scores[1]["exact_match"] == pytest.approx(scores[0]["exact_match"] * 100 / 101)
    assert all(" " not in name for name in scores[0])


def test_attention_shows_the_ids_that_were_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from foundation_data import BPETokenizer
    from foundation_transformer import SentenceTranslator, TransformerConfig
    from foundation_transformer.cli._translate import written_ids

    tokenizer = BPETokenizer.train(["aa ab"], max_size=300)
    config = TransformerConfig.tiny(
        vocab_size=len(tokenizer), target_vocab_size=len(tokenizer), d_model=16, max_len=9
    )
    # What it writes are bytes that no text has: encoded again they would be other ids, and more.
    model = Transformer(config, rng=np.random.default_rng(1))
    _, target = written_ids(SentenceTranslator(model, tokenizer, tokenizer), "aa")
    eos = tokenizer.vocabulary.specials.eos_id
    assert target[-1] == eos or len(target) == 1 + 9
    checkpoint.save(tmp_path / "m", model, source_tokenizer=tokenizer, target_tokenizer=tokenizer)
    page = tmp_path / "page.html"
    code, _, err = run_main(capsys, "attention", tmp_path / "m", "aa", "--out", page)
    assert (code, err) == (0, "")


def test_an_average_replaces_nothing_unasked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mean"
    assert main(["average", str(run), "-o", str(out)]) == 0
    capsys.readouterr()
    code, _, err = run_main(capsys, "average", run, "-o", out)
    assert code == 1
    assert f"{out}: exists; choose another place, or replace it with --force" in err
    assert main(["average", str(run), "-o", str(out), "--force"]) == 0


def test_quiet_is_quiet(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--steps", "2", "-q", "-o", tmp_path / "run"]
    assert run_main(capsys, "train", "translation", "--data", data, *SMALL, *options) == (0, "", "")


def test_verbose_shows_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run_main(capsys, "inspect", "nowhere", "-v")
    assert code == 1
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("foundation inspect: nowhere: no trained model there")


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for arguments in ([], ["--help"], ["--version"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert not stop.value.code
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    from foundation_transformer.cli._arguments import GROUPS, make_parser

    commands = {name for name in make_parser().commands() if " " not in name}
    assert commands == {name for names in GROUPS.values() for name in names}
    assert texts[0].index("to train:") < texts[0].index("to use a model:")
    assert texts[2].startswith("foundation 0.")
    with pytest.raises(SystemExit):
        main(["resume", "x", "--beam-size", "3"])
    assert "--beam-size belongs to foundation translate and evaluate" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "dropout, samples, and what bleu is measured on (default: 0)" in told


def test_a_text_is_read_with_its_line_ends(tmp_path: Path) -> None:
    from foundation_nn.files import read_text

    (tmp_path / "text.txt").write_bytes(b"one\r\ntwo\rthree\n")
    assert read_text(tmp_path / "text.txt") == "one\r\ntwo\rthree\n"
