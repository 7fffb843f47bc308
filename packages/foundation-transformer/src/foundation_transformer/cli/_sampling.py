"""How the next token is chosen, as one types it for ``generate`` and ``chat``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import fields, replace

from foundation_seq import PromptLookup, SamplingConfig

from foundation_transformer.pretrained import GenerationDefaults

#: What holds where neither a flag nor the model's folder says anything.
DEFAULTS = {"temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.0}
_NAMES = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def sampling_of(
    options: argparse.Namespace, said: GenerationDefaults | None = None
) -> SamplingConfig | None:
    """The sampling that holds; None takes the likeliest token each time.

    A flag wins over what the model's folder says, and that over the defaults of the command.

    Parameters
    ----------
    options : Namespace
    said : GenerationDefaults, optional
        What the folder says.

    Raises
    ------
    ValueError
        If a number is out of its range, or a flag would do nothing.
    """
    given = {name: getattr(options, name) for name in _NAMES}
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("temperature") == 0:
        _refuse_idle(given, options)
        return None
    if said is None or not said.says_how:
        return SamplingConfig(**(DEFAULTS | given))
    sampling = said.sampling()
    if sampling is None:
        return SamplingConfig(**(DEFAULTS | given)) if given else None
    return replace(sampling, **given)


def draft_of(options: argparse.Namespace) -> PromptLookup | None:
    """What guesses the next tokens, if anything shall."""
    return PromptLookup() if options.lookup else None


def tell_sampling(options: argparse.Namespace, said: GenerationDefaults) -> None:
    """Say on standard error how tokens are chosen, if the model's folder has a say in it."""
    if said.not_obeyed:
        print(f"not obeyed: {', '.join(said.not_obeyed)}", file=sys.stderr)
    if not said.says_how:
        return
    sampling = sampling_of(options, said)
    if sampling is None:
        print("the likeliest token each time", _origin(options, said), file=sys.stderr)
        return
    chosen = {name: getattr(sampling, name) for name in _NAMES}
    neutral = {field.name: field.default for field in fields(SamplingConfig)}
    parts = [
        f"{name} {value:g} {_origin(options, said, name)}"
        for name, value in chosen.items()
        if value is not None and (name == "temperature" or value != neutral[name])
    ]
    print("tokens are drawn:", ", ".join(parts), file=sys.stderr)


def _origin(options: argparse.Namespace, said: GenerationDefaults, name: str = "do_sample") -> str:
    """Whose word it is, for people."""
    if getattr(options, name, None) is not None or options.temperature == 0:
        return "(flag)"
    return "(the model's)" if name == "do_sample" or said.sampling() else "(default)"


def _refuse_idle(given: Mapping[str, float], options: argparse.Namespace) -> None:
    """Refuse flags of drawing where nothing is drawn."""
    idle = [name for name in given if name != "temperature"]
    if options.seed is not None:
        idle.append("seed")
    if idle:
        raise ValueError(
            f"--{idle[0].replace('_', '-')}: does nothing with --temperature 0, which takes the "
            "likeliest token each time"
        )
