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
@pytest.mark.parametrize("own_value", [False, True])
def test_self_attention_step_by_step(rng, layer, steps, own_value):
    x, v = rng.standard_normal((2, 3, 7, 12))
    whole = layer(Tensor(x), value=Tensor(v) if own_value else None, causal=True).data
    cache = KVCache(7)
    end = 0
    for n in steps:
        new, value = (Tensor(a[:, end : end + n]) for a in (x, v))
        with no_grad():
            y = layer(new, value=value if own_value else None, causal=True, cache=cache)
        np.testing.assert_allclose(y.data, whole[:, end : end + n], rtol=1e-12, atol=1e-13)
        end += n
        assert cache.length == end


def test_masked_self_attention_step_by_step(rng, layer):
    x = rng.standard_normal((3, 7, 12))
    real = rng.random((3, 7)) < 0.7
    whole = layer(Tensor(x), key_mask=real, causal=True).data
    cache = KVCache(7)
    for t in range(7):
        with no_grad():
            new = Tensor(x[:, t : t + 1])
            y = layer(new, key_mask=real[:, : t + 1], causal=True, cache=cache)
        now = real[:, t]
        np.testing.assert_allclose(y.data[now, 0], whole[now, t], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("separate", [False, True], ids=["memory", "key and value"])
def test_the_memory_is_projected_once(rng, layer, separate):
    x, memory = rng.standard_normal((3, 5, 12)), rng.standard_normal((2, 3, 7, 12))
    keys = [Tensor(m) for m in memory[: 2 if separate else 1]]
    mask = np.arange(7) < np.array([[2], [7], [4]])
    whole = layer(Tensor(x), *keys, key_mask=mask).data
    cache = KVCache(7)
    for t in range(5):
        with no_grad():
            new = Tensor(x[:, t : t + 1])
            y = layer(new, *keys, key_mask=mask, cache=cache)
        for p in (layer.in_proj_weight, layer.in_proj_bias):  # keys and values are there already
            rows = p.numpy()
            rows[12:] = np.nan
            p.data = rows
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


def test_a_shortened_cache_is_one_that_never_held_more(rng, layer):
    x = rng.standard_normal((2, 7, 12))
    real = np.arange(7) >= np.array([[0], [2]])
    with no_grad():
        cache = KVCache()
        layer(Tensor(x[:, :5]), key_mask=real[:, :5], causal=True, cache=cache)
        expected = layer(Tensor(x[:, 5:]), key_mask=real, causal=True, cache=cache).data
        cache.shorten(5)
        wrong = Tensor(rng.standard_normal((2, 4, 12)))
        layer(wrong, key_mask=np.hstack([real[:, :5], np.ones((2, 4), bool)]), cache=cache)
        cache.shorten(5)
        assert cache.length == 5
        again = layer(Tensor(x[:, 5:]), key_mask=real, causal=True, cache=cache).data
        np.testing.assert_array_equal(again, expected)
        cache.shorten(1)
        assert cache.padding is not None
        assert cache.padding.tolist() == [[False], [True]]
    for length in (2, -1):
        with pytest.raises(ValueError, match="expected a length from 0 to 1"):
            cache.shorten(length)


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


# --- what a cache was filled from


def test_another_memory_is_refused(rng, layer):
    x, memory = Tensor(rng.standard_normal((3, 5, 12))), rng.standard_normal((3, 7, 12))
    real = np.arange(7) < np.array([[2], [7], [4]])
    cache = KVCache(7)
    with no_grad():
        first = layer(x, Tensor(memory), key_mask=real, cache=cache).data
        again = layer(x, Tensor(memory.copy()), key_mask=real, cache=cache).data
        np.testing.assert_array_equal(again, first)
        memory[0, 4] = np.nan  # padding may hold anything
        layer(x, Tensor(memory), key_mask=real, cache=cache)
        memory[0, 1, 3] += 1e-9
        with pytest.raises(ValueError, match="KVCache: .*filled from, got others.*another"):
            layer(x, Tensor(memory), key_mask=real, cache=cache)
        with pytest.raises(ValueError, match="KVCache: .*filled from, got others"):
            layer(x, Tensor(memory[:, :5]), key_mask=real[:, :5], cache=cache)


def test_another_value_is_refused(rng, layer):
    x, memory, value = (Tensor(rng.standard_normal((3, n, 12))) for n in (5, 7, 7))
    cache = KVCache(7)
    with no_grad():
        layer(x, memory, value, cache=cache)
        with pytest.raises(ValueError, match="KVCache: .*filled from, got others"):
            layer(x, memory, cache=cache)


def test_a_memory_that_moves_with_its_rows(rng, layer):
    x, memory = rng.standard_normal((3, 5, 12)), rng.standard_normal((3, 7, 12))
    rows, cache = np.array([2, 2, 0, 1]), KVCache(7)
    with no_grad():
        whole = layer(Tensor(x), Tensor(memory), cache=cache).data
        cache.reorder(rows)
        for moved in (memory[rows], memory[rows]):
            y = layer(Tensor(x[rows]), Tensor(moved), cache=cache).data
            np.testing.assert_allclose(y, whole[rows], rtol=1e-12, atol=1e-13)
        with pytest.raises(ValueError, match="filled from, got others"):
            layer(Tensor(x[rows]), Tensor(memory[rows[::-1]]), cache=cache)


# --- padding stays padding


@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_what_was_padding_cannot_become_real(rng, layer, cross):
    x, memory = rng.standard_normal((2, 3, 12)), rng.standard_normal((2, 2, 12))
    real = np.array([[True, True], [False, True]])
    new = np.ones((2, 0 if cross else 1), bool)  # what the second call adds
    cache = KVCache()
    with no_grad():
        if cross:
            first, second = (Tensor(x[:, :2]), Tensor(memory)), (Tensor(x[:, 2:]), Tensor(memory))
        else:
            first, second = (Tensor(x[:, :2]),), (Tensor(x[:, 2:]),)
        layer(*first, key_mask=real, cache=cache)
        length = cache.length
        for key_mask in (None, np.ones((2, 2 + new.shape[1]), bool)):
            with pytest.raises(ValueError, match="key_mask: position 0 of row 1 was padding when"):
                layer(*second, key_mask=key_mask, cache=cache)
        assert cache.length == length  # what is refused adds nothing
        layer(*second, key_mask=np.concatenate([real, new], axis=1), cache=cache)
        cache.reorder(np.array([0, 0]))  # no padding in it
        memory_of_rows = (Tensor(memory[[0, 0]]),) if cross else ()
        layer(Tensor(x[[0, 0], 2:]), *memory_of_rows, cache=cache)


def test_what_was_real_may_become_padding(rng, layer):
    x, memory = rng.standard_normal((2, 1, 12)), rng.standard_normal((2, 3, 12))
    fewer = np.array([[True, False, True], [True, True, False]])
    cache = KVCache()
    with no_grad():
        layer(Tensor(x), Tensor(memory), cache=cache)
        y = layer(Tensor(x), Tensor(memory), key_mask=fewer, cache=cache).data
    expected = layer(Tensor(x), Tensor(memory), key_mask=fewer).data
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


# --- no training through a cache


def test_a_cache_where_gradients_are_recorded_is_refused(rng, layer):
    x, memory = Tensor(rng.standard_normal((3, 5, 12))), Tensor(rng.standard_normal((3, 7, 12)))
    for arguments in ((x,), (x, memory)):
        cache = KVCache(7)
        with pytest.raises(ValueError, match=r"cache: .*no gradients.*no_grad\(\)"):
            layer(*arguments, cache=cache)
        assert cache.length == 0
        with no_grad():
            expected = layer(*arguments, cache=cache).data
        with pytest.raises(ValueError, match=r"cache: .*no gradients.*no_grad\(\)"):
            layer(*arguments, cache=cache)
    for p in layer.parameters():  # nothing to be recorded: no context is needed
        p._leaf = False
    np.testing.assert_array_equal(layer(x, memory, cache=KVCache(7)).data, expected)
