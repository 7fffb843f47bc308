"""Corpora larger than memory: ids in files that are mapped, not read."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tokenize
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import MAX_BYTES, field, from_object, is_file_name, open_file
from numpy.typing import NDArray

from foundation_data._files import read_json, write_json
from foundation_data.batches._stream import TokenStream

_KIND = "token shards"
_MANIFEST = "manifest.json"


def write_shards(
    documents: Iterable[Sequence[int]],
    folder: str | os.PathLike[str],
    vocab_size: int,
    *,
    shard_tokens: int = 1 << 24,
) -> TokenStream:
    """Write documents of ids into files, with no more than one file's ids in memory at a time.

    The folder has ``.npy`` files of ids (two bytes each for up to 65,536 different ids, else four),
    beside each the lengths of its documents, and a manifest with the sha256 of all of them. It
    appears whole or not at all.

    Parameters
    ----------
    documents : iterable of sequences of int
        Such as ``(tokenizer.encode(text, add_eos=True) for text in stream_texts(path))``; read
        once, one at a time.
    folder : path
        Where to write them; it must not exist.
    vocab_size : int
        V: every id is below it.
    shard_tokens : int
        A file ends after the document with which it reaches this many ids.

    Returns
    -------
    TokenStream
        What was written, mapped from the files.

    Raises
    ------
    FileExistsError
        If there is something of that name.
    ValueError
        If an id is out of range, an option is, or there is not one id.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder}: exists already; choose another name or remove it")
    if vocab_size < 1 or shard_tokens < 1:
        raise ValueError(
            "write_shards: expected vocab_size and shard_tokens of at least 1, got "
            f"{vocab_size} and {shard_tokens}"
        )
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
    temporary.mkdir(parents=True)
    try:
        shards = _write(documents, temporary, vocab_size, shard_tokens)
        write_json(temporary / _MANIFEST, _KIND, {"vocab_size": vocab_size, "shards": shards})
        os.rename(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return open_shards(folder, verify=False)


def _write(
    documents: Iterable[Sequence[int]], folder: Path, vocab_size: int, shard_tokens: int
) -> list[dict[str, Any]]:
    type_code = "H" if vocab_size <= 1 << 16 else "I"  # unsigned, two or four bytes
    shards: list[dict[str, Any]] = []
    ids = array(type_code)
    lengths = array("q")

    def flush() -> None:
        entry: dict[str, Any] = {}
        for name, content in (("ids", ids), ("lengths", lengths)):
            file = f"{name}-{len(shards):05}.npy"
            with (folder / file).open("xb") as stream:
                np.save(stream, np.asarray(content))
                stream.flush()
                os.fsync(stream.fileno())
            entry[name] = {"file": file, "count": len(content), "sha256": _sha256(folder / file)}
        shards.append(entry)

    for number, document in enumerate(documents):
        if len(document) and not 0 <= min(document) <= max(document) < vocab_size:
            raise ValueError(
                f"write_shards: expected ids from 0 to vocab_size - 1 = {vocab_size - 1}, got "
                f"{min(document)} to {max(document)} in document {number}"
            )
        ids.extend(document)
        lengths.append(len(document))
        if len(ids) >= shard_tokens:
            flush()
            ids = array(type_code)
            lengths = array("q")
    if lengths:
        flush()
    if not any(shard["ids"]["count"] for shard in shards):
        raise ValueError("write_shards: expected at least one document with an id in it, got none")
    return shards


@dataclass(frozen=True)
class _Described:
    """A file of arrays, as the manifest has it."""

    file: str
    count: int
    sha256: str


def open_shards(
    folder: str | os.PathLike[str], *, verify: bool = True, max_bytes: int = MAX_BYTES
) -> TokenStream:
    """Map what `write_shards` wrote.

    Parameters
    ----------
    folder : path
        The folder.
    verify : bool
        Whether to read every file once and compare its sha256 with the manifest's.
    max_bytes : int
        How large the manifest may be. The arrays stay in their files.

    Returns
    -------
    TokenStream
        Its ids stay in the files until they are read.

    Raises
    ------
    FileNotFoundError
        If the manifest or a file is missing.
    ValueError
        If a file is not what the manifest says.
    """
    folder = Path(folder)
    manifest = folder / _MANIFEST
    content = read_json(manifest, _KIND, max_bytes)
    try:
        vocab_size = field(content, "vocab_size", int)
        shards = [
            [from_object(_Described, field(entry, name, dict)) for name in ("ids", "lengths")]
            for entry in field(content, "shards", list)
        ]
    except ValueError as error:
        raise ValueError(f"{manifest}: malformed content: {error}") from error
    parts: list[NDArray[Any]] = []
    lengths: list[NDArray[Any]] = []
    digest = hashlib.sha256()
    for described in shards:
        ids, lengths_of_ids = (_open_array(folder, each, verify) for each in described)
        if lengths_of_ids.min(initial=0) < 0 or lengths_of_ids.sum() != len(ids):
            raise ValueError(
                f"{folder / described[1].file}: the lengths do not add up to the {len(ids)} ids of "
                f"{described[0].file}; write the shards again"
            )
        if verify and not 0 <= ids.min(initial=0) <= ids.max(initial=0) < vocab_size:
            raise ValueError(
                f"{folder / described[0].file}: expected ids below {vocab_size}, got up to "
                f"{ids.max()}; write the shards again"
            )
        parts.append(ids)
        lengths.append(lengths_of_ids)
        for each in described:
            digest.update(each.sha256.encode())
    return TokenStream(parts, lengths, digest.hexdigest())


#: What NumPy says to a header that is none.
_NO_ARRAY = (
    *(ValueError, TypeError, EOFError, SyntaxError, tokenize.TokenError),
    *(RecursionError, OverflowError, MemoryError),
)


def _open_array(folder: Path, described: _Described, verify: bool) -> NDArray[Any]:
    """Map one file that the manifest describes."""
    path = folder / described.file
    if not is_file_name(described.file):
        raise ValueError(
            f"{folder / _MANIFEST}: expected files of this folder, got {described.file!r:.200}"
        )
    try:
        with open_file(path) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest() if verify else ""
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing, though the manifest lists it") from None
    if verify and found != described.sha256:
        raise ValueError(
            f"{path}: the content does not match the manifest's sha256, so it was altered or "
            "damaged; write the shards again"
        )
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
    except _NO_ARRAY as error:
        raise ValueError(f"{path}: no whole .npy file ({error}); write it again") from error
    if mapped.shape != (described.count,) or mapped.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: expected {described.count} integers, got {mapped.dtype} of shape "
            f"{mapped.shape}; write the shards again"
        )
    return np.asarray(mapped)  # slices of plain arrays are made faster than those of maps


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
