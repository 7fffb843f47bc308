"""Language models on several files and on shards, and tokenizers, by commands alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_data import BPETokenizer, are_shards, load_tokenizer, open_shards
from foundation_nn import checkpoint, optim, schedules
from foundation_nn.training import checkpoints_of, read_history
from foundation_transformer.cli import _corpus
from foundation_transformer.cli._optimization import make_optimizer, make_schedule
from foundation_transformer.cli._settings import OPTIMIZERS, SCHEDULES, Settings
from foundation_transformer.cli._size import resolve
from test_command_train import contents, run_main

SMALL = ["--model", "d_model=16", "--model", "num_layers=1", "--batch-size", "8", "--max-len", "16"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "texts"
    folder.mkdir()
    for number, word in enumerate(("one", "two", "three", "four")):
        (folder / f"{word}.txt").write_text(f"{word} and two\n  makes {number}.\n" * 30, "utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizer(texts: Path) -> Path:
    out = texts.parent / "tokenizer.json"
    command = ["tokenizer", "train", f"{texts}/*.txt", "--vocab-size", "280", "-o", str(out)]
    assert (
        subprocess.run([sys.executable, "-m", "foundation_transformer.cli", *command]).returncode
        == 0
    )
    return out


@pytest.fixture(scope="module")
def shards(texts: Path, tokenizer: Path) -> Path:
    out = texts.parent / "shards"
    command = ["tokenizer", "encode", str(tokenizer), f"{texts}/*.txt", "-o", str(out)]
    assert (
        subprocess.run([sys.executable, "-m", "foundation_transformer.cli", *command]).returncode
        == 0
    )
    return out


def test_shards_are_the_texts(texts: Path, tokenizer: Path, shards: Path) -> None:
    ours = load_tokenizer(tokenizer)
    assert ours == BPETokenizer.train(
        [p.read_text("utf-8") for p in sorted(texts.iterdir())], max_size=280
    )
    stream = open_shards(shards)
    assert stream.num_documents == 4
    start = 0
    for path, length in zip(sorted(texts.iterdir()), stream.document_lengths, strict=True):
        ids = stream.read(start, start + length).tolist()
        assert ids[-1] == ours.vocabulary.specials.eos_id
        assert ours.decode(ids) == path.read_text("utf-8")
        start += length


def train(data: object, out: Path, *options: object) -> int:
    from foundation_transformer.cli import main

    arguments = ["train", "language-model", "--data", data, *SMALL, "--out", out, *options]
    return main([str(a) for a in arguments])


def test_a_run_on_shards_is_the_one_on_the_texts(
    texts: Path, tokenizer: Path, shards: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "held_out.txt"
    held_out.write_text("one and three\n  makes 4.\n" * 9, "utf-8")
    options = ["--steps", 4, "--held-out", held_out]
    assert train(shards, tmp_path / "a", *options) == 0
    assert train(f"{texts}/*.txt", tmp_path / "b", *options, "--tokenizer", tokenizer) == 0
    a, b = (contents(tmp_path / name)["checkpoint/model.safetensors"] for name in "ab")
    assert a == b
    saved = checkpoint.load(tmp_path / "a" / "checkpoint").extras["tokenizer"]
    assert saved == load_tokenizer(tokenizer)


@pytest.mark.parametrize("options", [["--steps", "6"], ["--pack", "--epochs", "2"]])
def test_a_run_on_shards_is_resumed(options: list[str], shards: Path, tmp_path: Path) -> None:
    from foundation_transformer.cli import main

    out = tmp_path / "run"
    assert train(shards, out, *options, "--save-every", "2") == 0
    whole = contents(out)
    places = checkpoints_of(out)
    assert len(places) > 1
    for place in places[1:]:
        shutil.rmtree(place)
    assert main(["resume", str(out)]) == 0
    assert contents(out) == whole
    assert main(["report", str(out), "-q"]) == 0
    assert "SHA-256, held out" in (out / "report.html").read_text("utf-8")


def test_packed_rows_hold_whole_texts(tmp_path: Path) -> None:
    lines = tmp_path / "texts.jsonl"
    lines.write_text("".join(json.dumps({"text": "ab" * n}) + "\n" for n in range(1, 40)), "utf-8")
    assert train(lines, tmp_path / "run", "--pack", "--epochs", 1) == 0
    history = read_history(tmp_path / "run" / "history.jsonl")
    # A text of 2n letters has 2n targets, the last of which is its end. There are 1,560 letters; a
    # tenth of them begins within the 37th text, with which the held-out part begins, therefore.
    assert sum(step.tokens for step in history.steps) == sum(2 * n for n in range(1, 37))


def test_large_texts_are_kept_as_shards_in_the_run(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "texts"
    shutil.copytree(texts, copied)
    assert train(f"{copied}/*.txt", tmp_path / "small", "--steps", 4) == 0
    monkeypatch.setattr(_corpus, "LARGE", 100)
    out = tmp_path / "run"
    assert train(f"{copied}/*.txt", out, "--steps", 4) == 0
    assert are_shards(out / "train_ids")
    name = "checkpoint/model.safetensors"
    assert contents(out)[name] == contents(tmp_path / "small")[name]
    shutil.rmtree(copied)
    assert run_main(capsys, "resume", out, "--steps", 6)[0] == 0
    (out / "train_ids" / "ids-00000.npy").write_bytes(b"broken")
    code, _, err = run_main(capsys, "resume", out, "--steps", 8)
    assert code == 1
    assert "ids-00000.npy: the content does not match" in err


@pytest.mark.parametrize("kind", ["char", "bpe", "word"])
@pytest.mark.parametrize("large", [False, True])
def test_the_tokenizer_has_not_seen_what_is_held_out(
    kind: str, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its letters, nor how often they stand together; also where ids are in files."""
    text = "one and two makes three.\n" * 40
    end = "zyx zyx zyx wvu\n" * 7  # 112 of 1,112 characters
    file = tmp_path / "text.txt"
    file.write_text(text + end, "utf-8")
    if large:
        monkeypatch.setattr(_corpus, "LARGE", 100)
    assert train(file, tmp_path / "run", "--steps", 2, "--tokenizer", kind) == 0
    tokenizer = checkpoint.load(tmp_path / "run" / "checkpoint").extras["tokenizer"]
    lossless = {"lossless": True} if kind != "word" else {}
    assert tokenizer == type(tokenizer).train([text[:-1]], max_size=16_000, **lossless)
    data = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["tables"]["Data"]
    assert data["vocabulary"] == "trained without what is held out"
    if large:
        held_out = open_shards(tmp_path / "run" / "held_out_ids")
        eos_id = tokenizer.vocabulary.specials.eos_id
        expected = [*tokenizer.encode("\n" + end), eos_id]
        assert held_out.read(0, len(held_out)).tolist() == expected


def test_a_tokenizer_that_was_trained_before_is_named_so(
    shards: Path, tokenizer: Path, texts: Path, tmp_path: Path
) -> None:
    for number, data in enumerate((shards, texts / "one.txt")):
        options = [] if data == shards else ["--tokenizer", tokenizer]
        assert train(data, tmp_path / str(number), "--steps", 2, *options) == 0
        run = json.loads((tmp_path / str(number) / "run.json").read_text("utf-8"))
        assert run["tables"]["Data"]["vocabulary"] == (
            "trained before, perhaps with what is held out"
        )


def test_ids_that_a_killed_command_has_left_are_not_those_of_the_next(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_corpus, "LARGE", 100)
    assert train(texts / "two.txt", tmp_path / "expected", "--steps", 2) == 0
    out = tmp_path / "run"
    assert train(texts / "one.txt", out, "--steps", 2) == 0
    for place in (out / "run.json", out / "history.jsonl"):  # what is written after the ids
        place.unlink()
    for place in (out / "last", out / "checkpoint"):
        shutil.rmtree(place)
    assert train(texts / "two.txt", out, "--steps", 2) == 0
    assert contents(out) == contents(tmp_path / "expected")


def test_files_are_held_out(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    held_out = f"{texts}/t*.txt"
    assert train(texts / "one.txt", out, "--steps", 2, "--held-out", held_out) == 0
    printed = capsys.readouterr().out
    tokenizer = checkpoint.load(out / "checkpoint").extras["tokenizer"]
    assert "h" not in tokenizer.vocabulary  # of "three"
    counts = [len((texts / f"{name}.txt").read_text("utf-8")) + 1 for name in ("two", "three")]
    assert f"{sum(counts):,} held out" in printed
    code, _, err = run_main(
        capsys,
        *("train", "language-model", "--data", texts / "one.txt", "-o", tmp_path / "other"),
        *("--held-out", held_out, "--validation", "0.2"),
    )
    assert code == 1
    assert "--validation: does nothing where held_out names what is held out" in err


def test_pairs_are_held_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {}
    for name, word in (("train", "a"), ("held_out", "b")):
        names[name] = tmp_path / f"{name}.tsv"
        lines = [f"{word} {n}\t{n} {word}{word}\n" for n in range(20)]
        names[name].write_text("".join(lines), "utf-8")
    options = ["--data", names["train"], "--held-out", names["held_out"], "-o", tmp_path / "run"]
    code, out, err = run_main(capsys, "train", "translation", *options, "--steps", 2, *SMALL)
    assert code == 0, err
    assert out.count("20 kept") == 2
    extras = checkpoint.load(tmp_path / "run" / "checkpoint").extras
    assert "aa" in extras["target_tokenizer"].vocabulary
    assert "bb" not in extras["target_tokenizer"].vocabulary
    names["held_out"].write_text("".join(lines[1:]), "utf-8")
    assert run_main(capsys, "resume", tmp_path / "run", "--steps", 4)[0] == 1


def test_what_is_held_out_has_a_fingerprint_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "text.txt"
    text = "one and two makes three.\n" * 40
    file.write_text(text, "utf-8")
    out = tmp_path / "run"
    assert train(file, out, "--steps", 2) == 0
    begun = json.loads((out / "run.json").read_text("utf-8"))
    assert sorted(begun["data"]) == ["held_out", "train"]
    file.write_text(text[:-5] + "seen\n", "utf-8")  # the end alone, with letters that are known
    code, _, err = run_main(capsys, "resume", out, "--steps", 4)
    assert code == 1
    assert f"{file}: is not what the run was begun with" in err
    file.write_text(text, "utf-8")
    begun["tables"]["Environment"]["numpy"] = "1.2.3"
    (out / "run.json").write_text(json.dumps(begun), "utf-8")
    assert run_main(capsys, "resume", out, "--steps", 4)[0] == 0
    prolonged = json.loads((out / "run.json").read_text("utf-8"))
    assert prolonged["tables"]["Environment"]["numpy"] == "1.2.3"  # what it was begun with
    assert prolonged["settings"]["steps"] == 4
    assert prolonged["data"] == begun["data"]


def test_several_texts_are_measured_as_one_by_one(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(f"{texts}/*.txt", tmp_path / "run", "--steps", 2) == 0
    capsys.readouterr()

    def scores(data: object) -> dict[str, float]:
        code, out, err = run_main(capsys, "evaluate", tmp_path / "run", "--data", data, "--json")
        assert code == 0, err
        return dict(json.loads(out))

    both = scores(f"{texts}/t*.txt")
    two, three = (scores(texts / f"{name}.txt") for name in ("two", "three"))
    assert both["tokens"] == two["tokens"] + three["tokens"]
    for name in ("loss", "accuracy"):
        mean = np.average([two[name], three[name]], weights=[two["tokens"], three["tokens"]])
        assert both[name] == pytest.approx(mean)
    assert both["perplexity"] == pytest.approx(np.exp(both["loss"]))
    assert two["bits_per_byte"] < both["bits_per_byte"] < three["bits_per_byte"] or (
        three["bits_per_byte"] < both["bits_per_byte"] < two["bits_per_byte"]
    )
    assert run_main(capsys, "evaluate", tmp_path / "run", "--data", texts / "*.tex")[0] == 1


def test_a_tokenizer_is_looked_at(
    tokenizer: Path, shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "one\x1b[31m and\n"
    for place in (tokenizer, shards):
        code, out, _ = run_main(capsys, "tokenizer", "inspect", place, text)
        assert code == 0
        ids = load_tokenizer(tokenizer).encode(text)
        assert "BPETokenizer of 280 tokens" in out
        assert f"{len(ids)} tokens for {len(text)} bytes, {len(text) / len(ids):.2f} bytes" in out
        assert "'\\x1b'" in out
        assert "\x1b" not in out
        assert "eos      2  '<eos>'" in out
        lines = out.partition("each token\n")[2].splitlines()
        assert [int(line.split()[0]) for line in lines] == ids
    code, out, _ = run_main(capsys, "tokenizer", "inspect", tokenizer)
    assert code == 0
    assert "bytes for" not in out


@pytest.mark.parametrize("kind", ["wordpiece", "word", "char"])
def test_every_kind_is_trained(
    kind: str, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "tokenizer.json"
    files = sorted(texts.iterdir())
    arguments = ["tokenizer", "train", *files, "--kind", kind, "-o", out]
    code, printed, _ = run_main(capsys, *arguments)
    assert code == 0
    assert load_tokenizer(out).kind == kind
    assert "from 4 files" in printed
    code, _, err = run_main(capsys, *arguments)
    assert code == 1
    assert "exists; choose another place, or replace it with --force" in err
    assert run_main(capsys, *arguments, "--force", "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "language-model", "--data", "{texts}"], "a folder without shards"),
        (["train", "language-model", "--data", "{texts}/*.tex"], "no file of such a name"),
        (["train", "language-model", "--data", "x", "--tokenizer", "bpf"], "did you mean 'bpe'?"),
        (["train", "language-model", "--data", "x", "--tokenizer", "t.json"], "t.json: no such"),
        (["train", "translation", "--data", "x", "--pack"], "--pack: does nothing for"),
        (["train", "translation", "--data", "x", "--depth", "0"], "--depth: expected at least 1"),
        (["train", "translation", "--data", "x", "--optimizer", "adm"], "did you mean 'adam'?"),
        (
            ["train", "translation", "--data", "x", "--tokenizer", "t.json", "--vocab-size", "9"],
            "--vocab-size: does nothing with a tokenizer that is trained already",
        ),
        (
            ["train", "translation", "--data", "x", "--optimizer", "adam", "--weight-decay", "1"],
            "--weight-decay: adam has none; take adamw",
        ),
        (["tokenizer", "encode", "nix.json", "x", "-o", "y"], "nix.json"),
        (["tokenizer", "encode", "{tokenizer}", "{texts}/*", "-o", "{texts}"], "exists already"),
        (["tokenizer", "inspect", "{texts}"], "no trained model there"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: list[str],
    message: str,
    texts: Path,
    tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"texts": texts, "tokenizer": tokenizer}
    code, _, err = run_main(capsys, *(argument.format(**places) for argument in arguments))
    assert (code, message in err) == (1, True), err
    assert err.startswith("foundation tokenizer " if arguments[0] == "tokenizer" else "foundation ")
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_without_quotes_is_explained(
    texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(texts.iterdir())
    with pytest.raises(SystemExit):
        run_main(capsys, "train", "language-model", "--data", *files)
    assert "a pattern that stands for several files is written in quotes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run_main(capsys, "tokenizer")
    assert "foundation tokenizer encode tokenizer.json" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_main(capsys, "tokenizer", "train", "x", "-o", "y", "--depth", 3)
    assert "--depth belongs to foundation train" in capsys.readouterr().err


def test_one_number_for_the_size() -> None:
    def of(**options: object) -> Settings:
        return resolve(Settings(task="language-model", data="x", **options))  # type: ignore[arg-type]

    plain = of()
    assert (plain.lr, plain.batch_size, plain.model) == (3e-3, 64, {})
    small = of(depth=4)
    assert small.model == {"d_model": 256, "num_heads": 4, "num_layers": 4}
    assert (small.lr, small.batch_size) == (1.5e-3, 64)
    gpt2 = of(depth=12)
    assert gpt2.model == {"d_model": 768, "num_heads": 12, "num_layers": 12}
    assert (gpt2.lr, gpt2.batch_size) == (5e-4, 192)
    assert resolve(gpt2) == gpt2
    chosen = of(depth=4, lr=0.1, batch_size=3, model={"num_heads": 8, "d_model": 512})
    assert chosen.model == {"d_model": 512, "num_heads": 8, "num_layers": 4}
    assert (chosen.lr, chosen.batch_size) == (0.1, 3)
    assert of(depth=4, model={"d_model": 512}).lr == 7.5e-4
    assert of(depth=4, optimizer="lion").lr == 1.5e-4


def test_depth_is_resolved_printed_and_saved(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--depth", "1", "--steps", "2", "--max-len", "16", "-o", out]
    code, printed, _ = run_main(
        capsys, "train", "language-model", "--data", texts / "one.txt", *options
    )
    assert code == 0
    model = checkpoint.load(out / "checkpoint").model
    assert (
        "depth 1: 1 layer, width 64, 1 head; 16 sequences in a batch; learning rate 0.006; "
        f"{model.num_parameters():,} parameters"
    ) in printed
    settings = json.loads((out / "run.json").read_text("utf-8"))["settings"]
    assert (settings["lr"], settings["batch_size"], settings["depth"]) == (0.006, 16, 1)
    assert settings["model"] == {"d_model": 64, "num_heads": 1, "num_layers": 1}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_with_any_optimizer_is_resumed(name: str, texts: Path, tmp_path: Path) -> None:
    from foundation_transformer.cli import main

    schedule = SCHEDULES[OPTIMIZERS.index(name) % len(SCHEDULES)]
    options = ["--optimizer", name, "--schedule", schedule, "--steps", 6, "--save-every", 3]
    out = tmp_path / "run"
    assert train(texts / "one.txt", out, *options) == 0
    whole = contents(out)
    shutil.rmtree(checkpoints_of(out)[-1])
    assert main(["resume", str(out)]) == 0
    assert contents(out) == whole
    saved = json.loads((out / "run.json").read_text("utf-8"))["settings"]
    assert (saved["optimizer"], saved["schedule"]) == (name, schedule)


def test_the_optimizers_are_those_that_are_named() -> None:
    from foundation_transformer import CausalLM, TransformerConfig

    config = TransformerConfig.gpt2(
        vocab_size=7, max_len=5, d_model=8, num_heads=2, num_layers=1, tie_embeddings=False
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    kinds = {
        name: type(
            make_optimizer(Settings(task="language-model", data="x", optimizer=name), model, 0.1)
        )
        for name in OPTIMIZERS
    }
    assert kinds == {
        "adamw": optim.AdamW,
        "adam": optim.Adam,
        "sgd": optim.SGD,
        "lion": optim.Lion,
        "muon": optim.Muon,
        "adafactor": optim.Adafactor,
        "rmsprop": optim.RMSprop,
        "adagrad": optim.Adagrad,
    }


def test_the_schedules_have_their_peak_where_it_is_said() -> None:
    def of(name: str, warmup: int = 10) -> list[float]:
        schedule = make_schedule(name, 0.5, 100, warmup, 0.1, d_model=64)
        return [schedule(step) for step in range(1, 101)]

    for name in SCHEDULES:
        rates = of(name)
        assert max(rates) == pytest.approx(0.5)
        assert rates[9] == pytest.approx(0.5)  # a tenth of the steps rise
        assert rates[4] == pytest.approx(0.25)
    assert of("cosine") == [schedules.cosine(0.5, 100, 10, 0.1)(n) for n in range(1, 101)]
    assert of("linear")[-1] == pytest.approx(0.1)
    assert of("wsd")[79] == 0.5
    assert of("wsd")[89] == pytest.approx(0.3)
    assert of("constant")[-1] == 0.5
    assert of("noam")[39] == pytest.approx(0.25)  # sqrt(10 / 40)
    for name in SCHEDULES:
        assert len(of(name, warmup=0)) == 100


def test_a_learning_rate_is_proposed(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["train", "language-model", "--data", texts / "one.txt", *SMALL, "-o", out]
    code, printed, _ = run_main(capsys, *arguments, "--find-lr")
    assert code == 0
    assert [p.name for p in out.iterdir()] == ["find_lr.png"]
    lr = float(printed.rpartition("--lr ")[2])
    assert 1e-4 < lr < 1
    assert run_main(capsys, *arguments, "--steps", 2, "--lr", lr)[0] == 0


@pytest.mark.parametrize("flag", [["--columns", "1,2"], ["--skip-header"], ["--delimiter", ";"]])
def test_a_table_is_not_described_to_an_interactive_demo(
    flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_main(capsys, "demo", "--interactive", "--data", "x.tsv", *flag)
    err = capsys.readouterr().err
    assert f"{flag[0]} does nothing with --interactive, which trains nothing" in err
