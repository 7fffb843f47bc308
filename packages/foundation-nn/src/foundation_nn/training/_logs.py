"""A run as files that other programs read while it goes on."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any, TextIO

from foundation_nn.files import naming, write_file
from foundation_nn.training._callback import Callback
from foundation_nn.training._history import Evaluation, History, Step
from foundation_nn.training._trainer import Trainer


class _FileLog(Callback):
    """A file that grows by a line for each thing that happens."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def _open(self, beginning: str) -> None:
        """Begin the file with what was kept of it; a crash leaves the older one, or this."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.path, beginning)
        self._file = self.path.open("a", encoding="utf-8", newline="")

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:  # a full disk names no file
            raise naming(error, self.path) from error

    def on_end(self, trainer: Trainer) -> None:  # noqa: ARG002
        if self._file is not None:
            self._file.close()
            self._file = None


class JsonLog(_FileLog):
    """Writes steps, evaluations and skipped steps to a file, one JSON object a line.

    A run that is resumed goes on with the file: lines after the step it resumes from are removed,
    and the trainer's history is what the rest tells.

    Parameters
    ----------
    path : path
        Such as ``history.jsonl``. A new run replaces it.
    """

    def on_start(self, trainer: Trainer) -> None:
        kept = _lines_until(self.path, trainer) if trainer.steps and self.path.exists() else []
        if not trainer.history.steps:
            trainer.history = _history(self.path, kept)
        self._open("".join(map(_as_line, kept)))

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self._append(_as_line({"event": "step", **asdict(step)}))

    def on_skip(self, trainer: Trainer, message: str) -> None:
        self._append(_as_line({"event": "skip", "step": trainer.steps + 1, "message": message}))

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:  # noqa: ARG002
        self._append(_as_line({"event": "evaluation", **asdict(evaluation)}))


class CsvLog(_FileLog):
    """Writes the steps to a table for spreadsheets; a run that is resumed goes on with it.

    Parameters
    ----------
    path : path
        Such as ``steps.csv``. A new run replaces it.
    """

    def on_start(self, trainer: Trainer) -> None:
        kept: list[list[str]] = []
        if trainer.steps and self.path.exists():
            rows = csv.reader(_whole_lines(self.path)[1:])
            kept = [row for row in rows if int(row[0]) <= trainer.steps]
        names = [field.name for field in fields(Step)]
        self._open("".join(map(_as_row, [names, *kept])))

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self._append(_as_row(list(astuple(step))))


def read_history(path: str | os.PathLike[str]) -> History:
    """What a :class:`JsonLog` wrote; a last line that was cut short is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another kind of file.
    """
    return _history(Path(path), _read(Path(path)))


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content = [json.loads(line) for line in _whole_lines(path)]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not the history of a run ({error})") from None
    for line in content:
        if not (isinstance(line, dict) and "event" in line and type(line.get("step")) is int):
            raise ValueError(f"{path}: not the history of a run")
    return content


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file but for a last one that a kill has cut short."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    return lines[:-1] if lines and not lines[-1].endswith("\n") else lines


def _lines_until(path: Path, trainer: Trainer) -> list[dict[str, Any]]:
    """What had happened when the trainer was saved."""
    last = {"step": trainer.steps, "skip": trainer.steps, "evaluation": trainer.evaluated_at}
    return [line for line in _read(path) if line["step"] <= last.get(line["event"], -1)]


def _history(path: Path, lines: list[dict[str, Any]]) -> History:
    history = History()
    for line in lines:
        values = {name: value for name, value in line.items() if name != "event"}
        try:
            if line["event"] == "step":
                history.steps.append(Step.from_dict(values))
            elif line["event"] == "evaluation":
                history.evaluations.append(Evaluation.from_dict(values))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: not the history of a run ({error})") from None
    return history


def _as_line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def _as_row(values: list[Any]) -> str:
    row = io.StringIO()
    csv.writer(row).writerow(values)
    return row.getvalue()
