"""What the examples share."""

import sys
from pathlib import Path

import pytest
from foundation_nn.lessons import answered, options, pictures


def test_a_short_run_sets_the_amount_by_whatever_name():
    parser = options("package.examples.name", "Says hello.", 12, quick=1, unit="epochs")
    assert parser.parse_args([]).epochs == 12
    assert parser.parse_args(["--quick"]).epochs == 1
    args = parser.parse_args(["--epochs", "3", "--seed", "7", "--out", "elsewhere"])
    assert (args.epochs, args.seed, args.out) == (3, 7, Path("elsewhere"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: expected a whole number of at least 1, got 0"),
        (["--seed", "-1"], "argument --seed: expected a whole number of at least 0, got -1"),
        (["--seed", "1.5"], "argument --seed: expected a whole number of at least 0, got 1.5"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        options("package.examples.name", "Says hello.", 300, quick=30).parse_args(arguments)
    said = capsys.readouterr().err
    assert said.startswith("usage: python -m package.examples.name")
    assert message in said


def test_a_wrong_answer_is_marked_and_a_right_one_is_not():
    assert answered("2 + 2", "4", "4") == "  2 + 2\n    = 4"
    assert answered("2 + 2", "5", "4") == "  2 + 2\n    = 5\n    ≠ 4"


def test_pictures_are_drawn_in_order_and_named(tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    names = ["b.png", "a.png"]
    code = pictures(folder, {name: lambda path: path.write_text("drawn") for name in names})
    assert code == 0
    assert capsys.readouterr().out.splitlines() == [f"Picture: {folder / name}" for name in names]
    assert (folder / "a.png").read_text() == "drawn"


def test_without_matplotlib_nothing_has_failed(tmp_path, capsys, monkeypatch):
    from foundation_nn.plotting import new_figure

    monkeypatch.setitem(sys.modules, "foundation_nn.plotting._picture", None)
    assert pictures(tmp_path, {"a.png": lambda _: new_figure(1, 1), "b.png": Path.touch}) == 0
    said = capsys.readouterr().out
    assert said == (
        "No pictures: pictures need matplotlib: install the extra, e.g. foundation-nn[plot]\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert pictures(tmp_path / "file", {"a.png": Path.touch}) == 1
    assert f"{tmp_path / 'file'} cannot be written" in capsys.readouterr().out
