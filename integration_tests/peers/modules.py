"""PyTorch's modules and ours: made alike, given the same weights, called with the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import foundation_nn as fn
import numpy as np
import torch
from closeness import NotOurs
from compare import Sample
from foundation_nn import functional as F
from functions import binary_cross_entropy, cross_entropy, mse_loss
from samples import take_apart
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch.testing._internal.common_modules import module_db


class Pair(NamedTuple):
    """How a module of PyTorch becomes one of ours, and how both are called.

    ``build(theirs)`` makes ours in the same sizes. ``inputs(theirs, inputs)`` prepares a sample for
    both, ``call(ours, theirs, *inputs)`` runs ours and ``reference(theirs, *inputs)`` theirs, so
    that their outputs can be compared.
    """

    build: Callable[[Any], fn.Module]
    call: Callable[..., Any] = lambda ours, _theirs, input: ours(input)
    reference: Callable[..., Any] = lambda theirs, *inputs, **options: theirs(*inputs, **options)
    inputs: Callable[..., Any] = lambda _theirs, inputs: inputs


def module_samples(pairs: dict[type, Pair], dtype: torch.dtype) -> Iterator[Sample]:
    """Every sample of every module that has a pair, as in training and as in use."""
    for info in module_db:
        if info.module_cls not in pairs:
            continue
        pair = pairs[info.module_cls]
        for training in (False, True):
            torch.manual_seed(0)
            for sample in samples_of(info, dtype, training):
                made, given = sample.constructor_input, sample.forward_input
                theirs = info.module_cls(*made.args, **made.kwargs).to(dtype).train(training)
                call = (pair.inputs(theirs, given.args), given.kwargs)
                yield module_sample(info.name, pair, theirs, call, dtype)


def samples_of(info: Any, dtype: torch.dtype, training: bool) -> list[Any]:
    """PyTorch's samples of a module; of recurrent layers, also those with packed sequences."""

    def draw(info: Any, **more: Any) -> list[Any]:
        options = {"requires_grad": False, "training": training} | more
        return list(info.module_inputs_func(info, "cpu", dtype, **options))

    if info.module_cls in (nn.RNN, nn.GRU):
        return draw(info, with_packed_sequence=True)
    samples = draw(info)
    if info.module_cls is nn.LSTM:  # there are none of its own; those of the GRU fit
        (gru,) = (other for other in module_db if other.module_cls is nn.GRU)
        borrowed = draw(gru, with_packed_sequence=True)
        samples += [s for s in borrowed if isinstance(s.forward_input.args[0], PackedSequence)]
    return samples


def module_sample(name: str, pair: Pair, theirs: Any, call: Any, dtype: torch.dtype) -> Sample:
    """One module and one call ``(args, kwargs)`` of it."""
    start = {key: value.clone() for key, value in theirs.state_dict().items()}
    ours: Any = None
    refusal: Exception | None = None
    try:
        ours = pair.build(theirs).astype(str(dtype).removeprefix("torch."))
    except (NotOurs, TypeError, ValueError) as error:
        refusal = error

    def run_theirs(*inputs: Any, **options: Any) -> Any:
        theirs.load_state_dict(start)
        return pair.reference(theirs, *inputs, **options)

    def run_ours(*inputs: Any, **options: Any) -> Any:
        if refusal is not None:
            raise refusal
        if not isinstance(ours, Function):
            # What only ours has, such as the biases of a layer without, is zero.
            zeros = {key: np.zeros_like(value) for key, value in ours.state_dict().items()}
            ours.load_state_dict(zeros | {key: value.numpy() for key, value in start.items()})
        return pair.call(ours, theirs, *inputs, **options)

    sample = take_apart(name, run_theirs, run_ours, call)
    if ours is not None:
        sample.modules = (theirs, ours)
    return sample


def plain(module: type[fn.Module]) -> Pair:
    """A module that takes no options."""
    return Pair(lambda _theirs: module())


class Function(fn.Module):
    """A function of ours where PyTorch has a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def softmax(sign: int, function: Any) -> Pair:
    def build(theirs: Any) -> fn.Module:
        if theirs.dim is None:
            raise NotOurs("softmax: an axis that is guessed from the number of axes")
        return Function(lambda x: function(sign * x, theirs.dim))

    return Pair(build)


def layer_norm(theirs: nn.LayerNorm) -> fn.Module:
    if len(theirs.normalized_shape) > 1 or not theirs.elementwise_affine:
        raise NotOurs("LayerNorm: over more than the last axis, or without weights")
    return fn.LayerNorm(theirs.normalized_shape[0], theirs.eps, theirs.bias is not None)


def rms_norm(theirs: nn.RMSNorm) -> fn.Module:
    if len(theirs.normalized_shape) > 1 or not theirs.elementwise_affine:
        raise NotOurs("RMSNorm: over more than the last axis, or without weights")
    eps = torch.finfo(theirs.weight.dtype).eps if theirs.eps is None else theirs.eps
    return fn.RMSNorm(theirs.normalized_shape[0], eps)


def batch_norm(theirs: nn.BatchNorm1d) -> fn.Module:
    if theirs.momentum is None or theirs.bias is None or not theirs.track_running_stats:
        raise NotOurs("BatchNorm1d: without weights, running means or a momentum")
    return fn.BatchNorm1d(theirs.num_features, theirs.eps, theirs.momentum)


def run_batch_norm(ours: fn.BatchNorm1d, theirs: nn.Module, x: Any) -> Any:
    if not theirs.training:
        return ours(x)
    with fn.train_mode(np.random.default_rng(0)):
        y = ours(x)
    return y, ours.running_mean.data, ours.running_var.data, ours.num_batches_tracked.data


def torch_batch_norm(theirs: nn.BatchNorm1d, x: Any) -> Any:
    y = theirs(x)
    if not theirs.training:
        return y
    return y, theirs.running_mean, theirs.running_var, theirs.num_batches_tracked


def loss(function: Callable[..., Any], *options: str) -> Pair:
    def build(theirs: Any) -> fn.Module:
        given = {name: getattr(theirs, name) for name in ("reduction", *options)}
        given = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in given.items()}
        return Function(lambda x, target: function(x, target, **given))

    return Pair(build, lambda ours, _theirs, x, target: ours(x, target))


MODULES: dict[type, Pair] = {
    nn.ReLU: plain(fn.ReLU),
    nn.SiLU: plain(fn.SiLU),
    nn.Tanh: plain(fn.Tanh),
    nn.Sigmoid: plain(fn.Sigmoid),
    nn.GELU: Pair(lambda theirs: fn.GELU(theirs.approximate)),
    nn.Softmax: softmax(1, F.softmax),
    nn.LogSoftmax: softmax(1, F.log_softmax),
    nn.Softmin: softmax(-1, F.softmax),
    nn.Linear: Pair(lambda m: fn.Linear(m.in_features, m.out_features, m.bias is not None)),
    nn.Embedding: Pair(lambda m: fn.Embedding(m.num_embeddings, m.embedding_dim)),
    nn.LayerNorm: Pair(layer_norm),
    nn.RMSNorm: Pair(rms_norm),
    nn.BatchNorm1d: Pair(batch_norm, run_batch_norm, torch_batch_norm),
    nn.MSELoss: loss(mse_loss),
    nn.BCEWithLogitsLoss: loss(binary_cross_entropy, "weight", "pos_weight"),
    nn.CrossEntropyLoss: loss(cross_entropy, "weight", "ignore_index", "label_smoothing"),
}
