"""``foundation report``: a run as one page for the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from foundation_nn import checkpoint
from foundation_nn.training import History, read_history, write_report

from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._plan import model_table, model_title
from foundation_transformer.cli._run_file import read_run
from foundation_transformer.cli._train import HISTORY
from foundation_transformer.config import TransformerConfig


def report(options: argparse.Namespace) -> None:
    """Write the page of a run, also while it goes on.

    Raises
    ------
    OSError, ValueError
        If there is no run.
    """
    print(write_report_of(options.folder, options.out))


def write_report_of(folder: Path, out: Path | None = None) -> Path:
    """Write the page of the run in a folder, by default beside it, and return where it is."""
    metric = "loss"
    if (folder / HISTORY).exists():
        history = read_history(folder / HISTORY)
        run = read_run(folder)
        title, tables = run.title, run.tables
        metric = run.settings.metric
    else:
        loaded = checkpoint.load(find_checkpoint(folder))
        found = loaded.extras.get("history")
        if not isinstance(found, History):
            raise ValueError(f"{folder}: no history of a run there")
        history = found
        kind = type(loaded.model).__name__
        config = getattr(loaded.model, "config", None)
        if isinstance(config, TransformerConfig):
            tables = {"Model": model_table(config, kind)}
            kind = model_title(tables["Model"])
        else:
            tables = {"Model": loaded.model.to_dict()}
        title = f"{kind}, in {folder.resolve().name}"
    out = out or folder / "report.html"
    write_report(
        history,
        out,
        title,
        tables,
        loss_unit="nats per token",
        metric=metric,
        maximize=metric != "loss",
    )
    return out
