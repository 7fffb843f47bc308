"""Training loops."""

from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._history import Evaluation, History, Step
from foundation_nn.training._progress import Progress
from foundation_nn.training._trainer import Callback, Trainer, evaluate

__all__ = [
    "Callback",
    "Evaluation",
    "FailedStep",
    "History",
    "Progress",
    "Step",
    "Trainer",
    "evaluate",
]
