"""How the work is cut: parts of the heads for threads, blocks of rows, and dropout by block."""

import math

import numpy as np
import pytest
from foundation_attn import attention
from foundation_attn._blocks import Block, Cut, Dropout, parts_of
from foundation_nn import Tensor, get_num_threads, set_num_threads, train_mode
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
    found = parts_of(lead, size)
    for part in found:
        seen[part] += 1
        assert seen[part].size <= max(1, size)
    assert (seen == 1).all()
    if math.prod(lead) and size >= math.prod(lead):
        assert len(found) == 1


@pytest.mark.parametrize("T", [40, 400], ids=["kept", "computed again"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_threads_compute_the_same_bits(rng, two_threads, same_bits, T, dropout):
    arrays = [rng.standard_normal((3, 5, T, 4)) for _ in range(4)]
    results = []
    for threads in (2, 1):
        set_num_threads(threads)
        tensors = [Tensor(a, requires_grad=True) for a in arrays[:3]]
        with train_mode(np.random.default_rng(7)):
            y = attention(*tensors, causal=True, dropout=dropout)
        y.backward(arrays[3])
        results.append([y.data, *(t.grad for t in tensors)])
    for a, e in zip(*results, strict=True):
        same_bits(a, e)


@pytest.mark.parametrize(("T", "S"), [(128, 10**6), (10**5, 10**5), (1, 7), (0, 3), (3, 0)])
def test_however_long_the_rows_a_part_has_a_head(T, S):
    cut = Cut((2, 3), T, S, np.float32, causal=False, window=None)
    heads = np.zeros((2, 3), int)
    for part in cut.parts:
        heads[part] += 1
    assert (heads == 1).all()
    assert len(cut.parts) == (6 if T * S > 1000 else 1)
    assert sum(rows.stop - rows.start for rows, _ in cut.rows_and_keys) == T


# --- dropout


def block(part, rows, keys):
    return Block(0, part, rows, keys, lead=(), offset=0)


@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(0, 100),
)
def test_what_is_dropped_does_not_depend_on_the_cut(lead, T, S, size, step, seed):
    dropout = Dropout(np.random.default_rng(seed), 0.4, (*lead, T, S))
    whole = dropout.keep(block((slice(None),) * len(lead), slice(0, T), slice(0, S)))
    assert whole.shape == (*lead, T, S)
    for part in parts_of(lead, size):
        for start in range(0, T, step):
            rows = slice(start, min(start + step, T))
            keys = slice(S // 3, S)
            found = dropout.keep(block(part, rows, keys))
            np.testing.assert_array_equal(found, whole[(*part, rows, keys)])


def test_each_weight_has_a_draw_of_its_own():
    dropout = Dropout(np.random.default_rng(0), 0.3, (2, 3, 64, 63))
    everything = block((slice(None),) * 2, slice(0, 64), slice(0, 63))
    keep = dropout.keep(everything)
    assert keep.mean() == pytest.approx(0.7, abs=0.01)  # 24192 draws: 3.4 deviations
    rows = keep.reshape(-1, 63) - 0.7
    correlation = rows @ rows.T / (63 * 0.21)
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 0.8  # no row is another one's copy
    again = Dropout(np.random.default_rng(1), 0.3, (2, 3, 64, 63))
    assert (again.keep(everything) != keep).any()
