"""What is said during a run, to a terminal and to a log."""

import io
import re

import numpy as np
import pytest
from foundation_nn import Linear, Tensor, optim
from foundation_nn.training import Progress, Trainer

ROW = np.ones((1, 2), np.float32)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def loss(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), 7


def run(file, every=0.0, **limits):
    model = Linear(2, 1, rng=np.random.default_rng(0))
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[Progress(file, every)])
    trainer.fit([ROW] * 3, validation=[ROW], **limits)
    return file.getvalue(), trainer.history


def test_a_log_is_plain_lines():
    text, history = run(io.StringIO(), max_steps=5)
    lines = text.splitlines()
    assert len(lines) == 7
    assert "\r" not in text
    line = r"step 1 \(\d+ s left\): loss (\d\.\d{3}), lr 1\.0e-01, [\d,]+ tokens/s"
    assert re.fullmatch(line, lines[0])[1] == f"{history.steps[0].loss:.3f}"
    smoothed = 0.95 * history.steps[0].loss + 0.05 * history.steps[1].loss
    assert f"loss {smoothed:.3f}," in lines[1]
    assert lines[3] == f"step 3: held-out loss {history.evaluations[0].loss:.3f}"
    assert lines[6] == f"step 5: held-out loss {history.evaluations[1].loss:.3f}"
    assert lines[5].startswith("step 5 (0 s left)")


def test_a_log_speaks_up_only_every_so_often():
    text, _ = run(io.StringIO(), every=1e9, max_steps=3)
    assert re.fullmatch(r"step 3: held-out loss \d\.\d{3}\n", text)


def test_the_time_left_is_known_from_a_limit_in_seconds():
    text, _ = run(io.StringIO(), max_seconds=1000, max_steps=2)
    assert re.match(r"step 1 \(\d+ s left\)", text)
    model = Linear(2, 1, rng=np.random.default_rng(0))
    log = io.StringIO()
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[Progress(log, 0.0)])
    trainer.fit(iter([ROW] * 2), max_epochs=1)  # no limit that is known beforehand
    assert log.getvalue().startswith("step 1: loss")
    log.truncate(0)
    trainer.fit(iter([ROW] * 2), max_epochs=1, max_seconds=100)
    assert 50 < int(re.search(r"step 3 \((\d+) s left\)", log.getvalue())[1]) <= 100


def test_a_terminal_shows_a_bar_that_fills_up():
    text, history = run(Terminal(), max_steps=5)
    frames = [frame.strip() for frame in re.split(r"[\r\n]+", text)]
    bars = [frame for frame in frames if "%|" in frame]
    assert bars[0].startswith("0%|")
    assert re.match(r"100%\|\S{6}\| 5/5 \[", bars[-1])
    assert re.search(r", loss \d\.\d{3}, [\d,]+ tokens/s$", bars[-1])
    assert f"step 3: held-out loss {history.evaluations[0].loss:.3f}" in frames


def test_the_bar_of_a_long_run_fits_80_columns():
    from foundation_nn.training._progress import _BAR
    from tqdm import tqdm

    line = tqdm.format_meter(
        123_456,
        1_000_000,
        45_296,
        bar_format=_BAR,
        postfix="loss 12.345, 123,456 tokens/s",
    )
    assert "12:34:56<" in line
    assert line.endswith("tokens/s")
    assert len(line) < 80


def test_a_terminal_fills_its_bar_by_the_limit_that_comes_first():
    text, history = run(Terminal(), max_seconds=0.2, max_steps=10**9)
    bar = re.split(r"[\r\n]+", text.strip())[-1]
    percent, done = re.match(r" *(\d+)%\|.*\| (\d+)/", bar).groups()
    assert int(percent) > 50
    assert int(done) == len(history.steps)


def test_it_goes_to_standard_error_unless_told_otherwise(capsys):
    progress = Progress(every=0.0)
    model = Linear(2, 1, rng=np.random.default_rng(0))
    Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[progress]).fit([ROW], max_steps=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("step 1 (0 s left): loss")


@pytest.mark.parametrize("file", [io.StringIO, Terminal])
def test_a_second_run_starts_anew(file):
    model, stream = Linear(2, 1, rng=np.random.default_rng(0)), file()
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[Progress(stream, 0.0)])
    for _ in range(2):
        trainer.fit([ROW] * 3, max_steps=3)
    last = "step 6 (0 s left)" if file is io.StringIO else "3/3"
    assert last in stream.getvalue()


class Leaving(io.StringIO):
    """A reader that leaves after some writes, as ``head -1`` does."""

    def __init__(self, error, writes, terminal):
        super().__init__()
        self.error, self.left, self.terminal = error, writes, terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("writes", [0, 1, 4])
@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(32, "Broken pipe"),
        OSError(5, "Input/output error"),
        ValueError("I/O operation on closed file."),
    ],
)
def test_training_goes_on_when_nobody_reads_any_longer(error, writes, terminal):
    stream = Leaving(error, writes, terminal)
    _, history = run(stream, max_steps=5)
    assert len(history.steps) == 5
    assert len(history.evaluations) == 2


def test_another_error_of_the_stream_is_told():
    with pytest.raises(ValueError, match="no such letter"):
        run(Leaving(ValueError("no such letter"), 0, False), max_steps=2)


def test_without_standard_error_nothing_is_said(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    model = Linear(2, 1, rng=np.random.default_rng(0))
    trainer = Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=[Progress()])
    trainer.fit([ROW] * 3, validation=[ROW], max_steps=5)
    assert trainer.steps == 5
