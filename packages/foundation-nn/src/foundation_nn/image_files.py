"""Reading pictures of digits (or of clothes) from files; every error is one line that says why."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation_nn.files import read_bytes

SCIKIT_LEARN = "sklearn.datasets"  # not a dependency: used where it happens to be installed
UNSIGNED_BYTE = 8
#: How large a file may be, unpacked. MNIST has a twentieth of that.
MAX_BYTES = 1 << 30


class Digits(NamedTuple):
    """``images`` (N, height, width) from 0 to 1, ``targets`` (N,), and what a target stands for."""

    images: NDArray[np.float32]
    targets: NDArray[np.intp]
    names: list[str]


def from_scikit_learn() -> Digits:
    """1797 digits of 8 × 8 pixels that come with scikit-learn."""
    try:
        bundle: Any = importlib.import_module(SCIKIT_LEARN).load_digits()
    except ImportError:
        raise ValueError(
            "the digits of scikit-learn are not here: pip install scikit-learn, or pass "
            "--data FILE with an IDX or CSV file"
        ) from None
    return _digits(bundle.images, bundle.target)


def from_file(path: Path, label: str | None = None, max_bytes: int = MAX_BYTES) -> Digits:
    """IDX or CSV, gzipped or not: the content tells, not the name.

    Parameters
    ----------
    path : Path
        IDX images, with the labels beside them (``train-images-idx3-ubyte`` and
        ``train-labels-idx1-ubyte``), or CSV with an image and its label in each line.
    label : {"first", "last"}, optional
        The column of a CSV file that holds the labels; found out by default.
    max_bytes : int
        How large each file may be, unpacked.

    Raises
    ------
    ValueError
        If a file is missing, broken, too large, or something else. The message is one line.
    """
    content = _content(path, max_bytes)
    if content[:2] != b"\0\0":
        return _from_csv(path, content, label)
    images = _from_idx(path, content)
    if images.ndim != 3:
        raise ValueError(f"{path}: expected images, got {images.ndim} dimensions; a label file?")
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path:
        raise ValueError(
            f"{path}: expected a name like train-images-idx3-ubyte, to find the labels"
        )
    if not beside.exists():  # the one may be gzipped and the other not
        other = beside.with_suffix("") if beside.suffix == ".gz" else Path(f"{beside}.gz")
        beside = other if other.exists() else beside
    labels = _from_idx(beside, _content(beside, max_bytes))
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{beside}: expected {len(images)} labels, got shape {labels.shape}")
    return _digits(images, labels)


def _content(path: Path, max_bytes: int) -> bytes:
    """All of a file, unpacked if it is gzipped."""
    try:
        content = read_bytes(path, max_bytes)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            unpacked = bytearray()
            while len(unpacked) <= max_bytes and (more := packed.read(1 << 20)):
                unpacked += more
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: damaged or truncated gzip file ({error})") from None
    if len(unpacked) > max_bytes:
        raise ValueError(
            f"{path}: has more than {max_bytes:,} bytes, unpacked; if it is meant to be so large, "
            "raise max_bytes"
        )
    return bytes(unpacked)


def _from_idx(path: Path, content: bytes) -> NDArray[np.uint8]:
    """IDX: two zeros, the type, the number of axes; their lengths; then the bytes."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file; it should begin with two zero bytes")
    kind, ndim = content[2], content[3]
    if kind != UNSIGNED_BYTE:
        raise ValueError(f"{path}: expected unsigned bytes (IDX type 8), got type {kind}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{path}: cut off within the header")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", ndim, offset=4))
    expected, found = int(np.prod(shape, dtype=object)), len(content) - start
    if found != expected:
        raise ValueError(f"{path}: expected {expected} bytes for shape {shape}, got {found}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _from_csv(path: Path, content: bytes, label: str | None) -> Digits:
    """A line for each image: its pixels row by row, and the label before or after them."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: neither IDX nor CSV (not a text in UTF-8)") from None
    header: list[str] = []
    if lines and not _is_numbers(lines[0]):
        header = [name.strip(' "').lower() for name in lines[0].split(",")]
        lines = lines[1:]
    if not any(line.strip() for line in lines):
        raise ValueError(f"{path}: no line with numbers")
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        problem = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"{path}: not a table of numbers with commas ({problem})") from None
    if not np.isfinite(table).all():
        raise ValueError(f"{path}: holds inf or nan")
    side = round((table.shape[1] - 1) ** 0.5)
    if side < 1 or side * side != table.shape[1] - 1:
        raise ValueError(
            f"{path}: expected a label and a square number of pixels in each line, got "
            f"{table.shape[1]} columns"
        )
    label = label or _label_column(path, table, header)
    labels, pixels = (
        (table[:, 0], table[:, 1:]) if label == "first" else (table[:, -1], table[:, :-1])
    )
    if not _is_whole(labels):
        raise ValueError(f"{path}: the labels in the {label} column are not whole numbers")
    return _digits(pixels.reshape(-1, side, side), labels.astype(int))


def _is_numbers(line: str) -> bool:
    try:
        [float(cell) for cell in line.split(",")]
    except ValueError:
        return False
    return True


def _is_whole(column: NDArray[np.float64]) -> bool:
    return bool((column == np.round(column)).all())


def _label_column(path: Path, table: NDArray[np.float64], header: list[str]) -> str:
    """Where the header says, or the only outer column that counts 0, 1, 2, … without a gap.

    A pixel in a corner is always 0 in most collections, or has large numbers with gaps.
    """
    named = [where for where, i in (("first", 0), ("last", -1)) if header and header[i] in _LABEL]
    if len(named) == 1:
        return named[0]
    likely = []
    for where, column in (("first", table[:, 0]), ("last", table[:, -1])):
        values = np.unique(column)
        if len(values) > 1 and values[0] in (0, 1) and (np.diff(values) == 1).all():
            likely.append(where)
    if len(likely) != 1:
        raise ValueError(
            f"{path}: cannot tell whether the label is the first or the last column; "
            "say --label first or --label last"
        )
    return likely[0]


_LABEL = ("label", "class", "target", "y", "digit")


def _digits(images: NDArray[Any], labels: NDArray[Any]) -> Digits:
    if not images.size:
        raise ValueError(f"no images: the shape is {images.shape}")
    names, targets = np.unique(labels, return_inverse=True)
    largest = float(np.abs(images).max()) or 1.0
    return Digits((images / largest).astype(np.float32), targets, [str(name) for name in names])
