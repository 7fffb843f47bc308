"""A step that failed, kept so that it can be run again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foundation_nn.checkpoint._classes import find_class, public_name
from foundation_nn.checkpoint._describe import MALFORMED, describe, fill_model, rebuild_model
from foundation_nn.checkpoint._folder import CheckpointError, read_folder, write_folder
from foundation_nn.engine._modes import train_mode
from foundation_nn.engine._tensor import Tensor
from foundation_nn.files import field
from foundation_nn.inspection._finite import NonFinite, first_non_finite
from foundation_nn.modules._module import Module

_KIND = "failed_step"
_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


@dataclass(frozen=True, eq=False)
class FailedStep:
    """A step whose loss or gradient was not finite, with all that it takes to run it again.

    On disk it is a folder of ``model.safetensors``, ``batch.safetensors`` and
    ``failed_step.json``, written and checked as a checkpoint is.

    Attributes
    ----------
    step : int
        From 1.
    lr : float
        The learning rate that it would have had.
    message : str
        What the :class:`Trainer` said.
    batch : object
        Arrays, numbers and text, in tuples, lists, dictionaries, dataclasses or named tuples.
    state : dict of ndarray
        The model's ``state_dict`` before the step.
    rng : dict
        The state of the bit generator before the step.
    model : Module or None
        After :meth:`load` a new model with that state; None if it has no ``to_dict`` that works.
    """

    step: int
    lr: float
    message: str
    batch: Any
    state: Mapping[str, NDArray[Any]]
    rng: Mapping[str, Any]
    model: Module | None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the folder.

        Raises
        ------
        TypeError
            If the batch holds anything else than the attribute's description says.
        CheckpointError, OSError
            As :func:`foundation_nn.checkpoint.save`.
        """
        arrays: dict[str, NDArray[Any]] = {}
        description = {
            "step": self.step,
            "lr": self.lr,
            "message": self.message,
            "rng": _pack(self.rng, "rng", arrays),
            "batch": _pack(self.batch, "batch", arrays),
            "model": _described(self.model),
        }
        return write_folder(path, _KIND, description, {"model": self.state, "batch": arrays})

    @classmethod
    def load(cls, path: str | os.PathLike[str], classes: Sequence[type] = ()) -> Self:
        """Read a folder.

        Parameters
        ----------
        path : path
        classes : sequence of type
            Your own classes that the batch or the model is made of, as for
            :func:`foundation_nn.checkpoint.load`.

        Raises
        ------
        FileNotFoundError, CheckpointError
            As :func:`foundation_nn.checkpoint.load`.
        """
        source, content, arrays = read_folder(path, _KIND)
        try:
            state = arrays["model"]
            model = None
            if content["model"] is not None:
                model = rebuild_model(content["model"], state, classes)
                fill_model(model, state)
            return cls(
                field(content, "step", int),
                field(content, "lr", float),
                field(content, "message", str),
                _unpack(content["batch"], arrays["batch"], classes),
                state,
                _unpack(content["rng"], arrays["batch"], classes),
                model,
            )
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from None
        except MALFORMED as error:
            raise CheckpointError(f"{source}: cannot be used ({error!r})") from error

    def replay(
        self, loss: Callable[[Any, Any], Any], model: Module | None = None
    ) -> NonFinite | None:
        """Run the step again, with every operation watched.

        Parameters
        ----------
        loss : callable
            The trainer's.
        model : Module, optional
            Instead of the one that was kept; it is given the state of before the step.

        Returns
        -------
        NonFinite or None
            The first operation to blame; None if all is finite this time.

        Raises
        ------
        ValueError
            If no model was kept and none is given, or the state does not fit it.
        """
        model = self.model if model is None else model
        if model is None:
            raise ValueError(
                "replay: the model was not kept, because its class has no to_dict(); pass model=, "
                "one with parameters of the same names and shapes"
            )
        _filled(model, self.state)
        with np.errstate(all="ignore"), train_mode(_generator(self.rng)):
            return first_non_finite(loss, model, self.batch)


def _described(model: Module | None) -> Any:
    """Its class and configuration, if it has one that can be saved: the state is kept anyway."""
    try:
        return None if model is None else describe("model", model)
    except (TypeError, ValueError):
        return None


def _filled(model: Module, state: Mapping[str, NDArray[Any]]) -> Module:
    floats = [value.dtype for value in state.values() if value.dtype.kind == "f"]
    if floats and any(p.dtype != floats[0] for p in model.parameters()):
        model.astype(floats[0])
    model.load_state_dict(state)
    return model


def _generator(state: Mapping[str, Any]) -> np.random.Generator:
    name = state["bit_generator"]
    if name not in _GENERATORS:
        raise ValueError(f"replay: expected a bit generator of {_GENERATORS}, got {name!r}")
    bits = getattr(np.random, name)()
    bits.state = state
    return np.random.Generator(bits)


def _pack(value: Any, path: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """A value as JSON; its arrays go to ``arrays``, under their path within it."""

    def items(pairs: Any) -> dict[str, Any]:
        return {name: _pack(item, f"{path}.{name}", arrays) for name, item in pairs}

    if isinstance(value, Tensor | np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{path} is an array of {array.dtype}, which cannot be kept in a file")
        arrays[path] = array
        return {"array": path, "tensor": isinstance(value, Tensor)}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {"class": public_name(type(value)), "fields": items(value._asdict().items())}
    if dataclasses.is_dataclass(value):
        pairs = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {"class": public_name(type(value)), "fields": items(pairs)}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": items(value.items())}
    if isinstance(value, list | tuple):
        return {type(value).__name__: list(items(enumerate(value)).values())}
    raise TypeError(f"{path} is a {type(value).__name__}, which cannot be kept in a file")


def _unpack(content: Any, arrays: Mapping[str, NDArray[Any]], classes: Sequence[type]) -> Any:
    def all_of(items: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _unpack(item, arrays, classes) for name, item in items.items()}

    if "value" in content:
        return content["value"]
    if "array" in content:
        array = arrays[content["array"]]
        return Tensor(array) if content["tensor"] else array
    if "dict" in content:
        return all_of(content["dict"])
    if "class" in content:
        cls = find_class(content["class"], classes)
        if not (dataclasses.is_dataclass(cls) or hasattr(cls, "_fields")):
            raise TypeError(f"{content['class']} is no dataclass and no named tuple")
        return cls(**all_of(content["fields"]))
    for kind in (list, tuple):
        if kind.__name__ in content:
            return kind(_unpack(part, arrays, classes) for part in content[kind.__name__])
    raise ValueError(f"a part of the batch is of no kind that is known: {content!r:.60}")
