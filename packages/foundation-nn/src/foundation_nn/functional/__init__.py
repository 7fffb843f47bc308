"""The operations: each a NumPy kernel with its backward beneath it.

Read in this order: ``_basic`` (arithmetic), ``_kinks``, ``_reductions``, ``_spread``, ``_shaping``,
``_axes``, ``_norms``, ``_parts``, ``_casting``, ``_einsum``, ``_linear``, ``_rows`` (how kernels of
rows are cut into blocks), ``_normalization``, ``_activations``, ``_curves``, ``_logarithms``,
``_softmax``, ``_losses``, ``_cross_entropy``, ``_embedding``, ``_dropout``, ``_padding``.
"""

from foundation_nn._publish import publish
from foundation_nn.engine._habit_tables import OF_FUNCTIONS
from foundation_nn.engine._habits import add_habits_of_tensors
from foundation_nn.engine._methods import Methods
from foundation_nn.engine._operators import operators
from foundation_nn.functional._activations import gelu, relu, sigmoid, silu, tanh
from foundation_nn.functional._axes import broadcast_to, expand_dims, flip, repeat, squeeze
from foundation_nn.functional._basic import (
    add,
    divide,
    exp,
    log,
    matmul,
    multiply,
    negative,
    power,
    sqrt,
    subtract,
)
from foundation_nn.functional._casting import astype
from foundation_nn.functional._cross_entropy import cross_entropy
from foundation_nn.functional._curves import cos, erf, sin
from foundation_nn.functional._dropout import dropout, keep_scale, random_keep
from foundation_nn.functional._einsum import einsum, outer
from foundation_nn.functional._embedding import embedding
from foundation_nn.functional._kinks import abs, clip, maximum, minimum, sign
from foundation_nn.functional._linear import linear
from foundation_nn.functional._logarithms import log1p, log_sigmoid, logsumexp, softplus
from foundation_nn.functional._losses import (
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
)
from foundation_nn.functional._normalization import layer_norm, rms_norm
from foundation_nn.functional._norms import norm
from foundation_nn.functional._padding import mask_rows
from foundation_nn.functional._parts import pad, split, take_along_axis, tril, triu
from foundation_nn.functional._reductions import cumsum, max, mean, min, sum
from foundation_nn.functional._shaping import (
    concat,
    getitem,
    reshape,
    stack,
    swapaxes,
    transpose,
    where,
)
from foundation_nn.functional._softmax import log_softmax, softmax
from foundation_nn.functional._spread import std, var

__all__ = [
    "abs",
    "add",
    "astype",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "clip",
    "concat",
    "cos",
    "cross_entropy",
    "cumsum",
    "divide",
    "dropout",
    "einsum",
    "embedding",
    "erf",
    "exp",
    "expand_dims",
    "flip",
    "gelu",
    "getitem",
    "huber_loss",
    "keep_scale",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "linear",
    "log",
    "log1p",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mask_rows",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "multiply",
    "negative",
    "norm",
    "outer",
    "pad",
    "power",
    "random_keep",
    "relu",
    "repeat",
    "reshape",
    "rms_norm",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take_along_axis",
    "tanh",
    "transpose",
    "tril",
    "triu",
    "var",
    "where",
]

for _name in __all__:
    setattr(operators, _name, globals()[_name])
add_habits_of_tensors(Methods)

publish(__name__, OF_FUNCTIONS)
