"""Corpora larger than memory: ids in files that are mapped, not read.

The manifest decides: a folder without one is unfinished, whatever else is there, and the next
`write_shards` removes it. So a crash at any moment leaves whole shards, or none.
"""

from __future__ import annotations

import hashlib
import os
import re
import tokenize
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.files import (
    MAX_BYTES,
    field,
    from_object,
    is_file_name,
    is_unfinished,
    open_file,
    sync_folder,
)
from foundation_nn.training import own_folder
from numpy.typing import NDArray

from foundation_data._files import read_json, write_json
from foundation_data.batches._stream import TokenStream
from foundation_data.tokenizers import Tokenizer, load_tokenizer

_KIND = "token shards"
_MANIFEST = "manifest.json"
_TOKENIZER = "tokenizer.json"
# What is in a folder that is not finished: these, and files that say so by their name.
_OURS = re.compile(r"(ids|lengths)-\d{5,}\.npy|tokenizer\.json|\.lock")
#: How many ids a file has by default: 32 MiB.
SHARD_TOKENS = 1 << 24


def write_shards(
    documents: Iterable[Sequence[int] | NDArray[np.integer]],
    folder: str | os.PathLike[str],
    vocab_size: int,
    *,
    shard_tokens: int = SHARD_TOKENS,
    tokenizer: Tokenizer | None = None,
) -> TokenStream:
    """Write documents of ids into files, with no more than one file's ids in memory at a time.

    The folder has ``.npy`` files of ids (two bytes each for up to 65,536 different ids, else four),
    beside each the lengths of its documents, and a manifest with the sha256 of all of them, which
    is written at the end. What a crash has left of it, the next call for this folder removes; while
    one process writes there, another is refused.

    Parameters
    ----------
    documents : iterable of sequences of int
        Such as ``(tokenizer.encode(text, add_eos=True) for text in stream_texts(path))``; read
        once, one at a time.
    folder : path
        Where to write them: a folder that does not exist or is empty, or what a crash has left of
        one, which is removed. A finished one, or one with anything else in it, is refused.
    vocab_size : int
        V: every id is below it.
    shard_tokens : int
        A file ends after the document with which it reaches this many ids.
    tokenizer : Tokenizer, optional
        Saved beside the ids, where :func:`load_tokenizer` finds it.

    Returns
    -------
    TokenStream
        What was written, mapped from the files.

    Raises
    ------
    FileExistsError
        If there is something else of that name, or shards that are finished.
    TypeError
        If a document is no sequence of integers.
    ValueError
        If an id is out of range, an option is, or there is not one id.
    OSError
        If another process writes there, or the disk is full.
    """
    folder = Path(folder)
    if vocab_size < 1 or shard_tokens < 1:
        raise ValueError(
            "write_shards: expected vocab_size and shard_tokens of at least 1, got "
            f"{vocab_size} and {shard_tokens}"
        )
    existed = folder.exists()
    if existed and not _is_unfinished(folder):
        raise FileExistsError(f"{folder}: exists already; choose another name or remove it")
    try:
        with own_folder(folder):
            _remove_content(folder)
            try:
                content: dict[str, Any] = {"vocab_size": vocab_size}
                if tokenizer is not None:
                    tokenizer.save(folder / _TOKENIZER)
                    content["tokenizer"] = _sha256(folder / _TOKENIZER)
                content["shards"] = _write(documents, folder, vocab_size, shard_tokens)
                sync_folder(folder)
                write_json(folder / _MANIFEST, _KIND, content)
            except BaseException:
                _remove_content(folder)
                raise
    except BaseException:
        if not existed:
            with suppress(OSError):  # another process is at work there
                folder.rmdir()
        raise
    return open_shards(folder, verify=False)


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder is empty, or what a crash has left of shards."""
    return folder.is_dir() and all(
        _OURS.fullmatch(path.name) or is_unfinished(path) for path in folder.iterdir()
    )


def _remove_content(folder: Path) -> None:
    """Remove all that a crash can have left, but for the lock of this process."""
    for path in folder.iterdir():
        if path.name != ".lock":
            path.unlink()


def _write(
    documents: Iterable[Sequence[int] | NDArray[np.integer]],
    folder: Path,
    vocab_size: int,
    shard_tokens: int,
) -> list[dict[str, Any]]:
    dtype = np.uint16 if vocab_size <= 1 << 16 else np.uint32
    shards: list[dict[str, Any]] = []
    ids: list[NDArray[Any]] = []  # of each document
    num_ids = 0

    def flush() -> None:
        lengths = np.array([len(document) for document in ids], dtype=np.int64)
        entry: dict[str, Any] = {}
        for name, content in (("ids", np.concatenate(ids)), ("lengths", lengths)):
            file = f"{name}-{len(shards):05}.npy"
            with (folder / file).open("xb") as stream:
                np.save(stream, content)
                stream.flush()
                os.fsync(stream.fileno())
            entry[name] = {"file": file, "count": len(content), "sha256": _sha256(folder / file)}
        shards.append(entry)

    for number, document in enumerate(documents):
        ids.append(_checked(document, number, vocab_size).astype(dtype))
        num_ids += len(document)
        if num_ids >= shard_tokens:
            flush()
            ids = []
            num_ids = 0
    if ids:
        flush()
    if not any(shard["ids"]["count"] for shard in shards):
        raise ValueError("write_shards: expected at least one document with an id in it, got none")
    return shards


def _checked(document: Any, number: int, vocab_size: int) -> NDArray[Any]:
    ids = np.asarray(document)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise TypeError(
            f"write_shards: expected document {number} to be a sequence of integer ids, got "
            f"{document!r:.60}"
        )
    if ids.size and not 0 <= ids.min() <= ids.max() < vocab_size:
        raise ValueError(
            f"write_shards: expected ids from 0 to vocab_size - 1 = {vocab_size - 1}, got "
            f"{ids.min()} to {ids.max()} in document {number}"
        )
    return ids


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
        Whether to read every file once, to compare its sha256 with the manifest's and to see that
        all ids are below the size of the vocabulary. Without it the ids are not read, and an id
        that was altered goes unnoticed. Still checked are the manifest, that each file is there,
        is a whole array of integers and as long as the manifest says, and that the lengths of the
        documents add up to the number of ids.
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
    content = _read_manifest(folder, max_bytes)
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


def are_shards(folder: str | os.PathLike[str]) -> bool:
    """Whether `write_shards` has written a folder, to the end."""
    return Path(folder, _MANIFEST).is_file()


def tokenizer_of_shards(folder: str | os.PathLike[str]) -> Tokenizer | None:
    """Return the tokenizer that was saved with shards; None if there was none.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is missing, or is not the one that the manifest names.
    """
    folder = Path(folder)
    content = _read_manifest(folder)
    if "tokenizer" not in content:
        return None
    try:
        digest = field(content, "tokenizer", str)
    except ValueError as error:
        raise ValueError(f"{folder / _MANIFEST}: malformed content: {error}") from error
    tokenizer = load_tokenizer(folder)
    if _sha256(folder / _TOKENIZER) != digest:
        raise ValueError(
            f"{folder / _TOKENIZER}: not the tokenizer that the shards were encoded with; restore "
            "the file, or encode the texts again"
        )
    return tokenizer


def _read_manifest(folder: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    if folder.is_dir() and not are_shards(folder):
        raise FileNotFoundError(
            f"{folder / _MANIFEST}: no such file; the folder holds no shards, or not all of them"
        )
    return read_json(folder / _MANIFEST, _KIND, max_bytes)


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
