"""Files of text become ids, on all cores."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foundation_data.batches._dataset import require_tokenizer
from foundation_data.batches._shards import SHARD_TOKENS, write_shards
from foundation_data.batches._stream import TokenStream
from foundation_data.reading import TextBlock, read_blocks
from foundation_data.tokenizers import Tokenizer

Ids: TypeAlias = NDArray[np.uint32]

#: So much text is encoded at once by a process.
_TASK_CHARACTERS = 1 << 20
# With fewer tasks than this the processes would take longer to start than they have to do.
_FEWEST_TASKS = 4


def encode_files(
    paths: Iterable[str | os.PathLike[str]],
    tokenizer: Tokenizer,
    folder: str | os.PathLike[str] | None = None,
    *,
    field: str = "text",
    workers: int | None = None,
    shard_tokens: int = SHARD_TOKENS,
    on_progress: Callable[[int], object] | None = None,
) -> TokenStream:
    """Encode texts of any size, on all cores, into memory or into files that are mapped.

    Every file is a document, every line of a ``.jsonl`` file is one; each ends in ``eos_id``. The
    text is encoded as it is. The result does not depend on the number of processes.

    Processes are started where there are more than a few megabytes, and no more than two tasks for
    each are in memory. They are not forked, because the threads of this process, such as those of
    BLAS, would be missing in them. So they import the program that calls this, which must therefore
    begin in ``if __name__ == "__main__":``, as with :mod:`multiprocessing`.

    Parameters
    ----------
    paths : iterable of path
        Files in UTF-8, in the order in which they are to stand.
    tokenizer : Tokenizer
        A trained tokenizer. It is saved in ``folder``, too.
    folder : path, optional
        Where to write what :func:`open_shards` reads; by default the ids stay in memory.
    field : str
        Of a line of JSON, which holds the text; a dot leads inside.
    workers : int, optional
        Processes; by default as many as there are cores. 1: none but this one.
    shard_tokens : int
        A file of ids ends after the document with which it reaches this many. A longer document is
        cut there.
    on_progress : callable, optional
        Called with the number of bytes of text that were encoded since the last call.

    Returns
    -------
    TokenStream

    Raises
    ------
    FileNotFoundError, FileExistsError
        If a file is missing, or there is something in ``folder``.
    ValueError
        If a text is not UTF-8, a line has no such field, or there is not one token.
    OSError
        If a process was killed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from foundation_data import CharTokenizer
    >>> file = Path(tempfile.mkdtemp(), "text.txt")
    >>> _ = file.write_text("abba")
    >>> encode_files([file], CharTokenizer.train(["ab"])).read(0, 5)
    array([4, 5, 5, 4, 2])
    """
    files = [Path(path) for path in paths]
    blocks = chain.from_iterable(read_blocks(file, field) for file in files)
    return encode_blocks(
        blocks,
        tokenizer,
        folder,
        workers=workers,
        shard_tokens=shard_tokens,
        on_progress=on_progress,
    )


def encode_blocks(
    blocks: Iterable[TextBlock],
    tokenizer: Tokenizer,
    folder: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    shard_tokens: int = SHARD_TOKENS,
    on_progress: Callable[[int], object] | None = None,
) -> TokenStream:
    """Encode blocks of text, such as :meth:`TextFiles.blocks`, as :func:`encode_files` does.

    Parameters
    ----------
    blocks : iterable of TextBlock
        Read once. A text ends in ``eos_id`` if it has a last block.
    tokenizer : Tokenizer
    folder : path, optional
    workers, shard_tokens, on_progress
        As for :func:`encode_files`.

    Returns
    -------
    TokenStream

    Raises
    ------
    FileExistsError
        If there is something in ``folder``.
    ValueError
        If there is not one token.
    OSError
        If a process was killed.
    """
    require_tokenizer("encode_blocks", "tokenizer", tokenizer)
    if workers is None:
        workers = available_cores()
    if workers < 1:
        raise ValueError(f"encode_blocks: expected at least 1 process as workers, got {workers}")
    encoded = _encode_tasks(_tasks(blocks), tokenizer, workers, on_progress or _ignore)
    eos_id = tokenizer.vocabulary.specials.eos_id
    documents = _documents(encoded, eos_id, shard_tokens)
    if folder is None:
        return TokenStream.from_ids(documents)
    return write_shards(
        documents, folder, len(tokenizer), shard_tokens=shard_tokens, tokenizer=tokenizer
    )


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ignore(_: int) -> None:
    pass


def _tasks(blocks: Iterable[TextBlock]) -> Iterator[list[TextBlock]]:
    """Put short documents together, so that what is sent to a process is worth it."""
    task: list[TextBlock] = []
    size = 0
    for block in blocks:
        task.append(block)
        size += len(block.text)
        if size >= _TASK_CHARACTERS:
            yield task
            task = []
            size = 0
    if task:
        yield task


def _encode_tasks(
    tasks: Iterator[list[TextBlock]],
    tokenizer: Tokenizer,
    workers: int,
    on_progress: Callable[[int], object],
) -> Iterator[tuple[Ids, bool]]:
    """Yield the ids of each block, and whether its document ends with it, in their order."""
    first = list(islice(tasks, _FEWEST_TASKS))
    tasks = chain(first, tasks)
    results: Iterator[tuple[list[TextBlock], list[Ids]]]
    if workers == 1 or len(first) < _FEWEST_TASKS:
        results = ((task, [_encode(tokenizer, block.text) for block in task]) for task in tasks)
    else:
        results = _encode_in_processes(tasks, tokenizer, workers)
    for task, ids_of_blocks in results:
        for block, ids in zip(task, ids_of_blocks, strict=True):
            yield ids, block.ends
        on_progress(sum(len(block.text.encode("utf-8", "replace")) for block in task))


def _encode(tokenizer: Tokenizer, text: str) -> Ids:
    return np.array(tokenizer.encode(text), dtype=np.uint32)


def _encode_in_processes(
    tasks: Iterator[list[TextBlock]], tokenizer: Tokenizer, workers: int
) -> Iterator[tuple[list[TextBlock], list[Ids]]]:
    """Keep every process busy, with no more than two tasks for each in memory."""
    waiting: deque[tuple[list[TextBlock], Future[list[Ids]]]] = deque()
    # Not forked: the threads of this process, such as those of BLAS, would be missing there.
    pool = ProcessPoolExecutor(
        workers, get_context("spawn"), _start_worker, (type(tokenizer), tokenizer.to_dict())
    )
    try:
        for task in tasks:
            texts = [block.text for block in task]
            waiting.append((task, pool.submit(_encode_in_worker, texts)))
            if len(waiting) >= 2 * workers:
                done, ids = waiting.popleft()
                yield done, ids.result()
        while waiting:
            done, ids = waiting.popleft()
            yield done, ids.result()
    except BrokenProcessPool as error:
        raise OSError(
            "encode_files: a process that encodes has died; was there too little memory? Try "
            "fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_tokenizer_of_worker: list[Tokenizer] = []


def _start_worker(kind: type[Tokenizer], content: dict[str, Any]) -> None:
    """What a process does first: Ctrl-C is for its parent, without which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _tokenizer_of_worker[:] = [kind.from_dict(content)]


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _encode_in_worker(texts: Sequence[str]) -> list[Ids]:
    return [_encode(_tokenizer_of_worker[0], text) for text in texts]


def _documents(
    encoded: Iterable[tuple[Ids, bool]], eos_id: int, longest: int
) -> Iterator[NDArray[Any]]:
    """Put blocks together to documents that end in ``eos_id``, none much longer than a file."""
    parts: list[Ids] = []
    size = 0
    for ids, ends in encoded:
        parts.append(ids)
        size += len(ids)
        if ends:
            parts.append(np.array([eos_id], np.uint32))
        if ends or size >= longest:
            yield np.concatenate(parts)
            parts = []
            size = 0
    if parts:  # of a text without its last block
        yield np.concatenate(parts)
