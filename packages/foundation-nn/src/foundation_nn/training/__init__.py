"""Training loops, and what goes with them.

Read ``Callback`` first, then ``Trainer``; the rest are callbacks, values and reports.
"""

from foundation_nn.training._callback import Callback
from foundation_nn.training._checkpoints import Checkpoints, checkpoints_of
from foundation_nn.training._early_stopping import EarlyStopping
from foundation_nn.training._evaluate import evaluate
from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._history import Evaluation, History, Step
from foundation_nn.training._logs import CsvLog, JsonLog, read_history
from foundation_nn.training._position import generator_state, set_generator
from foundation_nn.training._progress import Progress
from foundation_nn.training._report import diagnose, write_report
from foundation_nn.training._trainer import Trainer

__all__ = [
    "Callback",
    "Checkpoints",
    "CsvLog",
    "EarlyStopping",
    "Evaluation",
    "FailedStep",
    "History",
    "JsonLog",
    "Progress",
    "Step",
    "Trainer",
    "checkpoints_of",
    "diagnose",
    "evaluate",
    "generator_state",
    "read_history",
    "set_generator",
    "write_report",
]
