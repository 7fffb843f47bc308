"""``foundation replay``: run a step again that came to nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from foundation_nn.training import FailedStep

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._heads import TextClassifier
from foundation_transformer._transformer import Transformer
from foundation_transformer.cli._run_file import is_run, read_run
from foundation_transformer.cli._task import loss_of
from foundation_transformer.recipes import (
    classification_loss,
    language_model_loss,
    translation_loss,
)


def _loss_of_the_run(bundle: Path) -> Any:
    """With the label smoothing of the run in whose folder the bundle lies."""
    folder = bundle.resolve().parent
    return loss_of(read_run(folder).settings) if is_run(folder) else translation_loss()


def replay(options: argparse.Namespace) -> None:
    """Print what was kept, and the first operation that is to blame.

    Raises
    ------
    OSError, ValueError
        If nothing was kept there, or it is not a model of this package.
    """
    failed = FailedStep.load(options.folder)
    if isinstance(failed.model, Transformer):
        culprit = failed.replay(_loss_of_the_run(options.folder))
    elif isinstance(failed.model, CausalLM):
        culprit = failed.replay(language_model_loss)
    elif isinstance(failed.model, TextClassifier):
        culprit = failed.replay(classification_loss)
    else:
        raise ValueError(
            f"{options.folder}: neither of a translator nor of a language model, so that its loss "
            "is not known here; the chapter on training shows how to replay it in Python"
        )
    print(f"kept:    {failed.message}\nreplay:  {culprit or 'everything is finite this time'}")
