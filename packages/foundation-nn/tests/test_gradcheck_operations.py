"""Finite differences for every operation, over shapes of all kinds."""

import numpy as np
import pytest
from foundation_nn import Tensor, gradcheck
from foundation_nn import functional as F
from hypothesis import given
from hypothesis import strategies as st

LENGTH = st.sampled_from([0, 1, 2, 3, 5])
SHAPE = st.lists(LENGTH, max_size=3).map(tuple)
ROWS = st.tuples(SHAPE, st.integers(1, 5)).map(lambda pair: (*pair[0], pair[1]))
SEED = st.integers(0, 2**32 - 1)


def away_from_zero(seed, shape):
    """Numbers of both signs between ½ and 2, where nothing has a kink or a pole."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2.0, shape))


def positive(seed, shape):
    return np.asarray(np.abs(away_from_zero(seed, shape)))


def test_every_operation_at_its_usual_shape(case):
    assert gradcheck(case.call, *case.inputs())


ANYWHERE = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, "tanh"),
    "silu": F.silu,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "negative": F.negative,
    "exp": F.exp,
    "abs": F.abs,
    "sign": F.sign,
    "sin": F.sin,
    "cos": F.cos,
    "erf": F.erf,
    "softplus": F.softplus,
    "log_sigmoid": F.log_sigmoid,
    "clip": lambda x: F.clip(x, -1, 1.25),
    "power of 2": lambda x: 2.0**x,
    "cumsum of all": F.cumsum,
    "cube": lambda x: x**3,
    "inverse": lambda x: x**-1.0,
}


@pytest.mark.parametrize("name", ANYWHERE)
@given(shape=SHAPE, seed=SEED)
def test_elementwise(name, shape, seed):
    assert gradcheck(ANYWHERE[name], away_from_zero(seed, shape), max_elements=4)


@pytest.mark.parametrize("function", [F.log, F.log1p, F.sqrt, lambda x: x**-0.5])
@given(shape=SHAPE, seed=SEED)
def test_elementwise_of_positive_numbers(function, shape, seed):
    assert gradcheck(function, positive(seed, shape), max_elements=4)


@pytest.mark.parametrize(
    "function", [F.add, F.subtract, F.multiply, F.divide, F.maximum, F.minimum]
)
@given(data=st.data(), shape=SHAPE, seed=SEED)
def test_broadcasting(function, data, shape, seed):
    shapes = []
    for _ in range(2):  # each loses some leading axes and is of length one along others
        start = data.draw(st.integers(0, len(shape)))
        shapes.append(tuple(data.draw(st.sampled_from([n, 1])) for n in shape[start:]))
    inputs = [away_from_zero(seed + i, s) for i, s in enumerate(shapes)]
    assert function(*inputs).shape == np.broadcast_shapes(*shapes)
    assert gradcheck(function, *inputs, max_elements=4)


@given(shape=SHAPE, seed=SEED)
def test_powers_of_tensors(shape, seed):
    assert gradcheck(F.power, positive(seed, shape), away_from_zero(seed + 1, shape[-1:]))


@pytest.mark.parametrize("ord", [0, 1, 2, 3, 0.5, -1, -2.5, np.inf, -np.inf])
@given(shape=ROWS, seed=SEED, keepdims=st.booleans(), data=st.data())
def test_norms_of_vectors(ord, shape, seed, keepdims, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = away_from_zero(seed, (*shape[:-1], shape[-1]))
    if not x.shape[axis]:
        return  # NumPy has no largest of nothing
    y = F.norm(x, ord, axis, keepdims)
    expected = np.linalg.norm(x, ord, axis, keepdims)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-12)
    assert gradcheck(lambda x: F.norm(x, ord, axis, keepdims), x, max_elements=4)


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("axis", [(0, 1), (1, 0), (-1, 0), (2, -2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_of_matrices(ord, axis, keepdims, rng):
    x = rng.standard_normal((2, 3, 5))
    y = F.norm(x, ord, axis, keepdims)
    expected = np.linalg.norm(x, ord, axis, keepdims)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-12)
    assert gradcheck(lambda x: F.norm(x, ord, axis, keepdims), x, max_elements=4)


@given(seed=SEED, n=LENGTH, k=LENGTH, m=LENGTH, batches=st.sampled_from(["", "x", "y", "xy", "1"]))
def test_matmul_over_batches(seed, n, k, m, batches):
    left = {"": (), "x": (2, 3), "y": (), "xy": (2, 3), "1": (2, 1)}[batches]
    right = {"": (), "x": (), "y": (2, 3), "xy": (3,), "1": (1, 3)}[batches]
    x, y = away_from_zero(seed, (*left, n, k)), away_from_zero(seed + 1, (*right, k, m))
    assert gradcheck(F.matmul, x, y, max_elements=4)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("reduce", [F.sum, F.mean, F.max, F.min, F.var, F.std])
@given(data=st.data(), shape=st.lists(st.integers(1, 5), max_size=3).map(tuple), seed=SEED)
def test_reductions(reduce, keepdims, data, shape, seed):
    axes = st.integers(-len(shape), len(shape) - 1) if shape else st.nothing()
    several = st.permutations(range(len(shape))).flatmap(
        lambda order: st.integers(0, len(shape)).map(lambda n: tuple(order[:n]))
    )
    axis = data.draw(st.none() | axes | several)
    # Distinct values: where two tie, a maximum has a kink.
    x = np.random.default_rng(seed).permutation(np.arange(1.0, np.prod(shape, dtype=int) + 1))
    x = x.reshape(shape)
    y = reduce(Tensor(x), axis, keepdims)
    numpy = getattr(np, reduce.__name__)
    np.testing.assert_allclose(y.data, numpy(x, axis=axis, keepdims=keepdims), rtol=1e-15)
    if reduce is F.std and x.size == y.size:
        return  # of one element each: it has a kink at every point
    assert gradcheck(lambda x: reduce(x, axis, keepdims), x, max_elements=4)


@pytest.mark.parametrize("keepdims", [False, True])
@given(data=st.data(), shape=SHAPE, seed=SEED)
def test_reductions_of_nothing_too(keepdims, data, shape, seed):
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    x = away_from_zero(seed, shape)
    with np.errstate(divide="ignore"):
        expected = np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))
    y = F.logsumexp(x, axis, keepdims)
    np.testing.assert_allclose(y.data, expected, rtol=1e-14, atol=1e-14)
    if np.isfinite(expected).all():  # the logarithm of the sum of nothing is -inf
        assert gradcheck(lambda x: F.logsumexp(x, axis, keepdims), x, max_elements=4)
    y = F.norm(x, axis=axis, keepdims=keepdims)
    expected = np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(y.data, expected, rtol=1e-14)
    assert gradcheck(lambda x: F.norm(x, None, axis, keepdims), x, max_elements=4)
    if axis is not None:
        np.testing.assert_array_equal(F.cumsum(x, axis).data, np.cumsum(x, axis))
        assert gradcheck(lambda x: F.cumsum(x, axis), x, max_elements=4)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_a_sum_over_nothing_is_zero_and_a_mean_of_nothing_an_error(shape):
    x = Tensor(np.zeros(shape), requires_grad=True)
    x.sum().backward()
    assert x.sum().item() == 0
    assert x.grad.shape == shape
    with pytest.raises(ValueError, match="mean: nothing to average"):
        x.mean()


def test_the_mean_of_rows_without_rows_is_no_rows():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    y = x.mean(1)
    y.sum().backward()
    assert (y.shape, x.grad.shape) == ((0,), (0, 3))


@pytest.mark.parametrize("function", [F.softmax, F.log_softmax])
@given(data=st.data(), shape=ROWS, seed=SEED)
def test_softmax_along_every_axis(function, data, shape, seed):
    axis = data.draw(st.sampled_from([a for a, n in enumerate(shape) if n]))
    axis -= data.draw(st.sampled_from([0, len(shape)]))
    assert gradcheck(lambda x: function(x, axis), away_from_zero(seed, shape), max_elements=4)


@given(shape=ROWS, seed=SEED, weighted=st.booleans(), biased=st.booleans())
def test_normalisations(shape, seed, weighted, biased):
    x, vector = away_from_zero(seed, shape), away_from_zero(seed + 1, shape[-1:])
    weight, bias = vector if weighted else None, vector[::-1] if biased else None
    # A row of one has variance 0: only a large eps keeps differences accurate there.
    assert gradcheck(lambda *a: F.layer_norm(*a, eps=0.1), x, weight, bias, max_elements=4)
    assert gradcheck(lambda *a: F.rms_norm(*a, eps=0.1), x, weight, max_elements=4)


@given(rows=SHAPE, width=LENGTH, out=LENGTH, seed=SEED, biased=st.booleans())
def test_linear(rows, width, out, seed, biased):
    x, w = away_from_zero(seed, (*rows, width)), away_from_zero(seed + 1, (out, width))
    b = away_from_zero(seed + 2, (out,)) if biased else None
    assert gradcheck(F.linear, x, w, b, max_elements=4)


@given(shape=ROWS, seed=SEED, smoothing=st.sampled_from([0.0, 0.1, 0.9]), ignore=st.booleans())
def test_cross_entropy(shape, seed, smoothing, ignore):
    targets = np.random.default_rng(seed).integers(0, shape[-1], shape[:-1])
    index = 0 if ignore else None
    assert gradcheck(
        lambda z: F.cross_entropy(z, targets, index, smoothing),
        away_from_zero(seed, shape),
        max_elements=4,
    )


@given(shape=st.lists(st.integers(1, 5), max_size=3).map(tuple), seed=SEED)
def test_losses(shape, seed):
    x, t = away_from_zero(seed, shape), np.random.default_rng(seed).uniform(0.1, 0.9, shape)
    assert gradcheck(F.mse_loss, x, t, max_elements=4)
    assert gradcheck(F.binary_cross_entropy_with_logits, x, t, max_elements=4)
    assert gradcheck(F.kl_div, x, t, max_elements=4)
    for loss in (F.mse_loss, F.huber_loss, F.kl_div, F.binary_cross_entropy_with_logits):
        for reduction in ("sum", "none"):
            assert gradcheck(lambda x, t: loss(x, t, reduction), x, t, max_elements=4)  # noqa: B023
            each = loss(x, t, "none").data
            np.testing.assert_allclose(loss(x, t, "sum").data, each.sum(), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(loss(x, t).data, each.mean(), rtol=1e-12, atol=1e-14)


@given(shape=ROWS, seed=SEED)
def test_cross_entropy_of_each_row(shape, seed):
    targets = np.random.default_rng(seed).integers(0, shape[-1], shape[:-1])
    z = away_from_zero(seed, shape)
    each = F.cross_entropy(z, targets, reduction="none")
    assert each.shape == targets.shape
    np.testing.assert_allclose(
        F.cross_entropy(z, targets, reduction="sum").data, each.data.sum(), rtol=1e-12
    )
    assert gradcheck(
        lambda z: F.cross_entropy(z, targets, 0, 0.1, reduction="none"), z, max_elements=4
    )


@given(shape=ROWS, seed=SEED)
def test_choices_among_elements(shape, seed):
    x, y = away_from_zero(seed, shape), away_from_zero(seed + 1, shape[-1:])
    chosen = np.random.default_rng(seed).random(shape) < 0.5
    assert gradcheck(lambda x, y: F.where(chosen, x, y), x, y, max_elements=4)
    assert gradcheck(lambda x: F.mask_rows(x, chosen[..., 0]), x, max_elements=4)
    assert gradcheck(lambda x: F.dropout(x, 0.5, np.random.default_rng(seed)), x, max_elements=4)


@given(data=st.data(), shape=SHAPE, seed=SEED)
def test_rearrangements(data, shape, seed):
    order = data.draw(st.permutations(range(len(shape))))
    x = away_from_zero(seed, shape)
    assert gradcheck(lambda x: F.transpose(x, order), x, max_elements=4)
    assert gradcheck(lambda x: F.reshape(x, (*shape[::-1], 1)), x, max_elements=4)
    if shape:
        assert gradcheck(lambda x: F.swapaxes(x, order[0], -1), x, max_elements=4)


@given(data=st.data(), shape=SHAPE, seed=SEED)
def test_axes(data, shape, seed):
    x = away_from_zero(seed, shape)
    axis = data.draw(st.none() | st.sampled_from([*range(-len(shape), len(shape)), None]))
    counts = data.draw(st.integers(0, 3)) if axis is None else None
    if axis is not None:
        n = shape[axis]
        counts = data.draw(st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=n, max_size=n))
        counts = counts if np.ndim(counts) == 0 or n else 2
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    k = data.draw(st.integers(-3, 3))
    before, after = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    functions = [
        (F.squeeze, np.squeeze, ()),
        (F.expand_dims, np.expand_dims, (place,)),
        (F.broadcast_to, np.broadcast_to, ((3, *shape),)),
        (F.flip, np.flip, (axis,)),
        (F.repeat, np.repeat, (counts, axis)),
    ]
    if len(shape) > 1:
        functions += [(F.tril, np.tril, (k,)), (F.triu, np.triu, (k,))]
    if shape:
        functions += [(F.pad, np.pad, ((before, after),))]
    if shape and x.size:
        mode = data.draw(st.sampled_from(["edge", "reflect", "symmetric", "wrap"]))
        functions += [(F.pad, np.pad, ((before, after), mode))]
    for ours, numpys, options in functions:
        np.testing.assert_array_equal(ours(x, *options).data, numpys(x, *options))
        assert gradcheck(lambda x: ours(x, *options), x, max_elements=4)  # noqa: B023


@given(data=st.data(), shape=ROWS, seed=SEED)
def test_parts(data, shape, seed):
    x = away_from_zero(seed, shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    ends = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    sections = data.draw(st.sampled_from([k for k in range(1, 6) if n % k == 0]))
    for cut in (ends, sections):
        parts = F.split(x, cut, axis)
        for ours, numpys in zip(parts, np.split(x, cut, axis), strict=True):
            np.testing.assert_array_equal(ours.data, numpys)
        for i in range(len(parts)):
            assert gradcheck(lambda x: F.split(x, cut, axis)[i], x, max_elements=4)  # noqa: B023
    count = data.draw(LENGTH)
    places = list(shape)
    places[axis] = count if n else 0
    indices = np.random.default_rng(seed).integers(-n, max(n, 1), places)
    expected = np.take_along_axis(x, indices, axis)
    np.testing.assert_array_equal(F.take_along_axis(x, indices, axis).data, expected)
    assert gradcheck(lambda x: F.take_along_axis(x, indices, axis), x, max_elements=4)


SUBSCRIPTS = {
    "ij,jk->ik": ("ij", "jk"),
    "ij,jk": ("ij", "jk"),
    "bij,bkj->bik": ("bij", "bkj"),
    "i,i": ("i", "i"),
    "ij->": ("ij",),
    "ij->ji": ("ij",),
    "ii->i": ("ii",),
    "ii": ("ii",),
    "iij,ki->jk": ("iij", "ki"),
    "i,j,k->kij": ("i", "j", "k"),
    "ij,k->i": ("ij", "k"),
    "...i,...i->...": ("bi", "i"),
    "b...,b->...": ("bij", "b"),
}


@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
@given(lengths=st.tuples(*[LENGTH] * 4), seed=SEED)
def test_einsum(subscripts, lengths, seed):
    size = dict(zip("bijk", lengths, strict=True))
    terms = SUBSCRIPTS[subscripts]
    xs = [away_from_zero(seed + n, tuple(size[a] for a in term)) for n, term in enumerate(terms)]
    expected = np.einsum(subscripts, *xs)
    np.testing.assert_allclose(F.einsum(subscripts, *xs).data, expected, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda *xs: F.einsum(subscripts, *xs), *xs, max_elements=4)


def test_einsum_broadcasts_an_axis_of_one():
    x, y = away_from_zero(0, (3, 1)), away_from_zero(1, (5, 2))
    np.testing.assert_allclose(F.einsum("ij,jk->ik", x, y).data, np.einsum("ij,jk->ik", x, y))
    assert gradcheck(lambda x, y: F.einsum("ij,jk->ik", x, y), x, y)


@given(n=LENGTH, m=LENGTH, seed=SEED)
def test_outer(n, m, seed):
    assert gradcheck(F.outer, away_from_zero(seed, (n,)), away_from_zero(seed + 1, (m, 2)))


INDICES = st.one_of(
    st.none(),
    st.just(Ellipsis),
    st.integers(-3, 2),
    st.builds(slice, st.integers(-4, 4), st.integers(-4, 4), st.sampled_from([None, 1, 2, -1])),
    st.lists(st.integers(-3, 2), max_size=5).map(lambda ids: np.array(ids, dtype=np.int64)),
    st.lists(st.booleans(), min_size=3, max_size=3).map(np.array),
)


@given(index=st.lists(INDICES, max_size=3).map(tuple), seed=SEED)
def test_getitem_like_numpy(index, seed):
    x = away_from_zero(seed, (3, 3, 3))
    try:
        expected = x[index]
    except IndexError:
        with pytest.raises(IndexError):
            Tensor(x)[index]
        return
    np.testing.assert_array_equal(Tensor(x)[index].data, expected)
    assert gradcheck(lambda x: x[index], x, max_elements=4)


@given(ends=st.lists(LENGTH, min_size=1, max_size=4), axis=st.integers(-3, 2), seed=SEED)
def test_concat_and_stack(ends, axis, seed):
    shapes = [(2, 3, 5)] * len(ends)
    pieces = [away_from_zero(seed + i, s) for i, s in enumerate(shapes)]
    assert gradcheck(lambda *xs: F.stack(xs, axis), *pieces, max_elements=4)
    cut = [
        piece.swapaxes(0, axis)[:end].swapaxes(0, axis)
        for piece, end in zip(pieces, ends, strict=True)
    ]
    assert gradcheck(lambda *xs: F.concat(xs, axis), *cut, max_elements=4)


def test_ties_share_the_gradient_of_an_extreme():
    x = Tensor([[2.0, 7.0, 7.0], [1.0, 1.0, 1.0]], requires_grad=True)
    x.max(1).backward([6.0, 9.0])
    np.testing.assert_array_equal(x.grad, [[0, 3, 3], [3, 3, 3]])
    x.grad = None
    x.min(1).backward([6.0, 9.0])
    np.testing.assert_array_equal(x.grad, [[6, 0, 0], [3, 3, 3]])


def test_relu_has_no_slope_at_zero():
    x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
    F.relu(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 1])
