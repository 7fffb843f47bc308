"""``foundation replay``: run a step again that came to nothing."""

from __future__ import annotations

import argparse

from foundation_nn.training import FailedStep

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._transformer import Transformer
from foundation_transformer.recipes import language_model_loss, translation_loss


def replay(options: argparse.Namespace) -> None:
    """Print what was kept, and the first operation that is to blame.

    Raises
    ------
    OSError, ValueError
        If nothing was kept there, or it is not a model of this package.
    """
    failed = FailedStep.load(options.folder)
    if isinstance(failed.model, Transformer):
        culprit = failed.replay(translation_loss())
    elif isinstance(failed.model, CausalLM):
        culprit = failed.replay(language_model_loss)
    else:
        raise ValueError(
            f"{options.folder}: of a {type(failed.model).__name__}, whose loss is not known here; "
            "use foundation_nn.training.FailedStep.load(...).replay(loss)"
        )
    print(f"kept:    {failed.message}\nreplay:  {culprit or 'everything is finite this time'}")
