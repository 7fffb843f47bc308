"""Optimisers, and what acts on gradients before they step."""

from foundation_nn.optim._adam import Adam, AdamW
from foundation_nn.optim._base import Optimizer
from foundation_nn.optim._clip import clip_grad_norm
from foundation_nn.optim._sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm"]
