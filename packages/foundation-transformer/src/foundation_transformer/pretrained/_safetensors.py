"""Tensors of ``.safetensors`` files, read one at a time and only when they are wanted.

A file is the length of a header, the header (names, types, shapes, places; JSON), and the bytes of
all tensors. It is read here, not by the library of that name, which has no bfloat16 for NumPy.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foundation_nn.files import new_file
from numpy.typing import NDArray

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
#: A header of a hundred thousand tensors has a tenth of that.
_LONGEST_HEADER = 100_000_000


class StoredTensor(NamedTuple):
    """Where a tensor lies.

    Attributes
    ----------
    file : Path
    kind : str
        F64, F32, F16 or BF16.
    shape : tuple of int
    offset : int
        Of its first byte in the file.
    """

    file: Path
    kind: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray[np.float32]:
        """The tensor in float32.

        Raises
        ------
        ValueError
            If it is of another type.
        """
        if self.kind not in _DTYPES:
            raise ValueError(
                f"{self.file}: weights of type {self.kind}; expected one of {', '.join(_DTYPES)}"
            )
        count = math.prod(self.shape)
        flat = np.fromfile(self.file, _DTYPES[self.kind], count, offset=self.offset)
        if self.kind == "BF16":  # the upper half of a float32
            wide = flat.astype(np.uint32)
            wide <<= 16
            flat = wide.view(np.float32)
        return flat.astype(np.float32, copy=False).reshape(self.shape)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a folder: of ``model.safetensors``, or of the files that its index names.

    Raises
    ------
    FileNotFoundError
        If there are no weights, or a file of the index is missing.
    ValueError
        If there are only pickled weights, or a file is truncated or no safetensors file.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return read_header(single)
    if index.is_file():
        try:
            places = json.loads(index.read_text("utf-8"))["weight_map"]
            files = [folder / name for name in sorted(set(places.values()))]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{index}: not an index of weights ({error!r})") from None
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{folder}: {', '.join(missing)} missing, which the index names; copy all its files"
            )
        return {name: tensor for file in files for name, tensor in read_header(file).items()}
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        raise ValueError(
            f"{folder}: the weights are in {pickled[0]}, a pickle, which can run any code when it "
            "is opened; it is not read. Convert it where it is trusted: transformers' "
            "AutoModel.from_pretrained(folder).save_pretrained(other) writes model.safetensors"
        )
    raise FileNotFoundError(
        f"{folder}: no weights; expected model.safetensors or model.safetensors.index.json"
    )


def read_header(file: Path) -> dict[str, StoredTensor]:
    """The tensors of one file, whose data must fill it to the last byte."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"{file}: truncated, or not a safetensors file ({size} bytes)")
        try:
            entries = dict(json.loads(stream.read(length)))
            entries.pop("__metadata__", None)
            tensors = {name: _tensor(file, e, 8 + length) for name, e in entries.items()}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}: damaged header ({error!r}); fetch it again") from None
    end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if 8 + length + end != size:
        raise ValueError(
            f"{file}: truncated or altered: its header describes {8 + length + end} bytes, the "
            f"file has {size}; fetch it again"
        )
    return tensors


def _tensor(file: Path, entry: Mapping[str, Any], data: int) -> StoredTensor:
    shape, (start, stop) = tuple(map(int, entry["shape"])), map(int, entry["data_offsets"])
    kind = str(entry["dtype"])
    if kind in _DTYPES and (
        start < 0 or stop - start != math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize
    ):
        raise ValueError(f"{stop - start} bytes for {kind} of shape {shape}")
    return StoredTensor(file, kind, shape, data + start)


def write_safetensors(file: Path, tensors: Iterable[tuple[str, NDArray[np.float32]]]) -> None:
    """Write float32 tensors, one after the other; views are copied one at a time."""
    tensors = list(tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    end = 0
    for name, array in tensors:
        place = [end, end + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    with new_file(file) as unfinished, unfinished.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for _, array in tensors:
            stream.write(np.ascontiguousarray(array, "<f4").data)
