"""The values of a module in one file, without how the module is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors

from foundation_nn.files import read_bytes, write_file


def write_weights(path: str | os.PathLike[str], state: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as a safetensors file; an older one is replaced when the new one is whole."""
    arrays = {name: np.asarray(value, order="C") for name, value in state.items()}
    write_file(path, format_safetensors(arrays))


def read_weights(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file.

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is another kind of file, or was cut short.
    """
    if Path(path).is_dir():
        raise ValueError(
            f"{os.fspath(path)}: is a folder; a checkpoint is read by checkpoint.load(path)"
        )
    content = read_bytes(path, max_bytes=None)
    try:
        return parse_safetensors(content)
    except (SafetensorError, KeyError) as error:  # KeyError: a kind of numbers NumPy does not have
        raise ValueError(
            f"{os.fspath(path)}: cannot be read as a safetensors file ({error}); save_weights "
            "writes one, and so does safetensors.torch.save_file"
        ) from None
