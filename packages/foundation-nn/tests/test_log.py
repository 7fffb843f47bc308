"""What the logger ``foundation`` is told."""

import logging

import numpy as np
from foundation_nn import Linear, Tensor, optim
from foundation_nn.files import remove_unfinished
from foundation_nn.files._write import unfinished_path
from foundation_nn.training import Checkpoints, Trainer, checkpoints_of

ROW = np.ones((1, 2), np.float32)


def loss(model, batch):
    y = model(Tensor(batch))
    return (y * y).mean(), y.size


def make(folder, **options):
    model = Linear(2, 1, rng=np.random.default_rng(0))
    callbacks = [Checkpoints(folder, every=1)]
    return Trainer(model, loss, optim.SGD(model, lr=0.1), callbacks=callbacks, **options)


def said(caplog):
    assert {record.name for record in caplog.records} <= {"foundation"}
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_run_that_goes_well_says_nothing(tmp_path, caplog, capsys):
    caplog.set_level("DEBUG", "foundation")
    make(tmp_path).fit([ROW], max_steps=2)
    assert said(caplog) == []
    assert capsys.readouterr() == ("", "")


def test_skipped_steps_and_a_course_that_is_given_up_are_told(tmp_path, caplog):
    caplog.set_level("INFO", "foundation")
    make(tmp_path, skip_failed=True).fit([ROW, ROW * np.nan], max_epochs=2)
    first, second = said(caplog)
    assert first[0] == "INFO"
    assert first[1].startswith("skipped: step 2: the loss is nan, which is not finite")
    assert second[1].startswith("skipped: step 3:")
    caplog.clear()
    earlier, later = checkpoints_of(tmp_path)
    again = make(tmp_path, skip_failed=True)
    again.resume(earlier)
    again.fit([ROW, ROW * np.nan], max_epochs=1)
    messages = [message for _, message in said(caplog)]
    assert messages[0] == f"resumed from {earlier}, after step 1"
    assert f"removed {later}: the run goes on from an earlier checkpoint" in messages


def test_what_a_crash_has_left_is_told(tmp_path, caplog):
    caplog.set_level("INFO", "foundation")
    left = unfinished_path(tmp_path / "notes.txt", "0123456789abcdef")
    left.write_text("half")
    remove_unfinished(tmp_path)
    assert said(caplog) == [
        ("INFO", f"removed {left}, which was being written when a process ended")
    ]


def test_nobody_who_does_not_listen_is_told(tmp_path, capsys):
    make(tmp_path, skip_failed=True).fit([ROW, ROW * np.nan], max_epochs=1)
    assert capsys.readouterr() == ("", "")
    assert not logging.getLogger("foundation").handlers
