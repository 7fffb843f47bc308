"""Training loops, and what goes with them.

Read in this order:

* ``_batches``, which cuts arrays into batches;
* ``_callback``, what can be told of a run, and ``_trainer``, the loop: ``Trainer.fit``;
* ``_run``, what each line of the loop does;
* what that uses: ``_gradient`` (one step), ``_evaluate``, ``_limits`` (when it ends),
  ``_followers`` (EMA and plateau), ``_signals``, ``_checks`` (what is refused);
* how it is saved and goes on: ``_position`` and ``_resume``;
* before it: ``_range_test``, which finds a learning rate;
* callbacks: ``_checkpoints`` (with ``_run_folder``) and ``_early_stopping``, both by way of
  ``_best``; ``_logs`` and ``_progress``;
* what is left of a run: ``_history``; ``_report``, which draws by ``_chart`` and ``_smoothing`` and
  concludes by ``_diagnose``; and for steps that failed ``_blame`` and ``_forensics``.
"""

from foundation_nn._publish import publish
from foundation_nn.training._batches import Batches, batches
from foundation_nn.training._callback import Callback
from foundation_nn.training._checkpoints import Checkpoints
from foundation_nn.training._diagnose import diagnose
from foundation_nn.training._early_stopping import EarlyStopping
from foundation_nn.training._evaluate import evaluate
from foundation_nn.training._forensics import FailedStep
from foundation_nn.training._history import Evaluation, History, Sample, Step
from foundation_nn.training._logs import CsvLog, JsonLog, read_history
from foundation_nn.training._position import generator_state, set_generator
from foundation_nn.training._progress import Progress
from foundation_nn.training._range_test import RangeTest, find_lr
from foundation_nn.training._report import write_report
from foundation_nn.training._run_folder import FolderInUseError, checkpoints_of, own_folder
from foundation_nn.training._trainer import Trainer

__all__ = [
    "Batches",
    "Callback",
    "Checkpoints",
    "CsvLog",
    "EarlyStopping",
    "Evaluation",
    "FailedStep",
    "FolderInUseError",
    "History",
    "JsonLog",
    "Progress",
    "RangeTest",
    "Sample",
    "Step",
    "Trainer",
    "batches",
    "checkpoints_of",
    "diagnose",
    "evaluate",
    "find_lr",
    "generator_state",
    "own_folder",
    "read_history",
    "set_generator",
    "write_report",
]

publish(__name__)
