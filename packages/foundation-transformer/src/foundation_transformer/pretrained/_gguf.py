"""GGUF files: metadata and quantised tensors in one file, as llama.cpp keeps them.

The header is read here: the library's reader makes an array of every string, which takes seconds
and more memory than the weights of a small model. Widening the tensors is the library's work.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"GGUF"
_SCALARS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", "", "", "<Q", "<q", "<d")
_STRING, _ARRAY = 8, 9
#: Rows are widened a few at a time: the library makes several copies of what it is given.
_BLOCK_BYTES = 1 << 20


class GGUFTensor(NamedTuple):
    """Where a tensor lies.

    Attributes
    ----------
    file : Path
    name : str
    kind : int
        The number of its type.
    shape : tuple of int
        As in NumPy: the last axis is the contiguous one.
    offset : int
        Of its first byte in the file.
    """

    file: Path
    name: str
    kind: int
    shape: tuple[int, ...]
    offset: int

    def row_bytes(self) -> int:
        """The bytes of one row.

        Raises
        ------
        ValueError
            If the library does not know the type, or a row is no whole number of its blocks.
        """
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        try:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(self.kind)]
        except (ValueError, KeyError):
            raise ValueError(
                f"{self.file}: {self.name} is of an unknown type, {self.kind}"
            ) from None
        if self.shape[-1] % block:
            raise ValueError(f"{self.file}: rows of {self.name}, {self.shape}, end within a block")
        return self.shape[-1] // block * size

    def read(self) -> NDArray[np.float32]:
        """The tensor in float32."""
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        kind, row_bytes = GGMLQuantizationType(self.kind), self.row_bytes()
        wide = np.empty((math.prod(self.shape[:-1]), self.shape[-1]), np.float32)
        step = max(1, _BLOCK_BYTES // (4 * self.shape[-1]))
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            for start in range(0, len(wide), step):
                rows = wide[start : start + step]
                packed = np.fromfile(stream, np.uint8, len(rows) * row_bytes)
                if kind.name in ("F32", "F16"):
                    values = packed.view("<f4" if kind.name == "F32" else "<f2")
                    rows[...] = values.reshape(rows.shape)
                    continue
                try:
                    rows[...] = dequantize(packed.reshape(len(rows), row_bytes), kind)
                except NotImplementedError:
                    raise ValueError(
                        f"{self.file}: {self.name} is of type {kind.name}, which the library gguf "
                        "cannot widen; convert the file to Q8_0 or F16"
                    ) from None
        return wide.reshape(self.shape)


def read_gguf(file: Path) -> tuple[dict[str, Any], dict[str, GGUFTensor]]:
    """The metadata of a file, and its tensors by their names there.

    Raises
    ------
    ImportError
        Without the library gguf.
    ValueError
        If the file is truncated, or not a little-endian GGUF of version 2 or 3.
    """
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{file}: GGUF files need the library gguf: pip install foundation-transformer[gguf]"
        ) from None
    size = file.stat().st_size
    if size < 24:
        raise ValueError(f"{file}: truncated, or not a GGUF file ({size} bytes)")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = _Header(data)
        version = struct.unpack_from("<I", data, 4)[0]
        if data[:4] != _MAGIC or version not in (2, 3):
            raise ValueError(f"{file}: not a GGUF file of version 2 or 3; it begins {data[:8]!r}")
        try:
            metadata, entries = header.read()
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
            raise ValueError(f"{file}: truncated or altered header ({error})") from None
        start = header.place
    alignment = metadata.get("general.alignment", 32)
    start += -start % alignment
    tensors = {
        name: GGUFTensor(file, name, kind, shape, start + offset)
        for name, kind, shape, offset in entries
    }
    for tensor in tensors.values():
        end = tensor.offset + math.prod(tensor.shape[:-1]) * tensor.row_bytes()
        if end > size:
            raise ValueError(
                f"{file}: truncated: {tensor.name} ends at byte {end}, the file has {size}; fetch "
                "it again"
            )
    return metadata, tensors


class _Header:
    """Reads what stands before the tensors, from the first byte on."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.place = 8

    def read(self) -> tuple[dict[str, Any], list[tuple[str, int, tuple[int, ...], int]]]:
        """Metadata, and (name, type, shape, offset) of each tensor."""
        num_tensors, num_fields = self.number("<Q"), self.number("<Q")
        metadata = {self.string(): self.value(self.number("<I")) for _ in range(num_fields)}
        return metadata, list(self.tensors(num_tensors))

    def tensors(self, count: int) -> Iterator[tuple[str, int, tuple[int, ...], int]]:
        for _ in range(count):
            name = self.string()
            axes = [self.number("<Q") for _ in range(self.number("<I"))]
            yield name, self.number("<I"), tuple(reversed(axes)), self.number("<Q")

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(code, self.data, self.place)
        self.place += struct.calcsize(code)
        return value

    def string(self) -> str:
        length = self.number("<Q")
        start, self.place = self.place, self.place + length
        if self.place > len(self.data):
            raise IndexError(f"a string of {length} bytes at {start}")
        return self.data[start : self.place].decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        kind, count = self.number("<I"), self.number("<Q")
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(count)]
        code = _SCALARS[kind]
        start, self.place = self.place, self.place + count * struct.calcsize(code)
        if self.place > len(self.data):
            raise IndexError(f"an array of {count} numbers at {start}")
        return np.frombuffer(self.data[start : self.place], code).tolist()
