"""Sharing heads between threads."""

import math
import threading

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


def blas_threads():
    return [library.num_threads for library in _parts._blas()]


def test_blas_has_its_threads_again(two_threads):
    before, inside = blas_threads(), []
    _parts.for_each(lambda n: inside.append(blas_threads()), 4)
    assert inside == [[1] * len(before)] * 4
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError):
        _parts.for_each(lambda n: 1 // 0, 4)
    assert blas_threads() == before


def test_two_who_ask_at_once_leave_it_as_it_was(two_threads):
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with _parts._one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with _parts._one_blas_thread():
        thread.start()
        assert entered.wait(10)
    leave.set()
    thread.join()
    assert blas_threads() == before
