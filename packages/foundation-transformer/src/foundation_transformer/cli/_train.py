"""``foundation train`` and ``foundation resume``: a run in a folder of its own."""

from __future__ import annotations

import argparse
import glob
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn import checkpoint, optim, summary
from foundation_nn.distributed import launch
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

from foundation_transformer._heads import TextClassifier
from foundation_transformer.adapters import Lora
from foundation_transformer.cli._corpus import remove_ids
from foundation_transformer.cli._find_lr import propose_lr
from foundation_transformer.cli._folder import writable
from foundation_transformer.cli._learner import tuned
from foundation_transformer.cli._optimization import make_optimizer, make_schedule
from foundation_transformer.cli._plan import (
    EPOCHS,
    counts_steps,
    evaluation_steps,
    planned_steps,
    run_of,
    warmup_steps,
)
from foundation_transformer.cli._pretrained import is_published
from foundation_transformer.cli._processes import Crew, how_many, start
from foundation_transformer.cli._run_file import (
    Run,
    is_run,
    present_environment,
    read_run,
    write_run,
)
from foundation_transformer.cli._settings import Settings, settings_of
from foundation_transformer.cli._size import describe_size, lr_of, resolve
from foundation_transformer.cli._status import DONE, INTERRUPTED
from foundation_transformer.cli._streams import obeying
from foundation_transformer.cli._task import make_task
from foundation_transformer.cli._task_kind import Task
from foundation_transformer.cli._tuning import show_an_example

#: Within the folder of a run: what happened in it.
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
    settings = resolve(settings_of(options))
    folder = options.out or Path("runs", _name_of(settings.data))
    if not launch.is_launched():
        _refuse_run(folder)  # before it is asked whether several processes can be started
    if options.find_lr:
        with _new_folder(folder):
            propose_lr(folder, settings, make_task(settings, None, folder, not options.quiet))
            remove_ids(folder)
        return DONE
    count = how_many(options)
    if count > 1:
        return start(count, options.arguments)
    crew: Crew = options.crew
    with crew.only_first(_new_folder(folder)):
        task = _task_of_all(crew, settings, None, folder, options.quiet)
        environment = present_environment() | {"processes": str(crew.size)}
        crew.first(lambda: write_run(folder, run_of(settings, task, environment)))
        return _run(folder, settings, task, None, options)


def finetune(options: argparse.Namespace) -> int:
    """Begin a run that tunes a model, or show what it would learn.

    Raises
    ------
    OSError, ValueError
        As :func:`train`; if the base or the examples cannot be used.
    """
    options.what = "finetune"
    if options.show:
        show_an_example(resolve(settings_of(options)))
        return DONE
    return train(options)


def _refuse_run(folder: Path) -> None:
    if is_run(folder):
        raise ValueError(
            f"{folder}: holds a run already; go on with it by foundation resume "
            f"{shlex.quote(str(folder))}, or choose another folder with --out"
        )


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Own a folder in which no run was begun; a command that was killed may have left ids."""
    _refuse_run(folder)
    with writable(folder), own_folder(folder):
        remove_ids(folder)
        yield


def _task_of_all(
    crew: Crew, settings: Settings, extras: dict[str, Any] | None, folder: Path, quiet: bool
) -> Task:
    """The same task in every process; the first one makes the tokenizers and files of ids."""
    made: list[Task] = []

    def make_in_the_first() -> dict[str, Any]:
        made.append(make_task(settings, extras, folder, progress=not quiet))
        return made[0].extras

    of_the_first = crew.first(make_in_the_first)
    return made[0] if made else make_task(settings, of_the_first, folder, progress=False)


def _name_of(data: str) -> str:
    """What a run is called after its data: of a pattern, the folder it looks in."""
    path = Path(data)
    while glob.has_magic(path.name):
        path = path.parent
    return path.resolve().name.partition(".")[0] or "run"


def resume(options: argparse.Namespace) -> int:
    """Go on with a run that was interrupted or killed, from its newest checkpoint or a given one.

    Raises
    ------
    OSError, ValueError
        If there is no run, or the checkpoint cannot be used.
    """
    folder = options.folder
    run = read_run(folder)
    settings = _with_base(_prolonged(run.settings, options), options.base)
    crew: Crew = options.crew
    count = how_many(options, usual=_processes_of(run))
    if count > 1:
        return start(count, options.arguments)
    with crew.only_first(own_folder(folder)):
        saved = checkpoints_of(folder)
        place = options.checkpoint or (saved[-1] if saved else None)
        # The tokenizers are those of the checkpoint: new ones, of a text that has changed, would
        # give other ids to the weights that were learnt.
        extras = {} if place is None else checkpoint.load(place).extras
        task = _task_of_all(crew, settings, extras, folder, options.quiet)
        changed = {name for name, sha in run.data.items() if task.fingerprints.get(name) != sha}
        if changed or len(task.fingerprints) != len(run.data):
            name = settings.base if changed == {"base"} else settings.data
            raise ValueError(
                f"{name}: is not what the run was begun with; bring it back to what it was, or "
                f"begin another run with: foundation {_command(settings)}"
            )
        environment = run.environment | {"processes": str(crew.size)}
        if settings != run.settings or environment != run.environment:
            crew.first(lambda: write_run(folder, run_of(settings, task, environment)))
        return _run(folder, settings, task, place, options)


def _with_base(settings: Settings, moved_to: Path | None) -> Settings:
    """The settings with the place where the base of a tuned model is now.

    Raises
    ------
    FileNotFoundError
        If it is not where it was, and nobody says where it is.
    ValueError
        If the run has no base.
    """
    if settings.base is None:
        if moved_to is not None:
            raise ValueError("--base: does nothing, for the run began with a model of its own")
        return settings
    place = Path(settings.base) if moved_to is None else moved_to
    if not place.exists() and not is_published(place):
        raise FileNotFoundError(
            f"{place}: the base of this run is not there; put it back, or say where it is with "
            "--base"
        )
    return settings if moved_to is None else replace(settings, base=str(moved_to))


def _processes_of(run: Run) -> int | None:
    """How many it had; None in a file that does not say so."""
    given = str(run.environment.get("processes", ""))
    return int(given) if given.isdecimal() and int(given) else None


def _prolonged(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings with another end, if one is given.

    Raises
    ------
    ValueError
        If the run would end earlier, or windows of a text shall count epochs.
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


def _run(
    folder: Path, settings: Settings, task: Task, place: Path | None, options: argparse.Namespace
) -> int:
    crew: Crew = options.crew
    rng = np.random.default_rng(settings.seed)
    model = task.make_model(rng)
    trainer = _make_trainer(folder, settings, task, model, rng, crew)
    if not options.quiet:
        trainer.callbacks.append(Progress(obeying(sys.stderr)))
    if place is None and isinstance(model, Lora):
        print(f"\n{_share_that_is_learnt(model)}")
    elif place is None:
        print(f"\n{summary(model)}\n")
        if settings.depth is not None:
            print(describe_size(settings, model))
    else:
        trainer.resume(place)
        print(f"\nGoing on after step {trainer.steps:,}, from {place}")
    if crew.size > 1:
        print(f"{crew.line()}.")
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
    _say_what_next(folder, settings, trainer, task.extras)
    return INTERRUPTED if trainer.stopped_by == "interrupt" else DONE


def _make_trainer(
    folder: Path,
    settings: Settings,
    task: Task,
    model: Any,
    rng: np.random.Generator,
    crew: Crew,
) -> Trainer:
    lr = lr_of(settings)
    final = lr / 10 if settings.task == "language-model" else 0.0
    steps = planned_steps(settings, task)
    warmup = warmup_steps(settings, task)
    optimizer = make_optimizer(settings, model, lr)
    maximize = settings.metric != "loss"
    saver = Checkpoints(
        folder, settings.save_every, settings.keep, settings.metric, maximize, **task.extras
    )
    callbacks: list[Callback] = [JsonLog(folder / HISTORY), saver]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(settings.patience, settings.metric, maximize))
    return Trainer(
        model,
        task.loss,
        optimizer,
        schedule=make_schedule(settings.schedule, lr, steps, warmup, final, task.config.d_model),
        clip_norm=settings.clip_norm,
        accumulate=settings.accumulate,
        ema=optim.EMA(optimizer, settings.ema) if settings.ema else None,
        metrics=task.metrics,
        samples=task.samples if settings.samples else None,
        skip_failed=settings.skip_failed,
        rng=rng,
        callbacks=callbacks,
        folder=folder,
        comm=crew.comm,
    )


def _longer(settings: Settings, trainer: Trainer) -> tuple[str, int]:
    """The flag with which the run goes on for as long again."""
    if trainer.stopped_by == "seconds" and settings.max_seconds:
        return "max-seconds", 2 * settings.max_seconds
    windows = settings.task == "language-model" and not settings.pack
    if settings.steps is not None or windows:
        return "steps", 2 * trainer.steps
    return "epochs", 2 * (settings.epochs or EPOCHS)


def _command(settings: Settings) -> str:
    """The command that begins such a run."""
    return "finetune" if settings.task == "finetune" else "train"


def _share_that_is_learnt(lora: Lora) -> str:
    """How much a change has of what the model has."""
    learnt = lora.num_parameters()
    # A compact model has its matrices in buffers.
    buffers = sum(each.size for each in lora.model.buffers())
    whole = lora.model.num_parameters() - learnt + buffers
    head = "" if lora.head is None else f", and a head for {len(lora.head.weight)} labels"
    return (
        f"A change of rank {lora.rank} in {len(lora.layers)} matrices{head}: {learnt:,} numbers "
        f"are learnt, {learnt / whole:.2%} of the {whole:,} that the model has and keeps"
    )


def _say_what_next(
    folder: Path, settings: Settings, trainer: Trainer, extras: Mapping[str, Any]
) -> None:
    reason = {"interrupt": "interrupted"}.get(trainer.stopped_by, trainer.stopped_by)
    print(f"\nEnded after step {trainer.steps:,} ({reason}).")
    use = "translate" if settings.task == "translation" else "generate"
    if "chat_template" in extras:
        use = "chat"
    if isinstance(tuned(trainer.model), TextClassifier):
        use = "classify"
    place = shlex.quote(str(folder))
    if trainer.stopped_by == "interrupt":
        print(f"  go on:   foundation resume {place}")
    else:
        limit, count = _longer(settings, trainer)
        print(f"  longer:  foundation resume {place} --{limit} {count}")
    print(f"  use it:  foundation {use} {place}\n  look:    foundation report {place}")
