"""The example runs with whatever is installed, and says what it does."""

import re
import sys
from pathlib import Path

import pytest
from foundation_data.examples import pipeline


def test_with_nothing_but_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "emoji", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "foundation_nn.plotting._picture", None)
    assert pipeline.main(["--quick", "--out", str(tmp_path / "plots")]) == 0
    said = capsys.readouterr().out
    assert "dates will do" in said
    assert "No pictures: pictures need matplotlib" in said
    parts = re.findall(r"([\d,]+) to (?:train|validate|test)", said)
    assert sum(int(part.replace(",", "")) for part in parts) == 1000


def test_a_file_and_its_pictures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    file = tmp_path / "pairs.tsv"
    rows = [f"{'very ' * (n % 7)}good {n}\t{'très ' * (n % 7)}bon {n}\n" for n in range(400)]
    file.write_text("".join(rows) + "\tempty\n", encoding="utf-8")
    out = tmp_path / "plots"
    assert pipeline.main([str(file), "--out", str(out), "--max-tokens", "100"]) == 0
    said = capsys.readouterr().out
    assert [line.split(": ")[1] for line in said.splitlines() if line.startswith("Picture: ")] == [
        str(out / f"{name}.png") for name in ("coverage", "padding", "masks")
    ]
    assert "401 read, 400 kept, 1 dropped" in said
    before, after = (
        float(said.split(name)[1].split("%")[0].split()[-1])
        for name in ("as they come", "similar lengths together")
    )
    assert after < 12 < 25 < before
    for name in ("coverage", "padding", "masks"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("one column\n", [], "line 1: expected two columns"),
        ("a b c d e\tf\n", ["--max-tokens", "3"], "expected max_tokens of at least 6"),
        (None, [], "no such file"),
    ],
)
def test_one_line_for_what_is_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    options: list[str],
    message: str,
) -> None:
    file = tmp_path / "pairs.tsv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit, match="1"):
        pipeline.main([str(file), *options])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    (tmp_path / "file").touch()
    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"word {n}\tmot {n}\n" for n in range(50)))
    assert pipeline.main([str(file), "--out", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().out
