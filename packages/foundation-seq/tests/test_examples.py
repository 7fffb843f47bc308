"""The examples run, learn something, and leave their pictures."""

import re

import numpy as np
import pytest
from foundation_seq.examples import adding_problem, names, reverse, sine


def errors(capsys):
    return [float(number) for number in re.findall(r"\d\.\d{4,5}", capsys.readouterr().out)]


def is_picture(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_adding_batches_are_what_they_say():
    x, y = adding_problem.make_batch(np.random.default_rng(0), 5, 7)
    assert x.dtype == y.dtype == np.float32
    for row, total in zip(x, y[:, 0], strict=True):
        first, second = np.flatnonzero(row[:, 1])
        assert first < 3 <= second
        assert total == row[first, 0] + row[second, 0]


def test_adding_is_learnt_by_the_lstm(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    options = ["--steps", "800", "--length", "5", "--out", str(tmp_path)]
    assert adding_problem.main(options) == 0
    constant, lstm, _ = errors(capsys)
    assert 0.1 < constant < 0.25
    assert lstm < constant / 5
    assert is_picture(tmp_path / "adding_gradients.png")


def test_sine_is_continued(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert sine.main(["--quick", "--out", str(tmp_path)]) == 0
    following, _ = errors(capsys)
    assert following < 0.01
    assert is_picture(tmp_path / "sine.png")


def test_names_are_written(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert len(set(names.NAMES)) == len(names.NAMES)
    assert names.main(["--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    learnt, guessing = map(float, re.findall(r"(\d\.\d\d)(?= nats|\))", printed))
    assert learnt < 0.75 * guessing
    assert len(re.search(r"It writes:\n\n(.*)\n", printed)[1].split()) > 30
    assert is_picture(tmp_path / "names_states.png")
    assert is_picture(tmp_path / "names_gates.png")


def test_reversing_begins_to_be_learnt():
    _, trainer = reverse.train(0, 100)
    losses = [step.loss for step in trainer.history.steps]
    assert losses[0] > 2.4  # guessing among twelve: 2.48
    assert np.mean(losses[-10:]) < 2.0


def test_reversing_marks_what_is_wrong(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert reverse.main(["--steps", "2", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    questions = [i for i, line in enumerate(lines) if re.fullmatch(r"  \d+", line)]
    assert len(questions) == 5
    for i in questions:
        backwards = lines[i].strip()[::-1]
        answer = lines[i + 1].removeprefix("    = ")
        assert (lines[i + 2] == f"    ≠ {backwards}") == (answer != backwards)
    assert any("≠" in line for line in lines)  # two steps teach nothing
    assert is_picture(tmp_path / "reverse.png")


def test_name_batches_end():
    inputs, targets = next(iter(names.Endless(np.random.default_rng(0))))
    for row, target in zip(inputs, targets, strict=True):
        length = int((target >= 0).sum())
        assert row[0] == target[length - 1] == names.END
        np.testing.assert_array_equal(row[1:length], target[: length - 1])
        assert (target[length:] == -1).all()


@pytest.mark.parametrize(
    ("example", "arguments", "message"),
    [
        (sine, ["--steps", "0"], "--steps: expected a whole number of at least 1"),
        (names, ["--seed", "-1"], "--seed: expected a whole number of at least 0"),
        (
            adding_problem,
            ["--length", "1"],
            "--length: expected a whole number of at least 2",
        ),
    ],
)
def test_errors(capsys, example, arguments, message):
    with pytest.raises(SystemExit):
        example.main(arguments)
    assert message in capsys.readouterr().err
