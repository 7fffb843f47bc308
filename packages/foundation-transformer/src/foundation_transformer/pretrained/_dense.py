"""Linear layers behind the pooling, which sentence-transformers has in folders such as 2_Dense."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import field, read_json, write_file
from numpy.typing import NDArray

from foundation_transformer.pretrained._safetensors import stored_tensors, write_safetensors

Vectors = NDArray[np.float32]

#: By the names of PyTorch's classes, in small letters.
_ACTIVATIONS: dict[str, Callable[[Vectors], Vectors]] = {
    "tanh": np.tanh,
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
}
#: Their names in files.
_PATHS = {
    "tanh": "torch.nn.modules.activation.Tanh",
    "identity": "torch.nn.modules.linear.Identity",
    "relu": "torch.nn.modules.activation.ReLU",
}


@dataclass(frozen=True, eq=False)
class Dense:
    """activation(W v + b) of the vector of a text, often into fewer numbers.

    Attributes
    ----------
    weight : (out, in) array
    bias : (out,) array or None
    activation : {"tanh", "identity", "relu"}

    Raises
    ------
    ValueError
        If it is another activation, or the shapes do not fit.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"Dense: the activation {self.activation!r:.60} is not supported; expected one of "
                f"{', '.join(_ACTIVATIONS)}"
            )
        if self.weight.ndim != 2 or (self.bias is not None and self.bias.shape != self._out):
            shape = None if self.bias is None else self.bias.shape
            raise ValueError(
                "Dense: expected a weight (out, in) and a bias (out,), got "
                f"{self.weight.shape} and {shape}"
            )

    @property
    def _out(self) -> tuple[int, ...]:
        return self.weight.shape[:1]

    def __call__(self, vectors: Vectors) -> Vectors:
        """Vectors (B, in) to (B, out)."""
        y: Vectors = vectors @ self.weight.T
        if self.bias is not None:
            y += self.bias
        return _ACTIVATIONS[self.activation](y)


def read_dense(folder: Path, max_bytes: int) -> Dense:
    """The layer of such a folder.

    Raises
    ------
    OSError, ValueError
        If a file is missing or damaged, or asks for something that is not supported.
    """
    source = folder / "config.json"
    content = read_json(source, max_bytes)
    try:
        shape = (field(content, "out_features", int), field(content, "in_features", int))
        has_bias = field(content, "bias", bool, default=True)
        path = field(content, "activation_function", str, default="torch.nn.Tanh")
        if field(content, "use_residual", bool, default=False):
            raise ValueError("use_residual=True is not supported")
        for name in ("module_input_name", "module_output_name"):
            key = field(content, name, str | None, default=None)
            if key not in (None, "sentence_embedding"):
                raise ValueError(f"{name}={key!r:.60} is not supported")
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    stored = stored_tensors(folder, max_bytes)
    wanted = {"linear.weight": shape} | ({"linear.bias": shape[:1]} if has_bias else {})
    found = {name: tensor.shape for name, tensor in stored.items()}
    if found != wanted:
        raise ValueError(f"{folder}: expected the tensors {wanted}, got {found}")
    arrays = {name: tensor.read() for name, tensor in stored.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{folder}: {name} holds infinity or NaN; fetch it again")
    try:
        activation = path.rpartition(".")[2].lower()
        return Dense(arrays["linear.weight"], arrays.get("linear.bias"), activation)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def write_dense(folder: Path, dense: Dense) -> None:
    """The opposite of :func:`read_dense`."""
    folder.mkdir(exist_ok=True)
    out_features, in_features = dense.weight.shape
    content: dict[str, Any] = {
        "in_features": in_features,
        "out_features": out_features,
        "bias": dense.bias is not None,
        "activation_function": _PATHS[dense.activation],
    }
    write_file(folder / "config.json", json.dumps(content, indent=1) + "\n")
    tensors = {"linear.weight": dense.weight, "linear.bias": dense.bias}
    present = [(name, array) for name, array in tensors.items() if array is not None]
    write_safetensors(folder / "model.safetensors", present)
