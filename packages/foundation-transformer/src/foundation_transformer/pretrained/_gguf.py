"""GGUF files: metadata and quantised tensors in one file, as llama.cpp keeps them.

The header is read here: the library's reader makes an array of every string, which takes seconds
and more memory than the weights of a small model. Widening the tensors is the library's work.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from foundation_nn.files import MAX_BYTES, field, open_file
from numpy.typing import NDArray

_MAGIC = b"GGUF"
_SCALARS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", "", "", "<Q", "<q", "<d")
_STRING, _ARRAY = 8, 9
_MOST_AXES = 4
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


def read_gguf(
    file: Path, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, Any], dict[str, GGUFTensor]]:
    """The metadata of a file, and its tensors by their names there.

    Parameters
    ----------
    file : Path
    max_bytes : int
        How much may stand before the tensors. A file can have holes, so that its size says little.

    Raises
    ------
    ImportError
        Without the library gguf.
    ValueError
        If the file is truncated or altered, has a larger header, or is not a little-endian GGUF of
        version 2 or 3.
    """
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{file}: GGUF files need the library gguf: pip install foundation-transformer[gguf]"
        ) from None
    with open_file(file) as stream:
        size = stream.seek(0, 2)
        if size < 24:
            raise ValueError(f"{file}: truncated, or not a GGUF file ({size} bytes)")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            version = struct.unpack_from("<I", data, 4)[0]
            if data[:4] != _MAGIC or version not in (2, 3):
                raise ValueError(
                    f"{file}: not a GGUF file of version 2 or 3; it begins {data[:8]!r}"
                )
            header = _Header(data, max_bytes)
            try:
                metadata, entries = header.read()
                alignment = field(metadata, "general.alignment", int, default=32)
                if alignment < 1:
                    raise ValueError(f"general.alignment: expected at least 1, got {alignment}")
            except (struct.error, ValueError) as error:
                raise ValueError(f"{file}: truncated or altered header ({error})") from None
    start = header.place + -header.place % alignment
    tensors = {
        name: GGUFTensor(file, name, kind, shape, start + offset)
        for name, kind, shape, offset in entries
    }
    _require_own_bytes(file, tensors, size)
    return metadata, tensors


def _require_own_bytes(file: Path, tensors: Mapping[str, GGUFTensor], size: int) -> None:
    """Refuse tensors that overlap or end after the file."""
    end_before = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.offset):
        end = tensor.offset + math.prod(tensor.shape[:-1]) * tensor.row_bytes()
        if end > size:
            raise ValueError(
                f"{file}: truncated: {tensor.name} ends at byte {end}, the file has {size}; fetch "
                "it again"
            )
        if tensor.offset < end_before:
            raise ValueError(
                f"{file}: altered: {tensor.name} overlaps the tensor before it, at byte "
                f"{tensor.offset}; fetch it again"
            )
        end_before = end


class _Header:
    """Reads what stands before the tensors, from the first byte on.

    Every number and string that is read moves :attr:`place` on, and it may not come beyond the end:
    so a count in the file does not decide for how long it is read.
    """

    def __init__(self, data: mmap.mmap, max_bytes: int) -> None:
        self.data = data
        self.place = 8
        self.max_bytes = max_bytes

    def read(self) -> tuple[dict[str, Any], list[tuple[str, int, tuple[int, ...], int]]]:
        """Metadata, and (name, type, shape, offset) of each tensor."""
        num_tensors, num_fields = self.number("<Q"), self.number("<Q")
        metadata: dict[str, Any] = {}
        for _ in range(num_fields):
            name = self.string()
            if name in metadata:
                raise ValueError(f"the name {name!r:.60} stands twice in it")
            metadata[name] = self.value(self.number("<I"))
        return metadata, list(self.tensors(num_tensors))

    def tensors(self, count: int) -> Iterator[tuple[str, int, tuple[int, ...], int]]:
        seen: set[str] = set()
        for _ in range(count):
            name = self.string()
            if name in seen:
                raise ValueError(f"the tensor {name!r:.60} stands twice in it")
            seen.add(name)
            num_axes = self.number("<I")
            if not 1 <= num_axes <= _MOST_AXES:
                raise ValueError(f"{name!r:.60} has {num_axes} axes; expected 1 to {_MOST_AXES}")
            shape = tuple(reversed([self.number("<Q") for _ in range(num_axes)]))
            if not all(shape):
                raise ValueError(f"{name!r:.60} has the shape {shape}, without a number in it")
            yield name, self.number("<I"), shape, self.number("<Q")

    def advance(self, num_bytes: int) -> int:
        """Go on by so many bytes; returns where they begin."""
        start = self.place
        self.place += num_bytes
        if self.place > len(self.data):
            raise ValueError(f"{num_bytes} bytes are wanted at {start}, where it ends before")
        if self.place > self.max_bytes:
            raise ValueError(
                f"it has more than the {self.max_bytes:,} bytes that are read; if it is meant to "
                "be so large, raise max_bytes"
            )
        return start

    def number(self, code: str) -> Any:
        start = self.advance(struct.calcsize(code))
        return struct.unpack_from(code, self.data, start)[0]

    def string(self) -> str:
        length = self.number("<Q")
        start = self.advance(length)
        return self.data[start : self.place].decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(_code(kind))
        kind, count = self.number("<I"), self.number("<Q")
        if kind == _ARRAY:
            raise ValueError("an array of arrays, which no model has")
        if kind == _STRING:
            return self.strings(count)
        code = _code(kind)
        start = self.advance(count * struct.calcsize(code))
        return np.frombuffer(self.data[start : self.place], code)  # as small as in the file

    def strings(self, count: int) -> list[str]:
        """A vocabulary has a quarter of a million: that is why this is written out."""
        length_of = struct.Struct("<Q").unpack_from
        data, place = self.data, self.place
        last = min(len(data), self.max_bytes) - 8
        found: list[str] = []
        for _ in range(count):
            if place > last:
                break
            start = place + 8
            place = start + length_of(data, place)[0]
            found.append(data[start:place].decode("utf-8"))
        self.advance(place - self.place)
        if len(found) < count:
            self.advance(8)  # the length of the next one
            raise ValueError(f"{count:,} strings are wanted, there are {len(found):,}")
        return found


def _code(kind: int) -> str:
    if kind >= len(_SCALARS) or not _SCALARS[kind]:
        raise ValueError(f"a value of the unknown type {kind}")
    return _SCALARS[kind]
