"""Multi-head attention: its formula, grouped heads, padding, errors."""

import math

import numpy as np
import pytest
from foundation_attn import MultiHeadAttention, attention, merge_heads, split_heads
from foundation_nn import Module, Tensor, causal_mask, gradcheck, train_mode

KINDS = ["self", "cross", "value"]
every_kind = pytest.mark.parametrize("kind", KINDS)
HEADS = [(6, 6), (6, 3), (6, 2), (6, 1)]
every_grouping = pytest.mark.parametrize(("heads", "kv_heads"), HEADS)


def make(rng, d_model=12, heads=6, kv_heads=None, dtype=np.float64, **options):
    layer = MultiHeadAttention(d_model, heads, kv_heads, rng=rng, **options).astype(dtype)
    for p in layer.parameters():  # biases, too, are not zero
        p.data = rng.normal(0, 0.5, p.shape)
    return layer


def inputs_of(kind, rng, B=3, T=5, S=7, D=12):
    if kind == "self":
        return [rng.standard_normal((B, T, D))]
    return [rng.standard_normal((B, n, D)) for n in (T, S, S)[: 2 if kind == "cross" else 3]]


def root_mean_square(x, norm):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + norm.eps) * norm.weight.data


def by_hand(layer, query, key, value, allowed):
    """The formula, head by head; ``allowed`` is (B, H, T, S)."""
    H, G, K = layer.num_heads, layer.num_kv_heads, layer.head_width
    W, b = layer.in_proj_weight.data, layer.in_proj_bias.data
    ends = H * K, (H + G) * K
    q, k, v = (
        x @ part.T + bias
        for x, part, bias in zip(
            (query, key, value), np.split(W, ends), np.split(b, ends), strict=True
        )
    )
    if layer.qk_norm == "width":
        q, k = root_mean_square(q, layer.q_norm), root_mean_square(k, layer.k_norm)
    scale = 1 / math.sqrt(K) if layer.scale is None else layer.scale
    outputs = []
    for h in range(H):
        g = h * G // H  # the key head that it shares
        q_h, k_g = q[..., h * K : (h + 1) * K], k[..., g * K : (g + 1) * K]
        if layer.qk_norm == "head":
            q_h, k_g = root_mean_square(q_h, layer.q_norm), root_mean_square(k_g, layer.k_norm)
        e = np.exp(q_h @ k_g.swapaxes(1, 2) * scale) * allowed[:, h]
        p = e / np.maximum(e.sum(-1, keepdims=True), 1e-300)
        outputs.append(p @ v[..., g * K : (g + 1) * K])
    out_bias = 0 if layer.out_proj.bias is None else layer.out_proj.bias.data
    return np.concatenate(outputs, -1) @ layer.out_proj.weight.data.T + out_bias


@every_grouping
@every_kind
@pytest.mark.parametrize("causal", [False, True])
def test_is_the_formula(rng, heads, kv_heads, kind, causal):
    layer = make(rng, heads=heads, kv_heads=kv_heads)
    arrays = inputs_of(kind, rng)
    query, key, value = (arrays + arrays[-1:] * 2)[:3]
    B, T, S = 3, 5, key.shape[1]
    tri = np.tri(T, S, S - T, dtype=bool) if causal else np.ones((T, S), bool)
    for mask in (
        None,
        rng.random((B, T, S)) < 0.7,
        rng.random((B, heads, T, S)) < 0.7,
        rng.random((1, 1, T, S)) < 0.7,
        rng.random((B, 1, 1, S)) < 0.7,
    ):
        allowed = np.ones((B, heads, T, S), bool) & tri
        if mask is not None:
            four = {3: lambda m: m[:, None], 4: lambda m: m}
            allowed = allowed & four[mask.ndim](mask)
        y = layer(*map(Tensor, arrays), mask=mask, causal=causal)
        expected = by_hand(layer, query, key, value, allowed)
        np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)


OPTIONS = [
    {"head_width": 5},
    {"head_width": 5, "qk_norm": "head"},
    {"qk_norm": "width", "norm_eps": 0.1},
    {"head_width": 3, "qk_norm": "width"},
    {"scale": 0.3},
    {"head_width": 7, "qk_norm": "head", "scale": 1.5, "out_bias": False},
]


@every_kind
@pytest.mark.parametrize("options", OPTIONS)
def test_widths_norms_and_scales_are_the_formula(rng, kind, options):
    layer = make(rng, kv_heads=2, **options)
    arrays = inputs_of(kind, rng)
    query, key, value = (arrays + arrays[-1:] * 2)[:3]
    allowed = np.ones((3, 6, 5, key.shape[1]), bool)
    np.testing.assert_allclose(
        layer(*map(Tensor, arrays)).data, by_hand(layer, query, key, value, allowed), rtol=1e-10
    )
    gradcheck(layer, *arrays)
    again = MultiHeadAttention.from_dict(layer.to_dict()).astype(np.float64)
    again.load_state_dict(layer.state_dict())
    assert again.to_dict() == layer.to_dict()
    np.testing.assert_array_equal(
        again(*map(Tensor, arrays)).data, layer(*map(Tensor, arrays)).data
    )


def test_one_argument_or_the_same_one_three_times(rng):
    layer = make(rng, kv_heads=2)
    x = Tensor(rng.standard_normal((3, 5, 12)))
    real = np.arange(5) < np.array([[2], [5], [3]])
    expected = layer(x, key_mask=real, causal=True).data
    for arguments in ((x, x), (x, x, x), (x, None, x)):
        y = layer(*arguments, key_mask=real, causal=True)
        np.testing.assert_allclose(y.data[real], expected[real], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("masked", [False, True])
def test_a_value_without_a_key_goes_with_the_query(rng, masked):
    layer = make(rng)
    x, v = (Tensor(rng.standard_normal((3, 5, 12))) for _ in range(2))
    real = np.arange(5) < np.array([[2], [5], [3]]) if masked else np.ones((3, 5), bool)
    y = layer(x, value=v, key_mask=real).data
    expected = layer(x, x, v, key_mask=real).data
    np.testing.assert_allclose(y[real], expected[real], rtol=1e-12)


def test_shared_heads_are_equal_heads(rng):
    grouped = make(rng, heads=6, kv_heads=2)
    full = make(rng, heads=6)
    D, K = 12, 2
    state = grouped.state_dict()
    for name in ("in_proj_weight", "in_proj_bias"):
        a = state[name]
        q, k, v = a[:D], a[D : D + 2 * K], a[D + 2 * K :]
        repeat = [
            np.concatenate([x[g * K : (g + 1) * K] for g in (0, 0, 0, 1, 1, 1)]) for x in (k, v)
        ]
        state[name] = np.concatenate([q, *repeat])
    full.load_state_dict(state)
    x = Tensor(rng.standard_normal((3, 5, 12)))
    mask = rng.random((3, 6, 5, 5)) < 0.8
    np.testing.assert_allclose(grouped(x, mask=mask).data, full(x, mask=mask).data, rtol=1e-12)


@every_grouping
@every_kind
def test_gradcheck(rng, heads, kv_heads, kind):
    layer = make(rng, heads=heads, kv_heads=kv_heads)
    arrays = inputs_of(kind, rng, B=2, T=3, S=5)
    real = np.arange(3 if kind == "self" else 5) < np.array([[2], [3]])

    class Masked(Module):
        def __init__(self):
            self.layer = layer

        def forward(self, *x):
            return self.layer(*x, key_mask=real, causal=kind == "self")

    assert gradcheck(Masked(), *arrays, max_elements=24)


@pytest.mark.parametrize("shape", [(1, 1, 4), (3, 1, 4), (0, 3, 4), (2, 0, 4)])
def test_gradcheck_of_thin_inputs(rng, shape):
    assert gradcheck(make(rng, 4, 2, bias=False), rng.standard_normal(shape))


def test_gradcheck_with_dropout(rng):
    layer = make(rng, 4, 2, dropout=0.3)
    with train_mode(rng):
        assert gradcheck(layer, rng.standard_normal((2, 5, 4)))


def test_split_and_merge(rng):
    x = np.arange(2 * 3 * 8.0).reshape(2, 3, 8)
    a, b, c = split_heads(Tensor(x), (2, 1, 1))
    assert (a.shape, b.shape, c.shape) == ((2, 2, 3, 2), (2, 1, 3, 2), (2, 1, 3, 2))
    np.testing.assert_array_equal(a.data[1, 1, 2], x[1, 2, 2:4])
    np.testing.assert_array_equal(b.data[1, 0, 2], x[1, 2, 4:6])
    np.testing.assert_array_equal(c.data[0, 0, 1], x[0, 1, 6:8])
    np.testing.assert_array_equal(merge_heads(a).data, x[..., :4])
    assert gradcheck(lambda x: split_heads(x, (2, 1, 1)), x)
    assert gradcheck(lambda x: split_heads(x, (2, 1, 1))[1], x)  # the others get no gradient
    assert gradcheck(merge_heads, rng.standard_normal((2, 3, 5, 2)))


def test_batched_equals_one_by_one(rng):
    layer = make(rng, kv_heads=3)
    x, memory = rng.standard_normal((4, 5, 12)), rng.standard_normal((4, 7, 12))
    lengths = np.array([7, 1, 3, 5])
    mask = np.arange(7) < lengths[:, None]
    together = layer(Tensor(x), Tensor(memory), key_mask=mask).data
    for b, n in enumerate(lengths):
        alone = layer(Tensor(x[b : b + 1]), Tensor(memory[b : b + 1, :n])).data
        np.testing.assert_allclose(alone[0], together[b], rtol=1e-12, atol=1e-13)


def test_order_of_keys_does_not_matter(rng):
    layer = make(rng)
    x, memory = rng.standard_normal((2, 5, 12)), rng.standard_normal((2, 7, 12))
    mask = rng.random((2, 7)) < 0.7
    order = rng.permutation(7)
    np.testing.assert_allclose(
        layer(Tensor(x), Tensor(memory[:, order]), key_mask=mask[:, order]).data,
        layer(Tensor(x), Tensor(memory), key_mask=mask).data,
        rtol=1e-12,
    )


# --- padding


def run(layer, arrays, weight, **options):
    for p in layer.parameters():
        p.grad = None
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = layer(*tensors, **options)
    y.backward(weight)
    return y.data, [t.grad for t in tensors], [p.grad.copy() for p in layer.parameters()]


@every_kind
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("heads", "kv_heads"), [(6, 6), (6, 2)])
@pytest.mark.parametrize("axes", [2, 3, 4])
def test_padding_is_invisible(rng, same_bits, kind, poison, dtype, heads, kv_heads, axes):
    B, T, S = 4, 5, 7
    layer = make(rng, heads=heads, kv_heads=kv_heads, dtype=dtype)
    clean = [a.astype(dtype) for a in inputs_of(kind, rng, B, T, S)]
    width = T if kind == "self" else S
    real = np.arange(width) < np.array([[2], [width], [3], [0]])  # one is nothing but padding
    masks = {"key_mask": real}
    if axes > 2:  # padding told by a pattern: it neither looks nor is looked at
        looks = real if kind == "self" else np.ones((B, T), bool)
        masks = {"mask": real[:, None] & looks[:, :, None]}
    if axes > 3:
        masks = {"mask": masks["mask"][:, None] & np.ones((B, heads, T, width), bool)}
    weight = rng.standard_normal((B, T, 12)).astype(dtype)
    bad = [a.copy() for a in clean]
    for a in bad[0 if kind == "self" else 1 :]:
        a[~real] = poison
    for causal in (False, True):
        y, dx, dw = run(layer, clean, weight, causal=causal, **masks)
        y_bad, dx_bad, dw_bad = run(layer, bad, weight, causal=causal, **masks)
        same_bits(y_bad, y)
        for a, e in zip([*dx_bad, *dw_bad], [*dx, *dw], strict=True):
            same_bits(a, e)
        for a in dx_bad[0 if kind == "self" else 1 :]:
            assert not a[~real].any()
        assert np.isfinite(y_bad).all()


@pytest.mark.parametrize("kind", ["cross", "value"])
@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_a_query_that_may_attend_to_nothing_is_invisible(rng, same_bits, kind, poison):
    layer = make(rng, dtype=np.float32)
    clean = [a.astype(np.float32) for a in inputs_of(kind, rng)]
    mask = np.ones((3, 5, 7), bool)
    mask[1, 3:] = False
    bad = [clean[0].copy(), *clean[1:]]
    bad[0][1, 3:] = poison
    weight = rng.standard_normal((3, 5, 12)).astype(np.float32)
    y, dx, dw = run(layer, clean, weight, mask=mask)
    y_bad, dx_bad, dw_bad = run(layer, bad, weight, mask=mask)
    for a, e in zip([y_bad, *dx_bad, *dw_bad], [y, *dx, *dw], strict=True):
        same_bits(a, e)


@pytest.mark.parametrize("poison", [np.nan, 1e30])
def test_the_same_value_as_query_and_key_poisoned(rng, same_bits, poison):
    layer = make(rng, dtype=np.float32)
    x, v = (rng.standard_normal((3, 5, 12)).astype(np.float32) for _ in range(2))
    real = np.arange(5) < np.array([[2], [5], [3]])
    bad_x, bad_v = x.copy(), v.copy()
    bad_x[~real] = bad_v[~real] = poison
    results = []
    for a, b in ((x, v), (bad_x, bad_v)):
        query, value = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
        for p in layer.parameters():
            p.grad = None
        y = layer(query, value=value, key_mask=real)
        y.backward(np.ones(y.shape))
        results.append([y.data, query.grad, value.grad])
        results[-1] += [p.grad.copy() for p in layer.parameters()]
    for a, e in zip(results[1], results[0], strict=True):
        same_bits(a, e)


def test_a_batch_of_nothing_but_padding_gives_the_bias(rng):
    layer = make(rng)
    x = Tensor(np.full((2, 5, 12), np.nan), requires_grad=True)
    y = layer(x, key_mask=np.zeros((2, 5), bool))
    np.testing.assert_array_equal(y.data, np.broadcast_to(layer.out_proj.bias.data, y.shape))
    y.sum().backward()
    assert not x.grad.any()
    assert not layer.in_proj_weight.grad.any()


def test_what_is_masked_from_one_query_is_seen_by_another(rng):
    layer = make(rng)
    x = rng.standard_normal((1, 5, 12))
    changed = x.copy()
    changed[0, 4] += 1
    mask = causal_mask(5)[None]
    before, after = (layer(Tensor(a), mask=mask).data for a in (x, changed))
    np.testing.assert_array_equal(before[0, :4], after[0, :4])
    assert (before[0, 4] != after[0, 4]).all()
    np.testing.assert_array_equal(layer(Tensor(x), causal=True).data, before)


# --- dropout


def test_dropout_in_train_mode_only(rng):
    plain = make(rng, 12, 6)
    layer = MultiHeadAttention(12, 6, dropout=0.5).astype(np.float64)
    layer.load_state_dict(plain.state_dict())
    x = Tensor(rng.standard_normal((3, 5, 12)))
    np.testing.assert_array_equal(layer(x).data, plain(x).data)
    with train_mode(np.random.default_rng(3)):
        first = layer(x).data
        second = layer(x).data
    with train_mode(np.random.default_rng(3)):
        again = layer(x).data
    assert (first != second).any()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(layer(x).data, plain(x).data)


def test_dropout_falls_on_the_weights(rng):
    layer = make(rng, 12, 6, dropout=0.5)
    x = rng.standard_normal((3, 5, 12))
    with train_mode(np.random.default_rng(3)):
        y = layer(Tensor(x)).data
    qkv = x @ layer.in_proj_weight.data.T + layer.in_proj_bias.data
    q, k, v = (
        Tensor(part.reshape(3, 5, 6, 2).swapaxes(1, 2)) for part in np.split(qkv, 3, axis=-1)
    )
    with train_mode(np.random.default_rng(3)):
        heads = attention(q, k, v, dropout=0.5)
    expected = merge_heads(heads).data @ layer.out_proj.weight.data.T + layer.out_proj.bias.data
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5, 0.999999])
def test_a_dropout_that_is_no_probability_below_one(dropout):
    with pytest.raises(ValueError, match="dropout"):
        MultiHeadAttention(6, 3, dropout=dropout)


# --- construction and refusals


def test_fresh_weights_are_pytorchs(rng):
    layer = MultiHeadAttention(60, 6, rng=rng)
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()
    bound = math.sqrt(6 / (60 + 180))  # Xavier, of the stacked matrix
    W = layer.in_proj_weight.data
    assert 0.99 * bound < np.abs(W).max() <= bound
    np.testing.assert_allclose(W.std(), bound / math.sqrt(3), rtol=0.02)
    again = MultiHeadAttention(60, 6, rng=np.random.default_rng(0)).state_dict()
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, again[name])


def test_without_biases():
    names = MultiHeadAttention(12, 6, 2, bias=False).state_dict()
    assert {n: a.shape for n, a in names.items()} == {
        "in_proj_weight": (12 + 2 * 2 * 2, 12),
        "out_proj.weight": (12, 12),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((12, 5), "num_heads=5 does not divide d_model=12"),
        ((12, 6, 4), "num_kv_heads=4 does not divide num_heads=6"),
    ],
)
def test_heads_that_do_not_divide(options, message):
    with pytest.raises(ValueError, match=f"MultiHeadAttention: {message}"):
        MultiHeadAttention(*options)


class Model(Module):
    def __init__(self):
        self.layers = [MultiHeadAttention(6, 3), MultiHeadAttention(6, 3)]

    def forward(self, x, *others, **options):
        return self.layers[1](self.layers[0](x), *others, **options)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([(2, 5, 7)], r"^layers\[1\]: expected key of shape \(B=2, S, D=6\), got \(2, 5, 7\)$"),
        ([(3, 5, 6)], r"^layers\[1\]: expected key of shape \(B=2, S, D=6\), got \(3, 5, 6\)$"),
        ([(5, 6)], r"^layers\[1\]: expected key of shape .*, got \(5, 6\)$"),
        ([(2, 5, 6), (2, 5, 5)], r"^layers\[1\]: expected value of shape .*got \(2, 5, 5\)$"),
        ([(2, 5, 6), (2, 7, 6)], r"^layers\[1\]: expected a value for each key, .*\(2, 7, 6\)$"),
    ],
)
def test_shape_errors_name_the_layer(others, message):
    with pytest.raises(ValueError, match=message):
        Model()(
            Tensor(np.zeros((2, 5, 6), np.float32)),
            *(Tensor(np.zeros(s, np.float32)) for s in others),
        )


def test_a_query_of_the_wrong_width_names_the_layer():
    with pytest.raises(ValueError, match=r"^layers\[0\]: expected query of shape .*D=6\), got"):
        Model()(Tensor(np.zeros((2, 5, 7), np.float32)))


@pytest.mark.parametrize("mask", [np.ones((2, 5)), np.ones((2, 5), np.int8), [[True] * 5] * 2])
def test_masks_that_are_not_boolean_name_the_fix(mask):
    x = Tensor(np.zeros((2, 5, 6), np.float32))
    with pytest.raises(TypeError, match=r"^layers\[1\]: mask: .*boolean.*ids != pad_id"):
        Model()(x, mask=mask)


@pytest.mark.parametrize("shape", [(2, 5), (5, 5), (1, 5)])
def test_a_mask_of_two_axes_names_both_remedies(shape):
    x = Tensor(np.zeros((2, 5, 6), np.float32))
    message = (
        r"layers\[1\]: mask: expected a pattern of shape \(B=2, T=5, S=5\).*key_mask=.*\[None\]"
    )
    with pytest.raises(ValueError, match=message):
        Model()(x, mask=np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(5,), (3, 5, 5), (2, 5, 4), (2, 2, 5, 5), (2, 1, 3, 5, 5)])
def test_masks_of_the_wrong_shape(shape):
    x = Tensor(np.zeros((2, 5, 6), np.float32))
    with pytest.raises(ValueError, match=r"layers\[1\]: mask: expected a pattern .*H=3, T, S\)"):
        Model()(x, mask=np.ones(shape, bool))


@pytest.mark.parametrize("shape", [(2, 4), (1, 5), (5,), (2, 5, 5), (2, 1, 5)])
def test_key_masks_of_the_wrong_shape(shape):
    x = Tensor(np.zeros((2, 5, 6), np.float32))
    with pytest.raises(ValueError, match=r"layers\[1\]: key_mask: expected shape \(2, 5\), which"):
        Model()(x, key_mask=np.ones(shape, bool))
    with pytest.raises(TypeError, match=r"layers\[1\]: key_mask: .*boolean.*'is real'"):
        Model()(x, key_mask=np.ones(shape))


def test_only_neighbours_are_projected_together(rng):
    layer = MultiHeadAttention(8, 2, rng=rng)
    x = Tensor(rng.standard_normal((1, 3, 8), np.float32))
    with pytest.raises(ValueError, match='neighbours of "qkv", such as "kv", got \'qv\''):
        layer.project(x, "qv")  # would give keys in place of values
