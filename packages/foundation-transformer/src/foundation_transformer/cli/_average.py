"""``foundation average``: one model from the last checkpoints of a run."""

from __future__ import annotations

import argparse

from foundation_nn import checkpoint
from foundation_nn.training import checkpoints_of


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
    kept = {name: value for name, value in mean.extras.items() if hasattr(value, "to_dict")}
    checkpoint.save(options.out, mean.model, **kept)
    print(f"The mean of {', '.join(place.name for place in places)}: {options.out}")
