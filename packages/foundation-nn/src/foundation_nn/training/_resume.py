"""Everything that the rest of a run depends on, as values that can be saved."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from foundation_nn.checkpoint import Checkpoint, CheckpointError
from foundation_nn.checkpoint._describe import describe
from foundation_nn.files import from_object
from foundation_nn.modules._module import Module
from foundation_nn.schedules import Plateau
from foundation_nn.training._callback import Callback
from foundation_nn.training._position import Position, generator_state, set_generator

if TYPE_CHECKING:
    from foundation_nn.training._trainer import Trainer


def training_state(trainer: Trainer) -> dict[str, Any]:
    """All but the parameters and the state of the optimiser, as JSON values."""
    batches = trainer._batches
    return {
        "position": dataclasses.asdict(trainer._position),
        "batches": batches.state_dict() if hasattr(batches, "state_dict") else None,
        "rng": generator_state(trainer.rng),
        "schedule": (
            trainer.schedule.state_dict() if isinstance(trainer.schedule, Plateau) else None
        ),
        "callbacks": {
            name: state
            for name, callback in _named(trainer.callbacks)
            if (state := callback.state_dict())
        },
    }


def load_training_state(path: str | os.PathLike[str], trainer: Trainer, loaded: Checkpoint) -> None:
    """Bring a trainer to where it was saved.

    Raises
    ------
    ValueError
        If something does not fit. Parts may have been loaded already: make the trainer anew.
    """
    state = loaded.extras.get("training")
    if state is None or loaded.optimizer is None:
        raise CheckpointError(
            f"{path}: a model without its training; only a checkpoint of Trainer.save can be "
            "resumed"
        )
    if ("ema" in loaded.extras) != (trainer.ema is not None):
        there, here = ("an", "none") if trainer.ema is None else ("no", "one")
        raise ValueError(f"{path}: was saved with {there} EMA, this trainer has {here}")
    trainer.optimizer.load_state_dict(loaded.optimizer)
    trainer.model.load_state_dict(loaded.model.state_dict())
    for ours, theirs in zip(trainer.model.parameters(), loaded.model.parameters(), strict=True):
        ours.requires_grad = theirs.requires_grad
    if trainer.ema is not None:
        trainer.ema.load_state_dict(loaded.extras["ema"])
    try:
        _load(trainer, state)
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: cannot be used ({error!r}); it was altered") from error


def _load(trainer: Trainer, state: dict[str, Any]) -> None:
    if (state["schedule"] is not None) != isinstance(trainer.schedule, Plateau):
        raise ValueError("resume: one of the saved run and this trainer has a plateau schedule")
    callbacks = dict(_named(trainer.callbacks))
    missing = [name for name in state["callbacks"] if name not in callbacks]
    if missing:
        raise ValueError(f"resume: the saved run had the callback {missing[0]}; pass one like it")
    set_generator(trainer.rng, state["rng"])
    if isinstance(trainer.schedule, Plateau):
        trainer.schedule.load_state_dict(state["schedule"])
    for name, memory in state["callbacks"].items():
        callbacks[name].load_state_dict(memory)
    trainer._position = from_object(Position, state["position"])
    trainer._resumed = {**state, "batches": state["batches"]}  # fit looks for it


def continue_batches(batches: Any, saved: Any) -> None:
    """Bring the batches of a resumed run to where they were.

    Those without a ``state_dict`` are passed over by the trainer, as many as had been used.

    Raises
    ------
    ValueError
        If the saved run had batches of the other kind, or the state is not theirs.
    """
    has_state = hasattr(batches, "state_dict")
    if has_state != (saved is not None):
        there, here = ("without", "with") if has_state else ("with", "without")
        raise ValueError(
            f"fit: the saved run had batches {there} a state_dict, these are {here} one; pass "
            "batches of the same kind"
        )
    if has_state:
        batches.load_state_dict(saved)


def require_same_model(path: str | os.PathLike[str], model: Module, saved: Module) -> None:
    """Refuse the parameters of something else, even if all shapes fit.

    Raises
    ------
    ValueError
    """
    if type(saved) is not type(model):
        raise ValueError(
            f"{path}: holds a {type(saved).__name__}, the trainer's model is a "
            f"{type(model).__name__}"
        )
    ours = describe("model", model)
    theirs = describe("model", saved)
    for name in {**ours["config"], **theirs["config"]}:
        here = ours["config"].get(name)
        there = theirs["config"].get(name)
        if here != there:
            raise ValueError(
                f"{path}: holds a {type(saved).__name__} with {name}={there!r}, the trainer's has "
                f"{here!r}"
            )
    if ours != theirs:
        raise ValueError(
            f"{path}: holds a model with other modules in it: {saved!r}, and the trainer's is "
            f"{model!r}"
        )


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Each with the name of its class, numbered where there are several."""
    named: dict[str, Callback] = {}
    for callback in callbacks:
        kind = name = type(callback).__name__
        number = 1
        while name in named:
            number += 1
            name = f"{kind}_{number}"
        named[name] = callback
    return list(named.items())
