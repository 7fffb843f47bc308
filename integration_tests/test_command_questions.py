"""``foundation evaluate --task``: questions that a language model answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from foundation_data import CharTokenizer
from foundation_nn import checkpoint
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.cli import main
from foundation_transformer.evaluation import read_questions, score_answers

CHOICES = [
    {"question": "one and two makes", "choices": ["three", "four"], "answer": 0},
    {"question": "one and one makes", "choices": ["three", "two", "one"], "answer": "two"},
]
ANSWERS = [{"question": "one and two makes", "answer": ["three", "3"]}]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = CharTokenizer.train(["abcdefghijklmnopqrstuvwxyz .3"])
    config = TransformerConfig.gpt2(
        vocab_size=len(tokenizer), d_model=8, num_heads=2, num_layers=1, max_len=48
    )
    checkpoint.save(folder / "model", CausalLM(config), tokenizer=tokenizer)
    return folder / "model"


def lines(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["evaluate", *[str(a) for a in arguments]])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_multiple_choice(writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = lines(tmp_path / "task.jsonl", CHOICES)
    code, out, err = run(
        capsys, writer, "--task", task, "--json", "--details", tmp_path / "found.jsonl"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["questions"] == 2
    assert found["control: chance"]["value"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found["control: longest choice"]["value"] == 0.5  # "three" twice
    details = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert [each["answer"] for each in details] == [0, 1]
    right = [
        max(each["log_likelihoods"]) == each["log_likelihoods"][each["answer"]] for each in details
    ]
    assert found["accuracy"]["value"] == sum(right) / 2
    assert [each["tokens"] for each in details] == [[6, 5], [6, 4, 4]]  # letters and a space

    code, out, _ = run(capsys, writer, "--task", task)
    assert code == 0
    assert f"accuracy                              {sum(right) / 2:.4f} ± " in out
    assert run(capsys, writer, "--task", task)[1] == out  # the control is drawn from a seed


def test_short_answers(writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = lines(tmp_path / "task.jsonl", ANSWERS)
    options = ["--max-new-tokens", 7, "--json", "--details", tmp_path / "found.jsonl"]
    code, out, err = run(capsys, writer, "--task", task, *options)
    assert (code, err) == (0, "")
    assert json.loads(out)["exact match"] == {"value": 0.0, "standard_error": None}
    (found,) = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    loaded = checkpoint.load(writer)
    tokenizer = loaded.extras["tokenizer"]
    expected = score_answers(
        loaded.model,
        tokenizer,
        read_questions(task),  # type: ignore[arg-type]
        max_new_tokens=7,
        stop_ids=[tokenizer.vocabulary.specials.eos_id],
    )
    assert found["written"] == expected.written[0]


@pytest.mark.parametrize(
    ("records", "flags", "message"),
    [
        (CHOICES, ["--beam-size", "2"], "--beam-size: does nothing with --task"),
        (CHOICES, ["--stride", "2"], "--stride: does nothing with --task"),
        (CHOICES, ["--max-new-tokens", "2"], "--max-new-tokens: does nothing for multiple choice"),
        (ANSWERS, ["--seed", "2"], "--seed: does nothing without choices"),
        (CHOICES, ["--chat"], "has no chat template"),
        (CHOICES, ["--system", "Be kind."], "--system: does nothing without --chat"),
        ([*CHOICES, *ANSWERS], [], "task.jsonl, line 3: some questions have choices"),
        ([{"question": "q", "choices": ["a", "b"]}], [], "line 1: 'answer' is missing"),
    ],
)
def test_what_does_not_go_together_is_refused(
    records: list[dict[str, object]],
    flags: list[str],
    message: str,
    writer: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = lines(tmp_path / "task.jsonl", records)
    code, out, err = run(capsys, writer, "--task", task, *flags)
    assert (code, out) == (1, "")
    assert message in err


def test_either_data_or_a_task(
    writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = lines(tmp_path / "task.jsonl", CHOICES)
    for flags in ([], ["--task", task, "--data", task]):
        with pytest.raises(SystemExit):
            main(["evaluate", str(writer), *map(str, flags)])
        assert "--data" in capsys.readouterr().err
    code, _, err = run(capsys, writer, "--data", task, "--chat")
    assert code == 1
    assert "--chat: does nothing without --task" in err
