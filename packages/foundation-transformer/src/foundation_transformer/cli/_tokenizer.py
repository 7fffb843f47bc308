"""``foundation tokenizer``: train one, encode texts with it, look at how it splits them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

from foundation_data import TextFiles, Tokenizer, encode_files, load_tokenizer
from foundation_nn import checkpoint

from foundation_transformer.cli._corpus import files_of, progress_bar, texts_to_train_on
from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._pretrained import is_published, load_with_tokenizer
from foundation_transformer.cli._streams import printable, read_standard_input
from foundation_transformer.cli._tokenizers import train_tokenizer

#: So many tokens of a vocabulary, and of a text, are shown.
_SHOWN = 12
_SHOWN_OF_TEXT = 200


def train(options: argparse.Namespace) -> None:
    """Learn a vocabulary, and write it.

    Raises
    ------
    OSError, ValueError
        If the texts cannot be read, or there is something in the place of the file.
    """
    if options.out.exists() and not options.force:
        raise ValueError(f"{options.out}: exists; choose another place, or replace it with --force")
    files = _files(options.texts)
    started = time.perf_counter()
    texts = texts_to_train_on(TextFiles(files, options.field), not options.quiet)
    tokenizer = train_tokenizer(options.kind, texts, options.vocab_size)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(options.out)
    seconds = time.perf_counter() - started
    print(f"{options.out}: {_described(tokenizer)}, from {len(files):,} files in {seconds:.0f} s")


def encode(options: argparse.Namespace) -> None:
    """Write texts as shards.

    Raises
    ------
    OSError, ValueError
        If the texts or the tokenizer cannot be read, or there is something in the folder.
    """
    tokenizer = _load(options.tokenizer)
    files = _files(options.texts)
    size = sum(file.stat().st_size for file in files)
    started = time.perf_counter()
    num_bytes = 0

    with progress_bar("encoding", size, not options.quiet) as advance:

        def count(done: int) -> None:
            nonlocal num_bytes
            num_bytes += done
            advance(done)

        stream = encode_files(
            files,
            tokenizer,
            options.out,
            field=options.field,
            workers=options.processes,
            on_progress=count,
        )
    seconds = time.perf_counter() - started
    speed = f", {num_bytes / 1e6 / seconds:.1f} MB/s" if num_bytes > 1e6 else ""
    print(
        f"{options.out}: {len(stream):,} tokens in {stream.num_documents:,} texts; "
        f"{num_bytes / len(stream):.2f} bytes for each token{speed}\n"
        f"To train on it:\n  foundation train language-model --data {options.out}"
    )


def inspect(options: argparse.Namespace) -> None:
    """Tell of a tokenizer, and how it splits a text.

    Raises
    ------
    OSError, ValueError
        If there is no tokenizer.
    """
    tokenizer = _load(options.tokenizer)
    vocabulary = tokenizer.vocabulary
    print(_described(tokenizer))
    for role in ("pad", "bos", "eos", "unk"):
        index = getattr(vocabulary.specials, f"{role}_id")
        print(f"  {role} {index:6}  {_shown(vocabulary.id_to_token(index))}")
    special = vocabulary.specials.tokens
    texts = [_text_of(tokenizer, i) for i, name in enumerate(vocabulary) if name not in special]
    longest = sorted(texts, key=len, reverse=True)
    for name, shown in (("first", texts), ("last", texts[-_SHOWN:]), ("longest", longest)):
        print(f"{name + ':':8} {' '.join(map(_shown, shown[:_SHOWN]))}")
    if options.text is None:
        return
    text = read_standard_input() if options.text == "-" else options.text
    ids = tokenizer.encode(text)
    num_bytes = len(text.encode("utf-8", "replace"))
    average = f", {num_bytes / len(ids):.2f} bytes for each token" if ids else ""
    print(f"\n{len(ids):,} tokens for {num_bytes:,} bytes{average}")
    for index in ids[:_SHOWN_OF_TEXT]:
        print(f"  {index:6}  {_shown(_text_of(tokenizer, index))}")
    if len(ids) > _SHOWN_OF_TEXT:
        print(f"  and {len(ids) - _SHOWN_OF_TEXT:,} more")
    if tokenizer.decode(ids) != text:
        print(f"read back as: {_shown(tokenizer.decode(ids))}")


def _files(patterns: Iterable[str]) -> list[Path]:
    """All files that are meant, each once."""
    return list(dict.fromkeys(file for pattern in patterns for file in files_of(pattern)))


def _load(path: Path) -> Tokenizer:
    """A tokenizer from its file, from shards, from a published model, or from a run of ours."""
    if path.suffix == ".gguf":
        return load_with_tokenizer(path)[1]
    if path.is_file() or is_published(path) or (path / "tokenizer.json").exists():
        return load_tokenizer(path)
    found = checkpoint.load(find_checkpoint(path)).extras
    for name in ("tokenizer", "source_tokenizer"):
        if name in found:
            return found[name]  # type: ignore[no-any-return]
    raise ValueError(f"{path}: holds a model without its tokenizer")


def _described(tokenizer: Tokenizer) -> str:
    return f"{type(tokenizer).__name__} of {len(tokenizer):,} tokens"


def _text_of(tokenizer: Tokenizer, index: int) -> str:
    """What a token stands for; its name in the vocabulary where that is no whole text.

    A text does not begin with the space of its first word, so a name with ``▁`` is shown as it is.
    """
    name = tokenizer.vocabulary.id_to_token(index)
    text = tokenizer.decode([index])
    return text if text and "\ufffd" not in text and "▁" not in name else name


def _shown(text: str) -> str:
    """In quotes, so that one sees its spaces, with escapes for what would steer a terminal."""
    return printable(repr(text))
