"""A run as files that other programs read while it goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any, TextIO

from foundation_nn.files import MAX_BYTES, field, parse_json, read_text, write_file
from foundation_nn.files._write import naming
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
            kept = _rows_until(self.path, trainer.steps)
        names = [each.name for each in fields(Step)]
        self._open("".join(map(_as_row, [names, *kept])))

    def on_step(self, trainer: Trainer, step: Step) -> None:  # noqa: ARG002
        self._append(_as_row(list(astuple(step))))


def read_history(path: str | os.PathLike[str], max_bytes: int | None = 16 * MAX_BYTES) -> History:
    """What a :class:`JsonLog` wrote; a last line that was cut short is left out.

    Parameters
    ----------
    path : path
    max_bytes : int or None
        How large the file may be; None: as large as it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is another kind of file, or a larger one.
    """
    return _history(Path(path), _read(Path(path), max_bytes))


def _read(path: Path, max_bytes: int | None) -> list[dict[str, Any]]:
    content = []
    for number, line in enumerate(_whole_lines(path, max_bytes), 1):
        try:
            values = parse_json(line, allow_nan=True)  # a loss may be infinite, or no number
            field(values, "event", str)
            field(values, "step", int)
        except ValueError as error:
            raise ValueError(f"{path}: not the history of a run (line {number}: {error})") from None
        content.append(values)
    return content


def _whole_lines(path: Path, max_bytes: int | None) -> list[str]:
    """The lines of a file but for a last one that a kill has cut short.

    They end with LF alone: what else counts as the end of a line may stand in a sample of text.
    """
    return read_text(path, max_bytes).split("\n")[:-1]


def _lines_until(path: Path, trainer: Trainer) -> list[dict[str, Any]]:
    """What had happened when the trainer was saved."""
    last = {"step": trainer.steps, "skip": trainer.steps, "evaluation": trainer.evaluated_at}
    return [line for line in _read(path, None) if line["step"] <= last.get(line["event"], -1)]


def _rows_until(path: Path, step: int) -> list[list[str]]:
    """The rows of a table of steps, without their names, up to a step."""
    rows = list(csv.reader(_whole_lines(path, None)[1:]))
    for number, row in enumerate(rows, 2):
        if not (row and re.fullmatch("[0-9]{1,18}", row[0])):
            raise ValueError(f"{path}, line {number}: not a table of the steps of a run")
    return [row for row in rows if int(row[0]) <= step]


def _history(path: Path, lines: list[dict[str, Any]]) -> History:
    history = History()
    for line in lines:
        values = {name: value for name, value in line.items() if name != "event"}
        try:
            if line["event"] == "step":
                history.steps.append(Step.from_dict(values))
            elif line["event"] == "evaluation":
                history.evaluations.append(Evaluation.from_dict(values))
        except ValueError as error:
            raise ValueError(f"{path}: not the history of a run ({error})") from None
    return history


def _as_line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def _as_row(values: list[Any]) -> str:
    row = io.StringIO()
    csv.writer(row).writerow(values)
    return row.getvalue()
