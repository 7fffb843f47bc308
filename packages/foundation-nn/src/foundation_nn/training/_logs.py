"""A run as files that other programs read while it goes on."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation, History, Step
from foundation_nn.training._trainer import Trainer


class JsonLog(Callback):
    """Writes steps, evaluations and skipped steps to a file, one JSON object a line.

    A run that is resumed goes on with the file: lines after the step it resumes from are removed,
    and the trainer's history is what the rest tells.

    Parameters
    ----------
    path : path
        Such as ``history.jsonl``. A new run replaces it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def on_start(self, trainer: Trainer) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = _lines_until(self.path, trainer) if trainer.steps and self.path.exists() else []
        if not trainer.history.steps:
            trainer.history = _history(kept)
        fresh = self.path.with_name(f".{self.path.name}")
        fresh.write_text("".join(map(_as_line, kept)), "utf-8")
        fresh.replace(self.path)
        self._file = self.path.open("a", encoding="utf-8")

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self._write({"event": "step", **asdict(step)})

    def on_skip(self, trainer: Trainer, message: str) -> None:
        self._write({"event": "skip", "step": trainer.steps + 1, "message": message})

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:  # noqa: ARG002
        self._write({"event": "evaluation", **asdict(evaluation)})

    def on_end(self, trainer: Trainer) -> None:  # noqa: ARG002
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, content: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(_as_line(content))
            self._file.flush()


class CsvLog(Callback):
    """Writes the steps to a table for spreadsheets; a run that is resumed goes on with it.

    Parameters
    ----------
    path : path
        Such as ``steps.csv``. A new run replaces it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None
        self._table: csv.DictWriter[str] | None = None

    def on_start(self, trainer: Trainer) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept: list[dict[str, Any]] = []
        if trainer.steps and self.path.exists():
            with self.path.open(encoding="utf-8", newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= trainer.steps]
        self._file = self.path.open("w", encoding="utf-8", newline="")
        self._table = csv.DictWriter(self._file, [field.name for field in fields(Step)])
        self._table.writeheader()
        self._table.writerows(kept)

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        if self._table is not None:
            self._table.writerow(asdict(step))

    def on_settled(self, trainer: Trainer) -> None:  # noqa: ARG002
        if self._file is not None:
            self._file.flush()

    def on_end(self, trainer: Trainer) -> None:  # noqa: ARG002
        if self._file is not None:
            self._file.close()
            self._file = self._table = None


def read_history(path: str | os.PathLike[str]) -> History:
    """What a :class:`JsonLog` wrote; a last line that was cut short is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another kind of file.
    """
    return _history(_read(Path(path)))


def _read(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        del lines[-1]
    try:
        content = [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not the history of a run ({error})") from None
    if not all(isinstance(line, dict) and "event" in line for line in content):
        raise ValueError(f"{path}: not the history of a run")
    return content


def _lines_until(path: Path, trainer: Trainer) -> list[dict[str, Any]]:
    """What had happened when the trainer was saved."""
    last = {"step": trainer.steps, "skip": trainer.steps, "evaluation": trainer.evaluated_at}
    return [line for line in _read(path) if line["step"] <= last.get(line["event"], -1)]


def _history(lines: list[dict[str, Any]]) -> History:
    history = History()
    for line in lines:
        rest = {name: value for name, value in line.items() if name != "event"}
        if line["event"] == "step":
            history.steps.append(Step(**rest))
        elif line["event"] == "evaluation":
            history.evaluations.append(Evaluation(**rest))
    return history


def _as_line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
