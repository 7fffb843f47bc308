"""``foundation average``: one model from the last checkpoints of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from foundation_nn import checkpoint
from foundation_nn.training import checkpoints_of

from foundation_transformer.adapters import Lora
from foundation_transformer.pretrained import BaseModel


def average(options: argparse.Namespace) -> None:
    """Save the mean of all checkpoints of a run, or of those that are given.

    Raises
    ------
    OSError, ValueError
        If there are none, or they are not of one model.
    """
    places = [
        place
        for folder in options.folders
        for place in ([folder] if checkpoint.exists(folder) else checkpoints_of(folder))
    ]
    if not places:
        raise FileNotFoundError(f"{options.folders[0]}: no checkpoints there")
    if options.out.exists() and not options.force:
        raise FileExistsError(
            f"{options.out}: exists; choose another place, or replace it with --force"
        )
    mean = checkpoint.average(places)
    if isinstance(mean.model, Lora):
        _require_one_base(places)
    kept = {name: value for name, value in mean.extras.items() if hasattr(value, "to_dict")}
    checkpoint.save(options.out, mean.model, **kept)
    print(f"The mean of {', '.join(place.name for place in places)}: {options.out}")
    if isinstance(mean.model, Lora):
        print(f"  The mean of the changes beside the base is one of rank {mean.model.rank}.")


def _require_one_base(places: Sequence[Path]) -> None:
    """Refuse changes beside several models: their mean would be one beside none of them.

    Raises
    ------
    ValueError
    """
    records: list[BaseModel] = [checkpoint.load(place).extras["base"] for place in places]
    bases = {record.sha256: record for record in records}
    if len(bases) > 1:
        paths = " and ".join(base.path for base in bases.values())
        raise ValueError(
            f"the changes are for different bases, {paths}; average those of one base, or merge "
            "each first"
        )
