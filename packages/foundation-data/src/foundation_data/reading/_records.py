"""The records of text files: columns of a table, fields of JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from foundation_nn.files import parse_json

from foundation_data.reading._lines import ReadLimits, content_suffix, read_lines

DELIMITERS = {".tsv": "\t", ".txt": "\t", ".csv": ","}
JSON_LINES = (".jsonl", ".ndjson")
_NAMES = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a space"}


def table_cells(
    path: Path, delimiter: str, columns: Sequence[int], limits: ReadLimits
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, the cells in `columns`); an empty line gives empty cells.

    Only .csv files know quoting: elsewhere a quote is a quote.

    Raises
    ------
    ValueError
        If a line has too few columns, or CSV is malformed; names the line.
    """
    if content_suffix(path) == ".csv":
        rows = _quoted_rows(path, delimiter, limits)
    else:
        rows = ((number, line.split(delimiter)) for number, line in read_lines(path, limits))
    width = max(columns) + 1
    for number, row in rows:
        is_empty_line = len(row) == 1 and not row[0].strip()
        if is_empty_line:
            row = [""] * width
        if len(row) < width:
            name = _NAMES.get(delimiter, repr(delimiter))
            expected = "two columns (source, target)" if width == 2 else f"{width} columns"
            found = f"one: {row[0]!r:.60}" if len(row) == 1 else f"{len(row)}"
            raise ValueError(
                f"{path}, line {number}: expected {expected} separated by {name}, got {found}"
            )
        yield number, [row[column] for column in columns]


def _quoted_rows(path: Path, delimiter: str, limits: ReadLimits) -> Iterator[tuple[int, list[str]]]:
    lines = (line + "\n" for _, line in read_lines(path, limits))
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {start}: malformed CSV: {error}") from error
        if row is None:
            return
        yield start, row or [""]
        start = rows.line_num + 1


def json_records(path: Path, limits: ReadLimits) -> Iterator[tuple[int, object]]:
    """Yield (line number, value) of a file with JSON in each line; None for an empty line.

    Raises
    ------
    ValueError
        If a line is no JSON; names the line.
    """
    for number, line in read_lines(path, limits):
        if not line.strip():
            yield number, None
            continue
        try:
            yield number, parse_json(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error


def json_fields(
    path: Path, fields: Sequence[str], limits: ReadLimits
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, the strings in `fields`) of a file with a JSON object in each line.

    A dot leads inside: ``translation.fr``. An empty line gives empty strings.

    Raises
    ------
    ValueError
        If a line is no JSON object or lacks a field; names the line.
    """
    for number, record in json_records(path, limits):
        if record is None:
            yield number, [""] * len(fields)
            continue
        values: list[str] = []
        for field in fields:
            value: object = record
            for key in field.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if not isinstance(value, str):
                found = ", ".join(record) if isinstance(record, dict) else type(record).__name__
                raise ValueError(
                    f"{path}, line {number}: expected a text in the field {field!r}, got "
                    f"{'none' if value is None else type(value).__name__} (found: {found:.80})"
                )
            values.append(value)
        yield number, values
