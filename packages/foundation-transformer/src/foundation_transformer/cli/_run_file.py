"""``run.json``: what a run was begun with."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from foundation_nn.files import field, parse_json, read_bytes, write_file

from foundation_transformer.cli._settings import Settings

#: Within the folder of a run.
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Run:
    """What the file holds.

    Attributes
    ----------
    settings : Settings
        To go on with.
    title : str
        For people: model and data.
    tables : dict of str to dict
        For people: settings with what they came to, the model, the data, and the environment that
        the run was begun in.
    data : dict of str to str
        Checksums of what is trained on and of what is held out.
    """

    settings: Settings
    title: str
    tables: dict[str, dict[str, Any]]
    data: dict[str, str]

    @property
    def environment(self) -> dict[str, Any]:
        """Versions and platform, as they were when the run was begun."""
        return self.tables.get("Environment", {})


def is_run(folder: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (folder / RUN_FILE).exists()


def write_run(folder: Path, run: Run) -> None:
    """Write the file, whole or not at all."""
    content = {**vars(run), "settings": run.settings.to_dict()}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    # What is no text, such as the name of a file in another encoding, is escaped as in JSON.
    write_file(folder / RUN_FILE, text.encode(errors="backslashreplace"))


def read_run(folder: Path) -> Run:
    """Read what :func:`write_run` wrote.

    Raises
    ------
    OSError, ValueError
        If there is no run, or its file was altered.
    """
    file = folder / RUN_FILE
    try:
        content = read_bytes(file)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{folder}: no run there; begin one with: foundation train --help"
        ) from None
    try:
        run = parse_json(content)
        return Run(
            Settings.from_dict(field(run, "settings", dict)),
            field(run, "title", str),
            field(run, "tables", dict[str, dict[str, Any]]),
            field(run, "data", dict[str, str]),
        )
    except ValueError as error:
        raise ValueError(f"{file}: not the settings of a run ({error})") from None


def present_environment() -> dict[str, str]:
    """Versions and platform."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("numpy", "foundation-nn", "foundation-transformer", "foundation-data"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
