"""Arguments and attributes of other libraries' optimisers, and what is written here instead.

Whoever uses one of these names is told in one sentence what to write. For names of tensors and
modules see :mod:`foundation_nn.engine._habits`.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

_CLIPPING = "write clip_grad_norm(optimizer, ...) before step(), or Trainer(clip_norm=...)"
_ONE_WALK = "all parameters lie in one buffer that is walked once, leave it out"

#: Keyword arguments, of all optimisers that do not have them.
_ARGUMENTS = {
    "params": "pass the model or its parameters first, without a name",
    "learning_rate": "write lr=...",
    "rate": "write lr=...",
    "beta1": "write betas=(beta1, beta2)",
    "beta2": "write betas=(beta1, beta2)",
    "rho": "write alpha=... of RMSprop, or betas=(beta1, beta2) of the others",
    "weight_decay": "a decay would be divided by √v: write AdamW(..., weight_decay=...)",
    "decoupled_weight_decay": "AdamW, Lion, Muon and Adafactor decouple it, the others do not",
    "momentum": "write SGD(momentum=...), or the first of betas=(...) of AdamW",
    "dampening": "the velocity takes the whole gradient, leave it out",
    "nesterov": "momentum is the classical one; of the optimisers here, Muon has Nesterov's",
    "amsgrad": "v̂ is that of Adam, not its maximum: leave it out, or lower the rate by a schedule",
    "centered": "v is the mean of g² alone, leave it out",
    "lr_decay": "write a schedule, such as schedules.linear(lr, steps)",
    "initial_accumulator_value": "the sum of squares begins at 0; a larger eps does the same",
    "maximize": "negate the loss: (-loss).backward()",
    "clip_norm": _CLIPPING,
    "max_grad_norm": _CLIPPING,
    "clipnorm": _CLIPPING,
    "foreach": _ONE_WALK,
    "fused": _ONE_WALK,
    "capturable": _ONE_WALK,
    "differentiable": "gradients are of first order, leave it out",
    "ns_coefficients": "they are those of the paper, leave them out",
    "adjust_lr_fn": 'write scale="original" or scale="match_rms_adamw"',
}

#: Attributes.
_ATTRIBUTES = {
    "param_groups": "write optimizer.lr = ... for the rate of all, or see optimizer.groups",
    "add_param_group": "pass all groups at first, and freeze what is not to be trained yet",
    "defaults": "the arguments are attributes, such as optimizer.lr",
    "register_step_post_hook": "write a Callback with on_step, or call it after step()",
}


def answering_habits(cls: type) -> None:
    """Have the ``__init__`` of a class say what to write instead of an argument it does not have.

    Its signature stays as it is written, so that type checkers and help texts know of nothing else.
    """
    if "__init__" not in vars(cls):
        return
    init: Any = cls.__init__  # type: ignore[misc]
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def answering(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name in _ARGUMENTS and name not in known:
                kind = type(self).__name__
                raise TypeError(f"{kind} has no argument {name!r}: {_ARGUMENTS[name]}")
        init(self, *args, **kwargs)

    cls.__init__ = answering  # type: ignore[misc]


def missing(optimizer: Any, name: str) -> AttributeError:
    """The error for an attribute that does not exist."""
    kind = type(optimizer).__name__
    message = f"{kind!r} object has no attribute {name!r}"
    if name in _ATTRIBUTES:
        message = f"{kind} has no {name!r}: {_ATTRIBUTES[name]}"
    return AttributeError(message, name=name, obj=optimizer)
