"""The folder of a run: found usable before training, and nothing of value overwritten."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foundation_nn import checkpoint

#: The checkpoint within the folder of a run.
CHECKPOINT = "checkpoint"
#: Of a run that was interrupted, when the folder holds a finished one.
INTERRUPTED = "checkpoint-interrupted"


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Refuse a folder that cannot be used at once; leave no empty one behind after a failure.

    Raises
    ------
    OSError
        If nothing can be written there.
    ValueError
        If something that is no checkpoint stands where the checkpoint will.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{folder}: cannot be written to ({error.strerror}); choose another folder with --out"
        ) from None
    for name in (CHECKPOINT, INTERRUPTED):
        place = folder / name
        if not checkpoint.may_save(place):
            raise ValueError(
                f"{place}: exists and is not a checkpoint; choose another folder with --out"
            )
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty: then it is worth keeping
            for place in made:
                place.rmdir()
        raise


def place_for(folder: Path, interrupted: bool) -> Path:
    """Where to save: half a run does not replace an earlier one."""
    place = folder / CHECKPOINT
    return folder / INTERRUPTED if interrupted and place.exists() else place


def kind_of(model: object) -> str:
    """What a model is, with the command that uses it."""
    kinds = {
        "Transformer": "a translator (see foundation translate)",
        "CausalLM": "a language model (see foundation generate)",
        "TextEncoder": "a text encoder (see foundation embed)",
        "TextClassifier": "a text classifier (see foundation classify and rerank)",
    }
    return kinds.get(type(model).__name__, "a model of another kind")


def find_checkpoint(folder: Path) -> Path:
    """The checkpoint of a run, or the folder itself if that is one.

    Raises
    ------
    OSError
        If there is none.
    """
    if folder.is_file():
        raise NotADirectoryError(f"{folder}: a file; expected the folder of a run or a checkpoint")
    for place in (folder, folder / CHECKPOINT, folder / INTERRUPTED):
        if checkpoint.exists(place):
            return place
    raise FileNotFoundError(f"{folder}: no trained model there; train one with: foundation demo")
