"""What stays in memory between the forward and the backward pass: what the calculus needs."""

import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from foundation_nn import functional as F
from foundation_nn import over_parts
from foundation_nn.engine._aside import Aside
from foundation_nn.functional._dropout import _dropout
from foundation_nn.functional._rows import column_sum

#: Operations whose backward needs neither the input nor the value, but what it made of them.
KERNELS = {
    "add": lambda x: F.add.kernel(x, np.ones(1, x.dtype)),
    "sum": F.sum.kernel,
    "mean": F.mean.kernel,
    "reshape": lambda x: F.reshape.kernel(x, -1),
    "selection": lambda x: F.getitem.kernel(x, [0]),
    "mse_loss": lambda x: F.mse_loss.kernel(x, np.zeros_like(x)),
    "dropout": lambda x: _dropout.kernel(x, np.ones(x.shape, bool), 0.5),
    "gelu": F.gelu.kernel,
    "gelu, tanh": lambda x: F.gelu.kernel(x, "tanh"),
    "layer_norm": lambda x: F.layer_norm.kernel(x, np.ones(x.shape[-1], x.dtype)),
    "rms_norm": lambda x: F.rms_norm.kernel(x, np.ones(x.shape[-1], x.dtype)),
}


def owner(array):
    """The array whose memory this one shows."""
    return array if array.base is None else array.base


@pytest.mark.parametrize("rows", [3, 1031])  # as one block, and as several
@pytest.mark.parametrize("name", KERNELS)
def test_neither_the_input_nor_the_value_is_kept(name, rows):
    x = np.random.default_rng(0).standard_normal((rows, 521)).astype(np.float32)
    shape = x.shape
    input_ref = weakref.ref(x)
    y, backward = KERNELS[name](x)
    y_shape = np.shape(y)
    value_ref = weakref.ref(owner(np.asarray(y)))
    del x, y
    assert input_ref() is None
    assert value_ref() is None
    grads = backward(np.ones(y_shape, np.float32))
    assert (grads[0] if isinstance(grads, tuple) else grads).shape in (shape, y_shape)


def test_a_helper_that_is_busy_elsewhere_keeps_nothing(threads):
    threads(2)
    busy, started = threading.Event(), threading.Event()
    other = Aside()
    other.add("key", lambda: (started.set(), busy.wait(5)))
    assert started.wait(5)
    x = np.ones((1031, 521), np.float32)
    reference = weakref.ref(x)
    over_parts(lambda part, x=x: None, 3)
    given_up = Aside()
    given_up.add("key", lambda x=x: None)
    given_up.give_up()
    del x
    assert reference() is None  # though its jobs are in the queue of the helper
    busy.set()
    other.finish()


def test_sums_of_many_lengths_leave_little_behind():
    column_sum(np.ones((1 << 18, 1), np.float32))
    tracemalloc.start()
    try:
        for n in range(200_000, 200_050):
            assert column_sum(np.ones((n, 1), np.float32)) == [n]
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
