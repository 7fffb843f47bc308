"""Checkpoints: folders that load as what they were, or are refused.

A checkpoint holds ``model.safetensors``, optionally ``optimizer.safetensors`` and the like, and
``checkpoint.json`` with everything else: the class and configuration of the model, tokenizers,
counters. There is no pickle anywhere, and a file does not choose what is imported.

Read in this order: ``_checkpoint`` (``save`` and ``load``), ``_describe`` (objects as JSON and
back), ``_classes`` (which classes a file may name), ``_folder`` (how files are written so that a
crash leaves a whole checkpoint), ``_average``.
"""

from foundation_nn._publish import publish
from foundation_nn.checkpoint._checkpoint import (
    Checkpoint,
    average,
    check,
    exists,
    load,
    may_save,
    save,
)
from foundation_nn.checkpoint._folder import CheckpointError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "average",
    "check",
    "exists",
    "load",
    "may_save",
    "save",
]

publish(__name__)
