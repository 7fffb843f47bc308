"""Layers: parameters with an operation from :mod:`foundation_nn.functional`."""

from foundation_nn.modules._activations import GELU, ReLU, Sigmoid, SiLU, Tanh
from foundation_nn.modules._collections import ModuleDict, ModuleList
from foundation_nn.modules._containers import MLP, Sequential
from foundation_nn.modules._dropout import Dropout
from foundation_nn.modules._embedding import Embedding
from foundation_nn.modules._identity import Identity
from foundation_nn.modules._linear import Linear
from foundation_nn.modules._normalization import BatchNorm1d, LayerNorm, RMSNorm

__all__ = [
    "GELU",
    "MLP",
    "BatchNorm1d",
    "Dropout",
    "Embedding",
    "Identity",
    "LayerNorm",
    "Linear",
    "ModuleDict",
    "ModuleList",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
]
