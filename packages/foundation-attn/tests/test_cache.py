"""Keys and values of earlier positions: cached equals uncached."""

import numpy as np
import pytest
from foundation_attn import KVCache, MultiHeadAttention
from foundation_nn import Tensor, no_grad


@pytest.fixture(params=[6, 2], ids=["MHA", "GQA"])
def layer(request, rng):
    layer = MultiHeadAttention(12, 6, request.param, rng=rng).astype(np.float64)
    for p in layer.parameters():
        p.data = rng.normal(0, 0.5, p.shape)
    return layer


@pytest.mark.parametrize("steps", [[1] * 7, [3, 1, 1, 2], [7], [1, 6]])
@pytest.mark.parametrize("arguments", [1, 2, 3])
def test_self_attention_step_by_step(rng, layer, steps, arguments):
    x = rng.standard_normal((3, 7, 12))
    whole = layer(Tensor(x), causal=True).data
    cache = KVCache(7)
    end = 0
    for n in steps:
        new = Tensor(x[:, end : end + n])
        with no_grad():
            y = layer(*[new] * arguments, causal=True, cache=cache)  # (x), (x, x), (x, x, x)
        np.testing.assert_allclose(y.data, whole[:, end : end + n], rtol=1e-12, atol=1e-13)
        end += n
        assert cache.length == end


def test_masked_self_attention_step_by_step(rng, layer):
    x = rng.standard_normal((3, 7, 12))
    real = rng.random((3, 7)) < 0.7
    whole = layer(Tensor(x), mask=real, causal=True).data
    cache = KVCache(7)
    for t in range(7):
        with no_grad():
            new = Tensor(x[:, t : t + 1])
            y = layer(new, mask=real[:, : t + 1], causal=True, cache=cache)
        now = real[:, t]
        np.testing.assert_allclose(y.data[now, 0], whole[now, t], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("separate", [False, True], ids=["memory", "key and value"])
def test_the_memory_is_projected_once(rng, layer, separate):
    x, memory = rng.standard_normal((3, 5, 12)), rng.standard_normal((2, 3, 7, 12))
    keys = [Tensor(m) for m in memory[: 2 if separate else 1]]
    mask = np.arange(7) < np.array([[2], [7], [4]])
    whole = layer(Tensor(x), *keys, mask=mask).data
    cache = KVCache(7)
    spoilt = [Tensor(np.full((3, 7, 12), np.nan)) for _ in keys]
    for t in range(5):
        with no_grad():
            new = Tensor(x[:, t : t + 1])
            y = layer(new, *(keys if t == 0 else spoilt), mask=mask, cache=cache)
        np.testing.assert_allclose(y.data, whole[:, t : t + 1], rtol=1e-12, atol=1e-13)
        assert cache.length == 7


def test_rows_repeated_moved_and_dropped(rng, layer):
    x = rng.standard_normal((3, 7, 12))
    cache = KVCache(7)
    rows = np.array([2, 0, 0, 2])
    with no_grad():
        layer(Tensor(x[:, :4]), causal=True, cache=cache)
        cache.reorder(rows)
        later = rng.standard_normal((4, 3, 12))
        y = layer(Tensor(later[:, :2]), causal=True, cache=cache)
        cache.reorder(np.array([3]))
        z = layer(Tensor(later[3:, 2:]), causal=True, cache=cache)
    whole = layer(Tensor(np.concatenate([x[rows, :4], later], axis=1)), causal=True).data
    np.testing.assert_allclose(y.data, whole[:, 4:6], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(z.data, whole[3:, 6:], rtol=1e-12, atol=1e-13)


def test_append_and_view(rng):
    cache = KVCache(5)
    k, v = rng.standard_normal((2, 2, 3, 5, 4))
    cache.append(k[:, :, :2].copy(), v[:, :, :2].copy())
    keys, values = cache.append(k[:, :, 2:3], v[:, :, 2:3])
    np.testing.assert_array_equal(keys, k[:, :, :3])
    np.testing.assert_array_equal(values, v[:, :, :3])
    assert cache.length == 3
    again, _ = cache.view()
    assert np.shares_memory(keys, again)
    before = k.copy()
    k[...] = 0  # the cache holds copies
    np.testing.assert_array_equal(cache.view()[0], before[:, :, :3])


def test_keys_and_values_may_differ_in_width(rng):
    cache = KVCache(3)
    k, v = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 5))
    keys, values = cache.append(k, v)
    np.testing.assert_array_equal(keys, k)
    np.testing.assert_array_equal(values, v)


def test_a_full_cache_says_so():
    cache = KVCache(4)
    cache.append(np.zeros((1, 3, 2)), np.zeros((1, 3, 2)))
    with pytest.raises(ValueError, match="KVCache: 3 positions and 2 more exceed max_len=4"):
        cache.append(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
    assert cache.length == 3


@pytest.mark.parametrize("shape", [(3, 2, 1, 4), (2, 1, 1, 4), (2, 2, 1, 5), (2, 1, 4)])
def test_a_cache_belongs_to_one_batch_and_one_layer(shape):
    cache = KVCache(4)
    cache.append(np.zeros((2, 2, 1, 4)), np.zeros((2, 2, 1, 4)))
    message = r"KVCache: expected keys of shape \(2, 2, 1, 4\).*one batch and one layer"
    with pytest.raises(ValueError, match=message):
        cache.append(np.zeros(shape), np.zeros(shape))
    assert cache.length == 1


def test_a_value_for_each_key():
    cache = KVCache(4)
    cache.append(np.zeros((2, 2, 1, 4)), np.zeros((2, 2, 1, 4)))
    with pytest.raises(ValueError, match="KVCache"):
        cache.append(np.zeros((2, 2, 1, 4)), np.zeros((1, 2, 1, 4)))  # it would be repeated
    assert cache.length == 1


def test_another_batch_is_refused_by_the_layer(rng, layer):
    cache = KVCache(9)
    with no_grad():
        layer(Tensor(rng.standard_normal((3, 2, 12))), causal=True, cache=cache)
        with pytest.raises(ValueError, match="KVCache: .*one batch"):
            layer(Tensor(rng.standard_normal((2, 1, 12))), causal=True, cache=cache)


def test_an_empty_cache():
    with pytest.raises(ValueError, match="KVCache: expected max_len >= 1, got 0"):
        KVCache(0)
    cache = KVCache(1)
    with pytest.raises(ValueError, match="nothing has been stored"):
        cache.view()
    cache.reorder(np.array([0, 0]))
    assert cache.length == 0
