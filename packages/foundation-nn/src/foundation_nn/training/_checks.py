"""What a trainer refuses before it has begun: each message says what was expected."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foundation_nn import functional, schedules
from foundation_nn._arguments import described, did_you_mean
from foundation_nn.modules._module import Module
from foundation_nn.optim import EMA, Optimizer
from foundation_nn.training._callback import Callback

if TYPE_CHECKING:
    from foundation_nn.training._trainer import Trainer

#: What a callback can be told, with the number of arguments.
_HOOKS = {
    name: len(inspect.signature(getattr(Callback, name)).parameters) - 1
    for name in vars(Callback)
    if name.startswith("on_")
}


def check_trainer(trainer: Trainer) -> None:
    """Refuse parts that do not belong together, or are not what they should be.

    Raises
    ------
    TypeError, ValueError
    """
    model: Any = trainer.model
    loss: Any = trainer.loss
    optimizer: Any = trainer.optimizer
    is_function = callable(loss) and not isinstance(loss, type)
    if not (isinstance(model, Module) and is_function and isinstance(optimizer, Optimizer)):
        raise TypeError(
            "Trainer: expected Trainer(model, loss, optimizer) with a Module, a function "
            f"loss(model, batch) and an Optimizer, got {described(model)}, {described(loss)} and "
            f"{described(optimizer)}"
        )
    _check_loss(loss)
    ours = {id(p) for p in model.parameters()}
    if not any(id(p) in ours for p in optimizer.buffer.parameters):
        raise ValueError(
            "Trainer: the optimizer has none of the model's parameters, so the model would never "
            "change; make it for this model, or copy both together with "
            "copy.deepcopy((model, optimizer))"
        )
    if trainer.schedule is not None and not callable(trainer.schedule):
        raise TypeError(
            "Trainer: expected schedule to be a function from the step to the learning rate, got "
            f"{described(trainer.schedule)}; a rate that stays is the optimizer's lr"
        )
    name = getattr(trainer.schedule, "__name__", None)
    if name in schedules.__all__ and getattr(schedules, name) is trainer.schedule:
        raise TypeError(
            "Trainer: expected schedule to be a function from the step to the learning rate, got "
            f"{described(trainer.schedule)}, which makes one; call it, as in "
            f"schedule=schedules.{name}(...)"
        )
    if trainer.schedule is not None:
        _check_function("schedule", trainer.schedule, ["step"])
    if trainer.ema is not None:
        _check_ema(trainer.ema, optimizer)
    if not isinstance(trainer.rng, np.random.Generator):
        raise TypeError(
            f"Trainer: expected rng to be a numpy.random.Generator, got {described(trainer.rng)}; "
            "write rng=np.random.default_rng(seed)"
        )
    for name, metric in trainer.metrics.items():
        _check_function(f"metrics[{name!r}]", metric, ["model"])
    if trainer.samples is not None:
        _check_function("samples", trainer.samples, ["model"])
    check_callbacks(trainer.callbacks)


def _check_loss(loss: Any) -> None:
    """Refuse one that compares a prediction with a target, as functions of other libraries do."""
    name = getattr(loss, "__name__", None)
    if name in functional.__all__ and getattr(functional, name) is loss:
        raise TypeError(
            "Trainer: expected loss to be a function of the model and a batch, got "
            f"functional.{name}, which compares a prediction with a target; write\n\n"
            "    def loss(model, batch):\n"
            "        x, target = batch\n"
            f"        return functional.{name}(model(x), target), len(target)"
        )
    _check_function("loss", loss, ["model", "batch"])


def _check_function(name: str, function: Any, arguments: list[str]) -> None:
    """Refuse what cannot be called with these arguments."""
    called = f"{name}({', '.join(arguments)})"
    if not callable(function):
        raise TypeError(
            f"Trainer: expected {name} to be a function of the {' and the '.join(arguments)}, got "
            f"{described(function)}"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:  # of a function in C that does not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise TypeError(
            f"Trainer: {called} is called, and {described(function)} takes {signature}"
        ) from None


def as_dictionary_of_metrics(metrics: Any) -> dict[str, Any]:
    """The metrics by name.

    Raises
    ------
    TypeError
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"Trainer: expected metrics to be a dictionary, got {described(metrics)}; write "
            'metrics={"name": function}, with functions of the model'
        )
    return dict(metrics)


def _check_ema(ema: EMA, optimizer: Optimizer) -> None:
    if not isinstance(ema, EMA):
        raise TypeError(
            f"Trainer: expected ema to be an EMA, got {described(ema)}; write ema=EMA(optimizer)"
        )
    if ema.buffer is not optimizer.buffer:
        raise ValueError(
            "Trainer: the ema follows other parameters than the optimizer changes; make it from "
            "this one: EMA(optimizer)"
        )


def as_list_of_callbacks(callbacks: Any) -> list[Callback]:
    """The callbacks in a list, or in a tuple.

    Raises
    ------
    TypeError
    """
    if isinstance(callbacks, str | Mapping) or not isinstance(callbacks, Iterable):
        raise TypeError(
            f"Trainer: expected callbacks to be a list, got {described(callbacks)}; write "
            "callbacks=[...]"
        )
    return list(callbacks)


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Refuse what is no callback, and methods that would never be called.

    Raises
    ------
    TypeError
    """
    for callback in callbacks:
        if not isinstance(callback, Callback):
            kind = described(callback)
            fix = "subclass foundation_nn.training.Callback and define on_step or another method"
            if isinstance(callback, type) and issubclass(callback, Callback):
                fix = f"make one: {callback.__name__}(...)"
            raise TypeError(f"Trainer: expected callbacks to be Callbacks, got {kind}; {fix}")
        owner = type(callback).__name__
        for name in dir(callback):
            if name in _HOOKS or _looks_like_a_hook(name):
                _check_hook(owner, name, getattr(callback, name))


def _looks_like_a_hook(name: str) -> bool:
    """Whether somebody may believe that a trainer calls it, such as ``on_epoch`` or ``onStep``."""
    written_alike = name.lower().replace("_", "")
    return name.startswith("on_") or (
        not name.startswith("_") and written_alike in {hook.replace("_", "") for hook in _HOOKS}
    )


def _check_hook(owner: str, name: str, method: Any) -> None:
    """Refuse a method of an unknown name, or one that cannot be called as it will be."""
    if name not in _HOOKS:
        if callable(method):
            raise TypeError(f"{owner}.{name}: a trainer never calls it{did_you_mean(name, _HOOKS)}")
        return
    if not callable(method):
        raise TypeError(f"{owner}.{name}: expected a method, got {described(method)}")
    if inspect.isgeneratorfunction(method) or inspect.iscoroutinefunction(method):
        kind = "generator" if inspect.isgeneratorfunction(method) else "coroutine"
        raise TypeError(
            f"{owner}.{name}: is a {kind} function, which does nothing when it is called; leave "
            f"out {'yield' if kind == 'generator' else 'async'}"
        )
    try:
        inspect.signature(method).bind(*[None] * _HOOKS[name])
    except TypeError:
        expected = inspect.signature(getattr(Callback, name))
        names = ", ".join(expected.parameters)
        raise TypeError(
            f"{owner}.{name}: expected the parameters ({names}), got "
            f"{inspect.signature(method)} after self"
        ) from None


def check_batches(batches: Any, validation: Any, max_epochs: float | None) -> None:
    """Refuse data that cannot be gone through as often as it will be.

    Raises
    ------
    TypeError, ValueError
    """
    for name, data in (("batches", batches), ("validation", validation)):
        if data is None and name == "validation":
            continue
        check_data("fit", name, data)
    if isinstance(validation, Iterator):
        raise ValueError(
            f"fit: validation is {described(validation)}, which can be gone through once, and is "
            "evaluated several times; pass a list or a loader"
        )
    if isinstance(batches, Iterator) and max_epochs is not None and max_epochs > 1:
        raise ValueError(
            f"fit: batches is {described(batches)}, which can be gone through once, and "
            f"max_epochs is {max_epochs}; pass a list or a loader, or max_epochs=1"
        )


def check_data(caller: str, name: str, data: Any) -> None:
    """Refuse what is no batches: something that cannot be gone through, or whole columns.

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(data, str | type | Mapping) or not (
        isinstance(data, Iterable) or hasattr(data, "__getitem__")
    ):
        hint = "; call it" if inspect.isfunction(data) or inspect.ismethod(data) else ""
        if isinstance(data, Mapping):
            hint = ", of which only the keys would be gone through; for one batch write [data]"
        raise TypeError(
            f"{caller}: expected {name} to be a list or a loader, got {described(data)}{hint}"
        )
    if isinstance(data, tuple) and _are_columns(data):
        raise ValueError(
            f"{caller}: expected {name} to be a list or a loader of batches, got a tuple of "
            f"{len(data)} arrays with as many rows as one another; write batches(X, y, "
            "batch_size=32), or [(X, y)] for one batch of all"
        )


def _are_columns(data: tuple[Any, ...]) -> bool:
    """Whether these are inputs and targets, ``(X, y)``, and not batches of one kind."""
    if len(data) < 2 or not all(isinstance(part, np.ndarray) and part.ndim for part in data):
        return False
    same_rows = len({len(part) for part in data}) == 1
    kinds = {(part.ndim, part.dtype.kind) for part in data}
    return same_rows and (len(kinds) > 1 or len({part.shape for part in data}) > 1)


def no_batch(batches: Any) -> ValueError:
    """What to say of an epoch without a single batch."""
    reason = "the data is empty"
    if isinstance(batches, Iterator):
        reason = (
            f"batches is {described(batches)}, which can be gone through once; pass a list or a "
            "loader"
        )
    return ValueError(f"fit: an epoch without a single batch: {reason}")
