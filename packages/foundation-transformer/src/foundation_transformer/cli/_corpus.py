"""The texts of a language model: a file, a pattern of names, or a folder of shards."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation_data import (
    Tokenizer,
    TokenStream,
    are_shards,
    encode_files,
    open_shards,
    read_blocks,
    tokenizer_of_shards,
)
from tqdm import tqdm

from foundation_transformer.cli._streams import obeying

#: Within the folder of a run: the ids of texts that are larger than this many bytes.
SHARDS = "shards"
LARGE = 1 << 26
#: A tokenizer is trained on at most so many bytes, taken from everywhere in the texts.
MOST_TO_TRAIN_ON = 1 << 26

#: From texts to the tokenizer of a run.
TrainTokenizer = Callable[[Iterable[str]], Tokenizer]


def files_of(pattern: str) -> list[Path]:
    """The files that one means by a name or by a pattern such as ``texts/*.txt``, in their order.

    Raises
    ------
    OSError, ValueError
        If there is none, or it is a folder.
    """
    path = Path(pattern)
    if path.is_dir():
        raise ValueError(
            f"{path}: a folder without shards; for the texts in it give a pattern, such as "
            f"'{path / '*.txt'}' in quotes"
        )
    if path.exists():
        return [path]
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    files = [file for file in found if file.is_file()]
    if not files:
        what = "no file of such a name" if glob.has_magic(pattern) else "no such file"
        raise FileNotFoundError(f"{pattern}: {what}")
    return files


def read_corpus(
    data: str,
    tokenizer: Tokenizer | None,
    train_tokenizer: TrainTokenizer,
    folder: Path | None = None,
    progress: bool = False,
) -> tuple[TokenStream, Tokenizer]:
    """The ids of a corpus, and the tokenizer that they are of.

    Parameters
    ----------
    data : str
        A text, a pattern, or a folder of shards, which may hold their tokenizer.
    tokenizer : Tokenizer or None
        None: that of the shards, or a new one.
    train_tokenizer : callable
        Makes it, from texts.
    folder : path, optional
        Of the run: texts that are large are written there as shards, which a resumed run opens.
    progress : bool
        Whether to draw a bar on a terminal.

    Raises
    ------
    OSError, ValueError
        If there are no texts, they cannot be read, or the tokenizer is not that of the shards.
    """
    if are_shards(data):
        return _open(Path(data), tokenizer)
    kept = None if folder is None else folder / SHARDS
    if kept is not None and are_shards(kept):
        return _open(kept, tokenizer)
    files = files_of(data)
    size = sum(file.stat().st_size for file in files)
    if tokenizer is None:
        tokenizer = train_tokenizer(texts_to_train_on(files, progress))
    place = kept if size > LARGE else None
    with progress_bar("encoding", size, progress) as advance:
        return encode_files(files, tokenizer, place, on_progress=advance), tokenizer


def _open(folder: Path, tokenizer: Tokenizer | None) -> tuple[TokenStream, Tokenizer]:
    theirs = tokenizer_of_shards(folder)
    if theirs is None and tokenizer is None:
        raise ValueError(
            f"{folder}: the shards have no tokenizer with them; name its file with --tokenizer"
        )
    if theirs is not None and tokenizer is not None and theirs != tokenizer:
        raise ValueError(
            f"{folder}: the shards were encoded with another tokenizer, which lies beside them; "
            "leave out --tokenizer, or encode the texts again"
        )
    found = tokenizer or theirs
    assert found is not None  # noqa: S101 - one of the two is there
    return open_shards(folder), found


def texts_to_train_on(
    files: Iterable[Path],
    progress: bool = False,
    field: str = "text",
    most: int = MOST_TO_TRAIN_ON,
) -> Iterator[str]:
    """The texts of the files; of large ones, blocks from everywhere, ``most`` bytes together."""
    files = list(files)
    size = sum(file.stat().st_size for file in files)
    every = max(1, -(-size // most))
    with progress_bar("reading", size, progress) as advance:
        blocks = (block.text for file in files for block in read_blocks(file, field))
        for number, text in enumerate(blocks):
            if number % every == 0:
                yield text
            advance(len(text.encode("utf-8", "replace")))


@contextmanager
def progress_bar(name: str, size: int, shown: bool) -> Iterator[Callable[[int], object]]:
    """Gives what is to be called with each number of bytes that were done."""
    stream = obeying(sys.stderr)
    shown = shown and size > 1 << 20 and stream.isatty()
    with tqdm(
        desc=name,
        total=size,
        unit="B",
        unit_scale=True,
        file=stream,
        leave=False,
        disable=not shown,
    ) as bar:
        yield bar.update
