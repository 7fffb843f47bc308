"""The process in which files are read: it may be killed, and its memory is limited.

Its arguments are the name of a parser, the seed, the first mutation and the one after the last. It
writes a line before each mutation and a line about what came of it.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from foundation_transformer.cli._main import is_explained
from mutations import changed_json, damaged
from parsers import PARSERS, Parser, RefusedByCommandError

MAX_BYTES = 1 << 30


def mutate(parser: Parser, folder: Path, rng: np.random.Generator) -> None:
    """Damage one of the files of a sound sample."""
    file = folder / parser.files[rng.integers(len(parser.files))]
    content = file.read_bytes()
    if rng.random() < 0.5:
        try:
            content = changed_json(content, rng)
        except ValueError:
            content = damaged(content, rng)
    else:
        content = damaged(content, rng)
    file.write_bytes(content)
    if parser.reseal is not None and rng.random() < 0.7:
        try:
            parser.reseal(folder)
        except Exception:  # noqa: BLE001 - what cannot be sealed stays as it is
            file.write_bytes(content)


def outcome(parser: Parser, folder: Path) -> dict[str, Any]:
    """Read a folder: whether it was taken, refused, or what else happened."""
    try:
        parser.read(folder)
    except MemoryError:
        return {"fault": "more memory than is allowed"}
    except Exception as error:  # noqa: BLE001 - to be judged
        text = f"{type(error).__name__}: {error}"
        is_told = isinstance(error, RefusedByCommandError) or is_explained(error)
        if not isinstance(error, parser.errors) or not is_told:
            return {"fault": "".join(traceback.format_exception(error))[-3000:]}
        if parser.names_file and folder.name not in str(error):
            return {"fault": f"the refusal names no file: {text[:500]}"}
        if len(text) > 6000:
            return {"fault": f"the refusal has {len(text)} characters: {text[:500]}"}
        return {"refused": text[:200]}
    return {"taken": True}


def tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def work(parser: Parser, seed: int, first: int, last: int) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        sound, damaged_copy = Path(place, "sound"), Path(place, "damaged")
        sound.mkdir()
        parser.write(sound)
        if parser.sound_is_read:
            shutil.copytree(sound, damaged_copy)
            parser.read(damaged_copy)
        for number in range(first, last):
            shutil.rmtree(damaged_copy, ignore_errors=True)
            shutil.copytree(sound, damaged_copy)
            rng = np.random.default_rng([seed, zlib.crc32(parser.name.encode()), number])
            mutate(parser, damaged_copy, rng)
            tell(number=number)
            started = time.process_time()
            result = outcome(parser, damaged_copy)
            tell(number=number, seconds=time.process_time() - started, **result)


def limit_memory() -> None:
    """One GiB more than the program itself takes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if Path("/proc/self/statm").exists():
        limit_memory()
    by_name = {parser.name: parser for parser in PARSERS}
    for job in sys.stdin:  # a parser and its mutations
        name, seed, first, last = json.loads(job)
        try:
            work(by_name[name], seed, first, last)
        except Exception:  # noqa: BLE001 - told
            tell(broken=traceback.format_exc()[-3000:])
        tell(done=True)
