"""How the next token is chosen, as one types it for ``generate`` and ``chat``."""

from __future__ import annotations

import argparse

from foundation_seq import SamplingConfig

#: What holds where nothing is typed.
DEFAULTS = {"temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.0}


def sampling_of(options: argparse.Namespace) -> SamplingConfig | None:
    """The sampling that was asked for; None takes the likeliest token each time.

    Raises
    ------
    ValueError
        If a number is out of its range, or a flag would do nothing.
    """
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("temperature") != 0:
        return SamplingConfig(**(DEFAULTS | given))
    idle = [name for name in given if name != "temperature"]
    if options.seed is not None:
        idle.append("seed")
    if idle:
        raise ValueError(
            f"--{idle[0].replace('_', '-')}: does nothing with --temperature 0, which takes the "
            "likeliest token each time"
        )
    return None
