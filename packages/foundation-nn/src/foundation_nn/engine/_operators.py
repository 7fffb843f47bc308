"""Where a tensor's operators and methods find the operations that they stand for.

``x + y`` is the operation ``add``, and an operation takes and gives tensors: each needs the other.
So the tensor, which comes first, looks the operation up by its name at the moment it is used, and
``foundation_nn.functional``, which comes later, has put it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundation_nn.engine._tensor import Tensor


class Operators:
    """Operations by their names: ``operators.add(x, y)``."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...


#: All operations of ``foundation_nn.functional``.
operators = Operators()
