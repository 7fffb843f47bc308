"""``foundation report``: a run as one page for the browser."""

from __future__ import annotations

import argparse
from typing import Any

from foundation_nn import checkpoint
from foundation_nn.training import History, read_history, write_report

from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._train import HISTORY, read_run


def report(options: argparse.Namespace) -> None:
    """Write the page of a run, also while it goes on.

    Raises
    ------
    OSError, ValueError
        If there is no run.
    """
    folder = options.folder
    settings: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    if (folder / HISTORY).exists():
        history = read_history(folder / HISTORY)
        of_the_run, environment = read_run(folder)
        settings = of_the_run.to_dict()
    else:
        loaded = checkpoint.load(find_checkpoint(folder))
        found = loaded.extras.get("history")
        settings = loaded.model.to_dict()
        if not isinstance(found, History):
            raise ValueError(f"{folder}: no history of a run there")
        history = found
    out = options.out or folder / "report.html"
    write_report(history, out, folder.name, settings, environment)
    print(out)
