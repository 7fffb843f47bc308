"""Saving and loading: a model, what trains it, and what goes with it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn._arguments import described
from foundation_nn.checkpoint._average import mean_state
from foundation_nn.checkpoint._describe import (
    MALFORMED,
    describe,
    fill_model,
    rebuild,
    rebuild_model,
)
from foundation_nn.checkpoint._folder import (
    MAX_JSON_BYTES,
    CheckpointError,
    folder_exists,
    is_replaceable,
    read_folder,
    write_folder,
)
from foundation_nn.engine._modes import skip_init
from foundation_nn.files import parse_json
from foundation_nn.modules._module import Module
from foundation_nn.optim import Optimizer


class Checkpoint(NamedTuple):
    """What :func:`load` returns.

    Attributes
    ----------
    model : Module
    extras : dict
        What was passed to :func:`save` by keyword, rebuilt.
    optimizer : dict or None
        For ``optimizer.load_state_dict``.
    """

    model: Any
    extras: dict[str, Any]
    optimizer: dict[str, NDArray[Any]] | None


def save(
    path: str | os.PathLike[str], model: Module, optimizer: Optimizer | None = None, **extras: Any
) -> Path:
    """Write a checkpoint; an older one at ``path`` is replaced only when the new one is whole.

    Parameters
    ----------
    path : path
        The folder. Its parents are made.
    model : Module
        All that these packages export can be saved, also in a :class:`Sequential`. A class of your
        own has ``to_dict()``, which returns the arguments of its constructor, and if that is not
        enough a class method ``from_dict(config)``. Which parameters are frozen is saved, too.
    optimizer : Optimizer, optional
    **extras
        Tokenizers, histories and the like: objects with the same two methods, or JSON values.
        What has ``state_dict()`` instead comes back as that dictionary, for ``load_state_dict``:
        arrays, such as those of an :class:`~foundation_nn.optim.EMA`, are saved as
        ``NAME.safetensors``, and JSON values, such as those of a callback, with the others.

    Raises
    ------
    TypeError
        If an argument is something else, for instance because two were swapped, or if the model or
        an extra has none of these methods and is not a JSON value. Also if the constructor of a
        class takes arguments that the ``to_dict()`` which it inherits does not tell, or a
        dictionary among the extras has keys that are no texts.
    CheckpointError
        If ``path`` is a folder with something else in it.
    ValueError
        If the optimizer has none of the model's parameters, or an extra could be written but not
        read again, because it is nested more than 100 deep, for instance.
    OSError
        If it cannot be written, e.g. for want of space; the older checkpoint is untouched.
    """
    _check_arguments(path, model, optimizer)
    arrays = {"model": model.state_dict()}
    if optimizer is not None:
        arrays["optimizer"] = optimizer.state_dict()
    described = {}
    for name, value in extras.items():
        if not _has_state(value):
            described[name] = describe(name, value)
            continue
        state = value.state_dict()
        if all(isinstance(part, np.ndarray) for part in state.values()):
            arrays[name] = state
            described[name] = {"arrays": name}
        else:
            described[name] = describe(f"{name}.state_dict()", state)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    description = {"model": describe("model", model), "frozen": frozen, "extras": described}
    return write_folder(path, "checkpoint", description, arrays)


def check(model: Module, **extras: Any) -> None:
    """Refuse what could not be saved, or would not be the same after loading.

    The model is made anew, without values, as :func:`load` would make it. To be called before a
    long run, which is not to fail when it saves for the first time; the callback
    :class:`~foundation_nn.training.Checkpoints` does so.

    Parameters
    ----------
    model : Module
    **extras
        As for :func:`save`.

    Raises
    ------
    TypeError
        If the model or an extra cannot be told in JSON; the message says how it could. Also if a
        subclass takes more arguments than its parent and inherits ``to_dict()`` from it.
    ValueError
        If a model that is made from what ``to_dict()`` returns has other parameters. Weights that
        were tied outside the constructor are such a case: the constructor has to tie them.
    """
    for name, value in extras.items():
        if not _has_state(value):
            describe(name, value)
    kind = type(model).__name__
    text = json.dumps(describe("model", model))
    try:
        description = parse_json(text)
    except ValueError as error:
        raise ValueError(f"checkpoint: the {kind} could be saved and not loaded: {error}") from None
    ours = {name: value.shape for name, value in model._first_names()}
    try:
        with skip_init(ours.values()):
            twin = rebuild(description, own_classes(model))
    except MALFORMED as error:
        raise ValueError(
            f"checkpoint: {kind}.from_dict() does not take what to_dict() of the model returns: "
            f"{error}"
        ) from error
    theirs = {name: value.shape for name, value in twin._first_names()}
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"checkpoint: a {kind} that is made from what to_dict() returns has "
                f"{_sized(name, theirs)}, and the model has {_sized(name, ours)}"
            )


def _has_state(value: Any) -> bool:
    """Whether an extra is saved by its ``state_dict()``: its ``to_dict()`` does not tell all."""
    told_by_to_dict = hasattr(value, "to_dict") and not isinstance(value, Module)
    return hasattr(value, "state_dict") and not told_by_to_dict


def _sized(name: str, shapes: dict[str, tuple[int, ...]]) -> str:
    return f"{name} of shape {shapes[name]}" if name in shapes else f"no {name}"


def own_classes(model: Module) -> list[type]:
    """The classes of a model and of all modules in it: it is the caller's, and so are they."""
    return list({type(module): None for _, module in model.named_modules()})


def _check_arguments(path: Any, model: Any, optimizer: Any) -> None:
    _check_path("save", path)
    if not isinstance(model, Module):
        raise TypeError(
            f"checkpoint.save: expected model to be a Module, got {described(model)}; write "
            "save(path, model, optimizer, name=other_things)"
        )
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"checkpoint.save: expected optimizer to be an Optimizer, got {described(optimizer)}; "
            "everything else is passed by name, such as tokenizer=tokenizer"
        )
    if optimizer is None:
        return
    ours = {id(p) for p in model.parameters()}
    if not any(id(p) in ours for p in optimizer.buffer.parameters):
        raise ValueError(
            "checkpoint.save: the optimizer has none of the model's parameters, so its averages "
            "belong to another model; save the optimizer that trains this one"
        )


def _check_path(function: str, path: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"checkpoint.{function}: expected the path of a folder, got {described(path)}; the "
            "path comes first"
        )


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`load` would find a checkpoint at ``path``, whole or not."""
    return folder_exists(path, "checkpoint")


def may_save(path: str | os.PathLike[str]) -> bool:
    """Whether :func:`save` would find nothing at ``path``, or a checkpoint, and nothing else.

    To be asked before a long run, which is not to fail when it saves for the first time.
    """
    return is_replaceable(Path(path), "checkpoint")


def load(
    path: str | os.PathLike[str],
    classes: Sequence[type] = (),
    *,
    max_json_bytes: int = MAX_JSON_BYTES,
) -> Checkpoint:
    """Read a checkpoint: a working model with all that was saved beside it.

    Parameters that were frozen are frozen again; ``model.unfreeze()`` has them learnt.

    Parameters
    ----------
    path : path
        The folder.
    classes : sequence of type
        Your own classes that the checkpoint may hold. Without being named here, only those that
        the foundation packages export are found: a file does not choose what is imported.
    max_json_bytes : int
        How large ``checkpoint.json`` may be. The arrays are bounded by their files, and the model
        by the arrays.

    Raises
    ------
    TypeError
        If ``path`` is no path.
    FileNotFoundError
        If there is no such folder.
    CheckpointError
        If a file is missing, truncated, altered, too large, no regular file, of another version,
        or does not fit the model; or if it holds a class of yours that is not in ``classes``.
    """
    _check_path("load", path)
    source, description, arrays = read_folder(path, "checkpoint", max_json_bytes)
    try:
        state = arrays["model"]
        model = rebuild_model(description["model"], state, classes)
        extras = {
            name: arrays[value["arrays"]] if "arrays" in value else rebuild(value, classes)
            for name, value in description["extras"].items()
        }
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    except MALFORMED as error:
        raise CheckpointError(f"{source}: cannot be used ({error!r}); it was altered") from error
    try:
        fill_model(model, state)
    except ValueError as error:
        raise CheckpointError(f"{source.parent / 'model.safetensors'}: {error}") from error
    _freeze(source, model, description.get("frozen"))
    return Checkpoint(model, extras, arrays.get("optimizer"))


def _freeze(source: Path, model: Module, names: Any) -> None:
    """Freeze the parameters that were frozen when the checkpoint was saved."""
    parameters = dict(model.named_parameters())
    if not isinstance(names, list) or not all(
        isinstance(name, str) and name in parameters for name in names
    ):
        raise CheckpointError(
            f"{source}: 'frozen' is no list of names of the model's parameters; it was altered"
        )
    for name in names:
        parameters[name].requires_grad = False


def average(paths: Sequence[str | os.PathLike[str]], classes: Sequence[type] = ()) -> Checkpoint:
    """The last checkpoint, with the mean of the parameters of all.

    Averaging the last few of a run [1]_ takes out some of the noise of its last steps.

    A class of model whose parameters do not mean anything one by one, such as the two factors of a
    change of low rank, defines a class method ``mean_of(models)`` that returns the mean as a model.
    The optimizer is left out then, because the mean may have other parameters.

    Parameters
    ----------
    paths : sequence of path
    classes : sequence of type
        As for :func:`load`.

    Raises
    ------
    ValueError
        If there is none, or they are not of one model.
    FileNotFoundError, CheckpointError
        As :func:`load`.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 6.1.
    """
    loaded = [load(path, classes) for path in paths]
    mean_of = getattr(type(loaded[-1].model), "mean_of", None) if loaded else None
    if mean_of is not None:
        mean = mean_of([one.model for one in loaded])
        return loaded[-1]._replace(model=mean, optimizer=None)
    state = mean_state([one.model.state_dict() for one in loaded])
    loaded[-1].model.load_state_dict(state)
    return loaded[-1]
