"""Sharing heads between threads."""

import math

import numpy as np
import pytest
from foundation_attn import _parts, attention
from foundation_nn import Tensor, get_num_threads, set_num_threads
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


@given(st.lists(st.integers(0, 7), max_size=3), st.integers(0, 60))
def test_parts_are_each_head_once(lead, size):
    seen = np.zeros(lead, int)
    found = _parts.parts(lead, size)
    for part in found:
        seen[part] += 1
        assert seen[part].size <= max(1, size)
    assert (seen == 1).all()
    if math.prod(lead) and size >= math.prod(lead):
        assert len(found) == 1


@pytest.mark.parametrize("T", [40, 400], ids=["kept", "computed again"])
def test_two_threads_compute_the_same_bits(rng, two_threads, same_bits, T):
    arrays = [rng.standard_normal((3, 5, T, 4)) for _ in range(4)]
    results = []
    for threads in (2, 1):
        set_num_threads(threads)
        tensors = [Tensor(a, requires_grad=True) for a in arrays[:3]]
        y = attention(*tensors, causal=True)
        y.backward(arrays[3])
        results.append([y.data, *(t.grad for t in tensors)])
    for a, e in zip(*results, strict=True):
        same_bits(a, e)
