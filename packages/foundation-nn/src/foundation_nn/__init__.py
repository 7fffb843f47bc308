"""Neural networks and backpropagation on NumPy: the ground floor of Foundation.

Read in this order: ``engine`` (tape, tensor, and the decorator that makes a NumPy kernel
differentiable), ``functional`` (the operations), ``modules`` (layers, which own parameters),
``optim`` and ``schedules``, ``training``, ``checkpoint``. ``inspection`` looks inside, ``plotting``
draws, ``distributed`` trains in several processes; ``lessons`` holds what the examples share.
"""

from foundation_nn import (
    checkpoint,
    distributed,
    files,
    functional,
    init,
    optim,
    schedules,
    training,
)
from foundation_nn._arguments import did_you_mean, flag, number, whole_number
from foundation_nn._publish import publish
from foundation_nn.engine._habit_tables import OF_FUNCTIONS, OF_THE_PACKAGE
from foundation_nn.engine._habits import explains_keywords
from foundation_nn.engine._memory import keep_freed_memory
from foundation_nn.engine._modes import current_generator, skip_init, train_mode
from foundation_nn.engine._operation import Array, Operation, Result, Vector, operation
from foundation_nn.engine._parameter import Buffer, Parameter, ParameterBuffer
from foundation_nn.engine._recompute import recompute
from foundation_nn.engine._tape import Backward, is_recording, no_grad
from foundation_nn.engine._tensor import Tensor
from foundation_nn.engine._threads import (
    get_num_threads,
    one_blas_thread,
    over_parts,
    over_rows,
    product,
    scratch,
    set_num_threads,
)
from foundation_nn.functional._activations import logistic
from foundation_nn.functional._rows import (
    PerRow,
    by_rows,
    centred,
    column_sum,
    limited,
    row_dot,
    row_mean,
    row_sum,
)
from foundation_nn.inspection._finite import NonFinite, first_non_finite
from foundation_nn.inspection._flops import Flops, counts_flops
from foundation_nn.inspection._gradcheck import GradientError, gradcheck
from foundation_nn.inspection._graph import draw_graph
from foundation_nn.inspection._profile import Profile, profile
from foundation_nn.inspection._summary import summary
from foundation_nn.inspection._trace import Trace, trace
from foundation_nn.masks import causal_mask, padding_mask
from foundation_nn.modules import (
    GELU,
    MLP,
    BatchNorm1d,
    Dropout,
    Embedding,
    Identity,
    LayerNorm,
    Linear,
    ModuleDict,
    ModuleList,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from foundation_nn.modules._module import Module

__version__: str  # see publish

__all__ = [
    "product",
    "row_sum",
    "row_mean",
    "row_dot",
    "centred",
    "by_rows",
    "column_sum",
    "limited",
    "logistic",
    "Vector",
    "PerRow",
    "GELU",
    "MLP",
    "Array",
    "Backward",
    "BatchNorm1d",
    "Buffer",
    "Dropout",
    "Embedding",
    "Flops",
    "GradientError",
    "Identity",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NonFinite",
    "Operation",
    "Parameter",
    "ParameterBuffer",
    "Profile",
    "RMSNorm",
    "ReLU",
    "Result",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "Tensor",
    "Trace",
    "causal_mask",
    "checkpoint",
    "counts_flops",
    "current_generator",
    "did_you_mean",
    "distributed",
    "draw_graph",
    "explains_keywords",
    "files",
    "first_non_finite",
    "flag",
    "functional",
    "get_num_threads",
    "gradcheck",
    "init",
    "is_recording",
    "keep_freed_memory",
    "no_grad",
    "number",
    "one_blas_thread",
    "operation",
    "optim",
    "over_parts",
    "over_rows",
    "padding_mask",
    "profile",
    "publish",
    "recompute",
    "schedules",
    "scratch",
    "set_num_threads",
    "skip_init",
    "summary",
    "trace",
    "train_mode",
    "training",
    "whole_number",
]

publish(__name__, OF_FUNCTIONS | OF_THE_PACKAGE)
