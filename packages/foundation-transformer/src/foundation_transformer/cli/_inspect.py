"""``foundation inspect``: what is in a checkpoint or a published model."""

from __future__ import annotations

import argparse

from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._pretrained import is_published, load_any


def inspect(options: argparse.Namespace) -> None:
    """Print files, configuration, extras and arrays; a checkpoint is verified thereby.

    Raises
    ------
    OSError, ValueError
        If there is none, or it is damaged.
    """
    published = is_published(options.folder)
    place = options.folder if published else find_checkpoint(options.folder)
    loaded = load_any(place)
    model = loaded.model
    print(f"{place}: {'published' if published else 'whole, every file as it was written'}")
    for file in [place] if place.is_file() else sorted(place.iterdir()):
        print(f"  {file.name:26} {file.stat().st_size:>13,} bytes")
    print(f"\n{type(model).__name__}, {model.num_parameters():,} parameters")
    for name, value in model.to_dict().items():
        print(f"  {name:26} {value}")
    print("\nsaved beside it")
    for name, value in loaded.extras.items():
        print(f"  {name:26} {_short(value)}")
    if loaded.optimizer is not None:
        print(f"  {'optimizer':26} after step {int(loaded.optimizer['steps']):,}")
    print("\narrays")
    for name, array in model.state_dict().items():
        print(f"  {name:44} {array.dtype!s:8} {'×'.join(map(str, array.shape)) or 'scalar'}")


def _short(value: object) -> str:
    if hasattr(value, "__len__") and hasattr(value, "vocabulary"):
        return f"{type(value).__name__} of {len(value):,} tokens"
    text = str(value) if isinstance(value, int | float | str) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:59]}…"
