"""What hands that know PyTorch reach for, and what is written here instead.

A name in these tables is no attribute of ours. Whoever uses it is told in one sentence what to
write. Everything of this kind stands here, and nowhere else.
"""

from __future__ import annotations

from typing import Any

_ONE_DEVICE = "everything is computed on the CPU, so there is nothing to move: leave it out"

#: Of a tensor.
OF_A_TENSOR = {
    "view": "write x.reshape(...)",
    "permute": "write x.transpose(...), which names all axes in their new order, as NumPy's does",
    "unsqueeze": "write foundation_nn.functional.expand_dims(x, axis), or x[:, None]",
    "masked_fill": "write foundation_nn.functional.where(mask, value, x)",
    "clone": "write x * 1 for a copy with a gradient, or x.numpy() for an array",
    "dim": "write x.ndim",
    "requires_grad_": "write x.requires_grad = True or False",
    "to": f"write x.astype(dtype) for another dtype; {_ONE_DEVICE}",
    "cuda": _ONE_DEVICE,
    "cpu": _ONE_DEVICE,
}

#: Of a module.
OF_A_MODULE = {
    "train": "training is a context, and off by default: with foundation_nn.train_mode(rng): ...",
    "eval": "a model is in evaluation unless it is called within foundation_nn.train_mode(rng)",
    "to": f"write model.astype(dtype) for another dtype; {_ONE_DEVICE}",
    "cuda": _ONE_DEVICE,
    "cpu": _ONE_DEVICE,
    "zero_grad": "write optimizer.zero_grad()",
    "requires_grad_": "write model.freeze() or model.unfreeze()",
    "modules": "write model.named_modules(), which gives pairs of a name and a module",
    "apply": "write a loop: for name, module in model.named_modules(): ...",
}


def missing(owner: Any, name: str, habits: dict[str, str]) -> AttributeError:
    """The error for an attribute that does not exist, with what to write if it is a known habit."""
    kind = type(owner).__name__
    message = f"{kind!r} object has no attribute {name!r}"
    if name in habits:
        message = f"{kind} has no {name}(): {habits[name]}"
    return AttributeError(message, name=name, obj=owner)
