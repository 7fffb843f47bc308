"""``foundation train`` and ``foundation resume``: a run in a folder of its own."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foundation_nn import checkpoint, optim, schedules, summary
from foundation_nn.files import field, parse_json, read_bytes, write_file
from foundation_nn.training import (
    Callback,
    Checkpoints,
    EarlyStopping,
    JsonLog,
    Progress,
    Trainer,
    checkpoints_of,
    own_folder,
)

from foundation_transformer.cli._folder import writable
from foundation_transformer.cli._plan import (
    EPOCHS,
    counts_steps,
    evaluation_steps,
    model_title,
    planned_steps,
    tables,
    warmup_steps,
)
from foundation_transformer.cli._settings import Settings, settings_of
from foundation_transformer.cli._status import DONE, INTERRUPTED
from foundation_transformer.cli._streams import obeying
from foundation_transformer.cli._task import Task, make_task

#: Within the folder of a run: its settings.
SETTINGS = "run.json"
#: And what happened in it.
HISTORY = "history.jsonl"


def train(options: argparse.Namespace) -> int:
    """Begin a run; returns the exit status.

    Raises
    ------
    ValueError
        If the folder holds a run already.
    OSError
        If another process is at work there.
    """
    settings = settings_of(options)
    folder = options.out or Path("runs", Path(settings.data).name.partition(".")[0])
    if (folder / SETTINGS).exists():
        raise ValueError(
            f"{folder}: holds a run already; go on with it by foundation resume {folder}, or "
            "choose another folder with --out"
        )
    task = make_task(settings)
    with writable(folder), own_folder(folder):
        _write_settings(folder, settings, task)
        return _run(folder, settings, task, None, options.quiet)


def resume(options: argparse.Namespace) -> int:
    """Go on with a run that was interrupted or killed, from its newest checkpoint or a given one.

    Raises
    ------
    OSError, ValueError
        If there is no run, or the checkpoint cannot be used.
    """
    folder = options.folder
    settings = _prolonged(read_settings(folder), options)
    saved = checkpoints_of(folder)
    place = options.checkpoint or (saved[-1] if saved else None)
    # The tokenizers are those of the checkpoint: new ones, of a text that has changed, would give
    # other ids to the weights that were learnt.
    extras = {} if place is None else checkpoint.load(place).extras
    task = make_task(settings, extras)
    _require_same_data(settings, task, extras)
    with own_folder(folder):
        if settings != read_settings(folder):
            _write_settings(folder, settings, task)
        return _run(folder, settings, task, place, options.quiet)


def _require_same_data(settings: Settings, task: Task, extras: dict[str, Any]) -> None:
    """Refuse to go on with weights that were learnt from something else.

    Raises
    ------
    ValueError
    """
    saved = (extras.get("training") or {}).get("batches")
    if isinstance(saved, dict) and saved.get("fingerprint") != task.fingerprint:
        raise ValueError(
            f"{settings.data}: is not what the run was begun with; bring it back to what it was, "
            "or begin another run with: foundation train"
        )


def _prolonged(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings with another end, if one is given.

    Raises
    ------
    ValueError
        If the run would end earlier, or a language model shall count epochs.
    """
    given = {name: getattr(options, name) for name in ("epochs", "steps", "max_seconds")}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        before = getattr(settings, name)
        if before is not None and value < before:
            raise ValueError(
                f"--{name.replace('_', '-')}: the run has {before:,}; expected more, got {value:,}"
            )
    if "steps" in given and "epochs" not in given:
        given["epochs"] = None
    elif "epochs" in given and "steps" not in given:
        given["steps"] = None
    return replace(settings, **given)


def _write_settings(folder: Path, settings: Settings, task: Task) -> None:
    """The settings as they were given, to go on with; for people, with what they came to."""
    shown = {**tables(settings, task), "Environment": _environment()}
    title = f"{model_title(shown['Model'])}, on {Path(settings.data).name}"
    content = {"settings": settings.to_dict(), "title": title, "tables": shown}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    # What is no text, such as the name of a file in another encoding, is escaped as in JSON.
    write_file(folder / SETTINGS, text.encode(errors="backslashreplace"))


class Run(NamedTuple):
    """What is known of a run before it begins.

    Attributes
    ----------
    settings : Settings
        As they were given.
    title : str
        For people: model and data.
    tables : dict of str to dict
        For people: settings with what they came to, the model, and the environment.
    """

    settings: Settings
    title: str
    tables: dict[str, dict[str, Any]]


def read_run(folder: Path) -> Run:
    """What a run was begun with.

    Raises
    ------
    OSError, ValueError
        If there is no run, or its file was altered.
    """
    file = folder / SETTINGS
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
        )
    except ValueError as error:
        raise ValueError(f"{file}: not the settings of a run ({error})") from None


def read_settings(folder: Path) -> Settings:
    """Those of a run.

    Raises
    ------
    OSError, ValueError
        If there is no run, or its file was altered.
    """
    return read_run(folder).settings


def _run(folder: Path, settings: Settings, task: Task, place: Path | None, quiet: bool) -> int:
    rng = np.random.default_rng(settings.seed)
    model = task.make_model(rng)
    trainer = _make_trainer(folder, settings, task, model, rng)
    if not quiet:
        trainer.callbacks.append(Progress(obeying(sys.stderr)))
    if place is None:
        print(f"\n{summary(model)}\n")
    else:
        trainer.resume(place)
        print(f"\nGoing on after step {trainer.steps:,}, from {place}")
    print("Ctrl-C stops after the present step, and keeps all that is needed to go on.\n")
    epochs = settings.epochs or EPOCHS
    by_steps = counts_steps(settings, task)
    trainer.fit(
        task.batches,
        validation=task.validation,
        evaluate_every=evaluation_steps(settings, task),
        max_steps=planned_steps(settings, task) if by_steps else None,
        max_epochs=None if by_steps else epochs,
        max_seconds=settings.max_seconds,
    )
    _say_what_next(folder, settings, trainer)
    return INTERRUPTED if trainer.stopped_by == "interrupt" else DONE


def _make_trainer(
    folder: Path, settings: Settings, task: Task, model: Any, rng: np.random.Generator
) -> Trainer:
    steps = planned_steps(settings, task)
    warmup = warmup_steps(settings, task)
    final = 0.0 if task.batches_per_epoch else settings.lr / 10
    optimizer = optim.AdamW(
        model, settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    maximize = settings.metric != "loss"
    saver = Checkpoints(
        folder, settings.save_every, settings.keep, settings.metric, maximize, **task.tokenizers
    )
    callbacks: list[Callback] = [JsonLog(folder / HISTORY), saver]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(settings.patience, settings.metric, maximize))
    return Trainer(
        model,
        task.loss,
        optimizer,
        schedule=schedules.cosine(settings.lr, max(steps, warmup + 1), warmup, final),
        clip_norm=settings.clip_norm,
        accumulate=settings.accumulate,
        ema=optim.EMA(optimizer, settings.ema) if settings.ema else None,
        metrics=task.metrics,
        samples=task.samples if settings.samples else None,
        skip_failed=settings.skip_failed,
        rng=rng,
        callbacks=callbacks,
        folder=folder,
    )


def _environment() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("numpy", "foundation-nn", "foundation-transformer", "foundation-data"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _longer(settings: Settings, trainer: Trainer) -> tuple[str, int]:
    """The flag with which the run goes on for as long again."""
    if trainer.stopped_by == "seconds" and settings.max_seconds:
        return "max-seconds", 2 * settings.max_seconds
    if settings.steps is not None or settings.task == "language-model":
        return "steps", 2 * trainer.steps
    return "epochs", 2 * (settings.epochs or EPOCHS)


def _say_what_next(folder: Path, settings: Settings, trainer: Trainer) -> None:
    reason = {"interrupt": "interrupted"}.get(trainer.stopped_by, trainer.stopped_by)
    print(f"\nEnded after step {trainer.steps:,} ({reason}).")
    use = "translate" if settings.task == "translation" else "generate"
    if trainer.stopped_by == "interrupt":
        print(f"  go on:   foundation resume {folder}")
    else:
        limit, count = _longer(settings, trainer)
        print(f"  longer:  foundation resume {folder} --{limit} {count}")
    print(f"  use it:  foundation {use} {folder}\n  look:    foundation report {folder}")
