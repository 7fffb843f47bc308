"""The buffer of a model."""

from __future__ import annotations

from foundation_nn._arguments import described
from foundation_nn.engine._parameter import ParameterBuffer
from foundation_nn.modules._module import Module
from foundation_nn.optim._base import Optimizer


def buffer_of(caller: str, optimizer_or_model: Optimizer | Module) -> ParameterBuffer:
    """The buffer that holds exactly these parameters; a model without one is given a new one."""
    if isinstance(optimizer_or_model, Optimizer):
        return optimizer_or_model.buffer
    if not isinstance(optimizer_or_model, Module):
        raise TypeError(
            f"{caller}: expected an Optimizer or a Module, got {described(optimizer_or_model)}"
        )
    parameters = list(optimizer_or_model.parameters())
    buffers = [p._buffer for p in parameters]
    if all(buffer is None for buffer in buffers):
        return ParameterBuffer(parameters)
    first = buffers[0]
    if (
        first is None
        or any(buffer is not first for buffer in buffers)
        or len(first.parameters) != len(parameters)
    ):
        raise ValueError(
            f"{caller}: an optimiser has only some of the model's parameters, or others too; pass "
            "the optimiser instead of the model"
        )
    return first
