"""The texts of a language model: a file, a pattern of names, or a folder of shards."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foundation_data import (
    TextFiles,
    Tokenizer,
    TokenStream,
    are_shards,
    encode_blocks,
    encode_files,
    open_shards,
    tokenizer_of_shards,
)
from foundation_nn.files import remove_folder
from tqdm import tqdm

from foundation_transformer.cli._settings import Settings
from foundation_transformer.cli._streams import obeying
from foundation_transformer.cli._tokenizers import (
    TRAINED_BEFORE,
    origin_of,
    tokenizer_for,
    tokenizer_from_file,
)

#: Within the folder of a run: the ids of texts that are larger than this many bytes.
TRAIN_IDS = "train_ids"
HELD_OUT_IDS = "held_out_ids"
LARGE = 1 << 26
#: A tokenizer is trained on at most this many bytes, taken from everywhere in the texts.
MOST_TO_TRAIN_ON = 1 << 26
#: No more is held out, so that an evaluation does not take longer than what is between two.
MOST_HELD_OUT = 400_000  # characters
MOST_HELD_OUT_TOKENS = 200_000  # of shards


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


@dataclass(frozen=True)
class Corpus:
    """The ids that a language model is trained on, those that are held out, and their tokenizer.

    Attributes
    ----------
    train, held_out : TokenStream
    tokenizer : Tokenizer
    origin : str
        Where the tokenizer comes from, for people.
    """

    train: TokenStream
    held_out: TokenStream
    tokenizer: Tokenizer
    origin: str


def read_corpus(
    settings: Settings,
    tokenizer: Tokenizer | None,
    folder: Path | None = None,
    progress: bool = False,
) -> Corpus:
    """Cut off what is held out, train a tokenizer on the rest, and encode both.

    Parameters
    ----------
    settings : Settings
        Whose data are a text, a pattern, or a folder of shards, which may hold their tokenizer.
    tokenizer : Tokenizer or None
        That of a checkpoint. None: the one that the settings name, that of the shards, or a new
        one.
    folder : path, optional
        Of the run: texts that are large are written there as ids, which a resumed run opens.
    progress : bool
        Whether to draw a bar on a terminal.

    Raises
    ------
    OSError, ValueError
        If there are no texts, they cannot be read, or the tokenizer is not that of the shards.
    """
    origin = origin_of(settings)
    tokenizer = tokenizer or tokenizer_from_file(settings)
    if are_shards(settings.data):
        stream, tokenizer = _open(Path(settings.data), tokenizer)
        if settings.held_out is not None:
            held_out = encode_files(files_of(settings.held_out), tokenizer)
            return Corpus(stream, held_out, tokenizer, TRAINED_BEFORE)
        size = min(round(len(stream) * settings.held_out_share), MOST_HELD_OUT_TOKENS)
        return Corpus(*stream.split(len(stream) - size), tokenizer, TRAINED_BEFORE)
    if folder is not None and are_shards(folder / TRAIN_IDS):
        train, tokenizer = _open(folder / TRAIN_IDS, tokenizer)
        held_out = TokenStream.from_ids([])
        if are_shards(folder / HELD_OUT_IDS):
            held_out, _ = _open(folder / HELD_OUT_IDS, tokenizer)
        return Corpus(train, held_out, tokenizer, origin)
    return _encode(settings, tokenizer, origin, folder, progress)


def _encode(
    settings: Settings,
    tokenizer: Tokenizer | None,
    origin: str,
    folder: Path | None,
    progress: bool,
) -> Corpus:
    texts = TextFiles(files_of(settings.data))
    size = size_of(texts)
    train, held_out = texts, None
    if settings.held_out is not None:
        held_out = TextFiles(files_of(settings.held_out))
    elif settings.held_out_share:
        # Cut before there is a tokenizer: one that had seen what is held out would need fewer
        # tokens for it than for new text.
        train, held_out = texts.split(settings.held_out_share, MOST_HELD_OUT)
    if tokenizer is None:
        tokenizer = tokenizer_for(settings, texts_to_train_on(train, progress), lossless=True)
    places: list[Path | None] = [None, None]
    if folder is not None and size > LARGE:
        places = [folder / TRAIN_IDS, folder / HELD_OUT_IDS]
    # What is held out comes first: once the ids to train on are there, nothing is missing.
    held_out_ids = TokenStream.from_ids([])
    if held_out is not None:
        held_out_ids = encode_blocks(held_out.blocks(), tokenizer, places[1])
    with progress_bar("encoding", size, progress) as advance:
        train_ids = encode_blocks(train.blocks(), tokenizer, places[0], on_progress=advance)
    return Corpus(train_ids, held_out_ids, tokenizer, origin)


def remove_ids(folder: Path) -> None:
    """Remove the ids that an earlier command has left in a folder where no run was begun."""
    for name in (TRAIN_IDS, HELD_OUT_IDS):
        if (folder / name).is_dir():
            remove_folder(folder / name)


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


def size_of(texts: TextFiles) -> int:
    """The bytes of the files."""
    return sum(file.stat().st_size for file in texts.files)


def texts_to_train_on(
    texts: TextFiles, progress: bool = False, most: int = MOST_TO_TRAIN_ON
) -> Iterator[str]:
    """All texts; of large ones, blocks from everywhere, ``most`` bytes together."""
    size = size_of(texts)
    every = max(1, -(-size // most))
    with progress_bar("reading", size, progress) as advance:
        for number, block in enumerate(texts.blocks()):
            if number % every == 0:
                yield block.text
            advance(len(block.text.encode("utf-8", "replace")))


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
