"""Optimisers, and what acts on gradients before they step and on parameters afterwards."""

from foundation_nn._publish import publish
from foundation_nn.engine._habit_tables import OF_OPTIM
from foundation_nn.optim._adafactor import Adafactor
from foundation_nn.optim._adagrad import Adagrad
from foundation_nn.optim._adam import Adam, AdamW
from foundation_nn.optim._base import Optimizer, Settings
from foundation_nn.optim._clip import clip_grad_norm
from foundation_nn.optim._ema import EMA
from foundation_nn.optim._groups import Group, ParameterGroup, Trainable
from foundation_nn.optim._lion import Lion
from foundation_nn.optim._muon import Muon
from foundation_nn.optim._rmsprop import RMSprop
from foundation_nn.optim._sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "Lion",
    "Muon",
    "Adafactor",
    "Optimizer",
    "ParameterGroup",
    "Group",
    "Settings",
    "Trainable",
    "clip_grad_norm",
    "EMA",
]

publish(__name__, OF_OPTIM)
