"""Where we differ from PyTorch on purpose, and why. Everything else is a fault.

The adapters translate what only has another name or another place: masks that mark what is hidden
instead of what is real, the time or the classes on another axis, decay of matrices only, the norm
that clipping divides by without + 1e-6. What is left is listed here.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    """Outcomes of some operations that are as they should be, and the reason.

    ``operations`` is a regular expression for the row of the table, ``outcome`` one for what the
    report prints about a call: "arguments: what came out".
    """

    operations: str
    outcome: str
    reason: str

    def explains(self, operation: str, outcome: str) -> bool:
        """Whether this is about that outcome of that operation."""
        return bool(re.fullmatch(self.operations, operation) and re.search(self.outcome, outcome))


DIFFERENCES = (
    Known(
        "nn_functional_silu",
        r"output 0: -?0\.0 instead of nan",
        "silu(-inf) is 0, its limit; PyTorch multiplies -inf by 0",
    ),
    Known(
        "abs|sign",
        r"(output|gradient of input) 0: nan instead of -?0\.0",
        "the sign of NaN is NaN, as in NumPy; PyTorch's is 0",
    ),
    Known(
        "nn.CrossEntropyLoss",
        r"output 0: 0\.0 instead of nan",
        "a loss of no target that counts is 0; PyTorch divides 0 by 0",
    ),
    Known(
        "masked_softmax",
        r"output 0: 0\.0 instead of nan",
        "a row in which nothing may be seen is 0; PyTorch divides 0 by 0",
    ),
    Known(
        r"schedules\.plateau",
        r"^negative ",
        "an improvement is a fall; PyTorch's relative threshold turns round below zero",
    ),
)

REFUSALS = (
    Known(
        "addcmul|addcdiv|lerp|cat",
        r"an operation never changes the dtype of what it is given",
        "float32 and float64 do not meet without being told so",
    ),
    Known(
        "cat",
        r"expected numbers in float32 or float64, got float16",
        "half precision is not computed in",
    ),
    Known(
        r"(var|std)(_mean|_unbiased)?",
        r"expected more than ddof=",
        "the variance of too few numbers is refused; PyTorch gives NaN",
    ),
    Known(
        r"(nn_functional_)?(log_)?soft(max|min)|nn\.(Log)?Soft(max|min)",
        r"has nothing to normalise over|does not exist in shape \(\)",
        "softmax needs an axis with something on it",
    ),
    Known(
        "linalg_norm",
        r"zero-size array to reduction operation",
        "the largest of no numbers is refused, as by NumPy",
    ),
    Known("transpose|logsumexp", r"out of bounds for array of dimension 0", "a scalar has no axes"),
    Known(
        "nn_functional_dropout",
        r"expected 0 <= p < 1",
        "dropout of everything is refused",
    ),
    Known(
        "nn_functional_scaled_dot_product_attention",
        r"expected a boolean array in which True means 'may attend'",
        "a mask is boolean; PyTorch also adds numbers",
    ),
    Known(
        r"nn\.CrossEntropyLoss|nn_functional_(linear_)?cross_entropy(_chunked)?",
        r"expected weights >= 0",
        "the weight of a class is not negative",
    ),
)
