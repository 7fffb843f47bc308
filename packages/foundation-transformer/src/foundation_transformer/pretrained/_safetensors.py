"""Tensors of ``.safetensors`` files, read one at a time and only when they are wanted.

A file is the length of a header, the header (names, types, shapes, places; JSON), and the bytes of
all tensors. It is read here, not by the library of that name, which has no bfloat16 for NumPy.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foundation_nn.files import (
    MAX_BYTES,
    field,
    is_file_name,
    new_file,
    open_file,
    parse_json,
    read_json,
)
from numpy.typing import NDArray

from foundation_transformer.pretrained._narrow import narrowed

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


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


def stored_tensors(folder: Path, max_bytes: int = MAX_BYTES) -> dict[str, StoredTensor]:
    """All tensors of a folder: of ``model.safetensors``, or of the files that its index names.

    Parameters
    ----------
    folder : Path
    max_bytes : int
        How large the index and the headers may be.

    Raises
    ------
    FileNotFoundError
        If there are no weights, or a file of the index is missing.
    ValueError
        If there are only pickled weights, a file is truncated or no safetensors file, or the index
        names what is not in the folder.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return read_header(single, max_bytes)
    if index.exists():
        return _indexed_tensors(index, max_bytes)
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    if pickled:
        raise ValueError(
            f"{folder}: the weights are in {pickled[0]}, a pickle, which can run any code when it "
            "is opened; it is not read. Convert it where it is trusted: transformers' "
            f"{_class_of(folder)}.from_pretrained(folder).save_pretrained(other) writes "
            "model.safetensors, beside which the other files belong"
        )
    raise FileNotFoundError(
        f"{folder}: no weights; expected model.safetensors or model.safetensors.index.json"
    )


def _class_of(folder: Path) -> str:
    """The class of transformers that has all the weights of a folder; others may drop some."""
    try:
        (name,) = field(read_json(folder / "config.json"), "architectures", list[str])
    except (OSError, ValueError):
        return "AutoModel"
    return name if str.isidentifier(name) else "AutoModel"


def _indexed_tensors(index: Path, max_bytes: int) -> dict[str, StoredTensor]:
    """The tensors of the files that an index names, which are those of its folder."""
    try:
        places = field(read_json(index, max_bytes), "weight_map", dict[str, str])
    except ValueError as error:
        raise ValueError(f"{index}: not an index of weights ({error})") from None
    names = sorted(set(places.values()))
    for name in names:
        if not is_file_name(name):
            raise ValueError(f"{index}: expected files of this folder, got {name!r:.200}")
    files = [index.parent / name for name in names]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        shown = ", ".join(missing[:9]) + (" …" if len(missing) > 9 else "")
        raise FileNotFoundError(
            f"{index.parent}: {shown} missing, which the index names; copy all its files"
        )
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in read_header(file, max_bytes).items():
            if name in tensors:
                raise ValueError(f"{file}: {name!r} stands in {tensors[name].file.name}, too")
            tensors[name] = tensor
    return tensors


def read_header(file: Path, max_bytes: int = MAX_BYTES) -> dict[str, StoredTensor]:
    """The tensors of one file, whose data fill it to the last byte, each byte once."""
    with open_file(file) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(f"{file}: truncated, or not a safetensors file ({size} bytes)")
        if length > max_bytes:
            raise ValueError(
                f"{file}: its header has {length:,} bytes, and at most {max_bytes:,} are read; if "
                "it is meant to be so large, raise max_bytes"
            )
        header = stream.read(length)
    try:
        entries = parse_json(header)
        field(entries, "__metadata__", dict[str, str], default=None)
        del header
        entries.pop("__metadata__", None)
        places = {name: _place(entry) for name, entry in entries.items()}
    except ValueError as error:
        raise ValueError(f"{file}: damaged header ({error}); fetch it again") from None
    end = 0
    for name, (_, _, start, stop) in sorted(places.items(), key=lambda item: item[1][2:]):
        if start != end:
            problem = "overlap" if start < end else "leave a gap"
            raise ValueError(
                f"{file}: altered: its tensors {problem} at byte {start} of the data, before "
                f"{name!r:.200}; fetch it again"
            )
        end = stop
    if 8 + length + end != size:
        raise ValueError(
            f"{file}: truncated or altered: its header describes {8 + length + end} bytes, the "
            f"file has {size}; fetch it again"
        )
    return {
        name: StoredTensor(file, kind, shape, 8 + length + start)
        for name, (kind, shape, start, _) in places.items()
    }


def _place(entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape, first byte and the one after the last, of an entry of a header."""
    kind = field(entry, "dtype", str)
    shape = tuple(field(entry, "shape", list[int]))
    offsets = field(entry, "data_offsets", list[int])
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] or min(shape, default=0) < 0:
        raise ValueError(f"data_offsets {offsets!r:.60} for shape {shape!r:.60}")
    start, stop = offsets
    if kind in _DTYPES and stop - start != math.prod(shape) * np.dtype(_DTYPES[kind]).itemsize:
        raise ValueError(f"{stop - start} bytes for {kind} of shape {shape!r:.60}")
    return kind, shape, start, stop


def write_safetensors(
    file: Path, tensors: Iterable[tuple[str, NDArray[np.float32]]], kind: str = "f32"
) -> None:
    """Write float32 tensors, one after the other; views are copied one at a time.

    Parameters
    ----------
    file : Path
    tensors : iterable of (str, array)
    kind : {"f32", "f16", "bf16"}
        The type that they have in the file.

    Raises
    ------
    ValueError
        If a number is too large for the type; then no file is written.
    """
    tensors = list(tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    end = 0
    for name, array in tensors:
        num_bytes = array.size * np.dtype(_DTYPES[kind.upper()]).itemsize
        place = [end, end + num_bytes]
        header[name] = {
            "dtype": kind.upper(),
            "shape": list(array.shape),
            "data_offsets": place,
        }
        end += num_bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the data are aligned
    with new_file(file) as unfinished, unfinished.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        for name, array in tensors:
            stream.write(narrowed(name, array, kind).data)
