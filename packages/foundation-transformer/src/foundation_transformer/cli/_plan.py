"""What a run really does, where its settings leave a choice to the program."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from foundation_transformer._config_checks import reads_field
from foundation_transformer.cli._optimization import decay_of
from foundation_transformer.cli._run_file import Run
from foundation_transformer.cli._settings import TASKS, TASKS_OF, TOKENIZERS, Settings
from foundation_transformer.cli._task_kind import Task
from foundation_transformer.cli._tokenizers import VOCAB_SIZE
from foundation_transformer.config import TransformerConfig

#: Passes over the pairs, if nothing else is said.
EPOCHS = 10


def counts_steps(settings: Settings, task: Task) -> bool:
    """Whether the run ends after a number of steps, not of epochs."""
    return settings.steps is not None or task.batches_per_epoch is None


def planned_steps(settings: Settings, task: Task) -> int:
    """Where the learning rate has come down."""
    if settings.steps is not None or task.batches_per_epoch is None:
        return settings.steps or 2000
    return (settings.epochs or EPOCHS) * math.ceil(task.batches_per_epoch / settings.accumulate)


def warmup_steps(settings: Settings, task: Task) -> int:
    """In which the learning rate rises."""
    if settings.warmup is not None:
        return settings.warmup
    return min(400, planned_steps(settings, task) // 10)


def evaluation_steps(settings: Settings, task: Task) -> int | None:
    """Steps between evaluations; None for once an epoch, or never where nothing is held out."""
    if task.validation is None:
        return None
    if settings.evaluate_every is None and task.batches_per_epoch is None:
        return max(1, planned_steps(settings, task) // 10)
    return settings.evaluate_every


def run_of(settings: Settings, task: Task, environment: dict[str, Any]) -> Run:
    """A run, as its file has it."""
    checksums = {f"SHA-256, {n.replace('_', ' ')}": sum_ for n, sum_ in task.fingerprints.items()}
    shown = {
        **tables(settings, task),
        "Data": {**checksums, "vocabulary": task.tokenizer_origin},
        "Environment": environment,
    }
    title = f"{model_title(shown['Model'])}, on {Path(settings.data).name}"
    if settings.task == "finetune":
        tuned = f"{Path(str(settings.base)).name}, tuned" + ("" if settings.full else " beside it")
        title = f"{tuned}, on {Path(settings.data).name}"
    return Run(settings, title, shown, task.fingerprints)


def tables(settings: Settings, task: Task) -> dict[str, dict[str, Any]]:
    """All settings and the shape of the model, for people: each with the value that it came to.

    What has no effect in this run is left out.
    """
    of_run = {
        name: value
        for name, value in settings.to_dict().items()
        if name != "model" and settings.task in TASKS_OF.get(name, TASKS)
    }
    if settings.task == "finetune":
        of_run |= {"lora": settings.rank}
    else:
        of_run["tokenizer"] = settings.tokenizer_kind
        if settings.vocab_size is None and settings.tokenizer_kind in TOKENIZERS:
            of_run["vocab_size"] = VOCAB_SIZE
    if settings.optimizer != "adam":
        of_run["weight_decay"] = decay_of(settings)
    of_run["steps"] = planned_steps(settings, task)
    of_run["epochs"] = None if counts_steps(settings, task) else settings.epochs or EPOCHS
    of_run["warmup"] = f"{warmup_steps(settings, task):,} steps"
    if settings.save_every is None:
        of_run["save_every"] = "at each evaluation"
    else:
        of_run["save_every"] = f"{settings.save_every:,} steps"
    if task.validation is None:
        of_run["evaluate_every"] = "never: nothing is held out"
    else:
        every = evaluation_steps(settings, task)
        of_run["evaluate_every"] = "each epoch" if every is None else f"{every:,} steps"
        of_run["patience"] = settings.patience or "unlimited"
    if settings.task == "translation":
        of_run["columns"] = settings.columns or "the first two"
        of_run["label_smoothing"] = settings.smoothing
    kind = "Transformer" if settings.task == "translation" else task.kind
    told = {name: value for name, value in of_run.items() if value is not None}
    return {"Settings": told, "Model": model_table(task.config, kind)}


def model_table(config: TransformerConfig, kind: str) -> dict[str, Any]:
    """The shape of a model, with the numbers that None stands for in a configuration.

    Parameters
    ----------
    config : TransformerConfig
    kind : str
        The class of the model, such as "CausalLM"; what only others read is left out.
    """
    stands_for: dict[str, Any] = {
        "target_vocab_size": config.decoder_vocab_size,
        "num_kv_heads": config.num_kv_heads or config.num_heads,
        "head_width": config.width_of_heads,
        "num_decoder_layers": config.decoder_layers,
        "d_ff": config.feed_forward_width,
    }
    if config.rotary_scaling is not None:
        stands_for["rotary_scaling"] = (
            f"{config.rotary_scaling.kind}, factor {config.rotary_scaling.factor:g}"
        )
    stands_for["layer_pattern"] = ", ".join(config.layer_pattern)
    table: dict[str, Any] = {"kind": kind}
    for each in fields(config):
        value = stands_for.get(each.name, getattr(config, each.name))
        is_idle = not reads_field(config, each.name)
        if each.metadata.get("model", kind) == kind and not is_idle and value is not None:
            table[each.name] = value
    return table


def model_title(table: dict[str, Any]) -> str:
    """What a page calls a model, from its :func:`model_table`.

    >>> model_title({"kind": "CausalLM", "num_layers": 4, "d_model": 128})
    'CausalLM with 4 layers of width 128'
    """
    layers = str(table["num_layers"])
    if "num_decoder_layers" in table:
        layers += f" + {table['num_decoder_layers']}"
    noun = "layer" if layers == "1" else "layers"
    return f"{table['kind']} with {layers} {noun} of width {table['d_model']}"
