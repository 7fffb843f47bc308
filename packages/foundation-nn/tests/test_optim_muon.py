"""Muon: orthogonalised momentum for matrices, AdamW for the rest."""

import math

import numpy as np
import pytest
from foundation_nn import Embedding, Linear, Module, Parameter, optim


def polynomial(sigma, times=5):
    """What the iteration makes of a singular value."""
    for _ in range(times):
        sigma = 3.4445 * sigma - 4.7750 * sigma**3 + 2.0315 * sigma**5
    return sigma


class Tied(Module):
    """An embedding that is the output layer too, and a layer between."""

    def __init__(self, rng):
        self.embedding = Embedding(7, 3, rng=rng)
        self.hidden = Linear(3, 3, rng=rng)
        self.head = Linear(3, 7, bias=False, rng=rng)
        self.head.weight = self.embedding.weight


def move(optimizer, gradients):
    for p in optimizer.buffer.parameters:
        p.grad = gradients[p.shape]
    optimizer.step()


def test_a_matrix_of_one_by_hand():
    p = Parameter([[2.0]], dtype=np.float64)
    optimizer = optim.Muon([p], lr=0.1, weight_decay=0.5)
    move(optimizer, {(1, 1): np.full((1, 1), -30.0)})
    # ‖u‖ = |u|, whatever u is.
    assert p.data.item() == pytest.approx(2 * 0.95 + 0.1 * 0.2 * polynomial(1), abs=1e-14)
    assert optimizer.state["momentum"][0] == pytest.approx(0.05 * -30)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (3, 3)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_two_steps_by_singular_values(shape, nesterov, rng):
    g1, g2 = rng.standard_normal((2, *shape))
    w = rng.standard_normal(shape)
    p = Parameter(w, dtype=np.float64)
    optimizer = optim.Muon(
        [p],
        lr=0.1,
        weight_decay=0.0,
        momentum=0.75,
        nesterov=nesterov,
        scale="original",
    )
    m = np.zeros(shape)
    for g in (g1, g2):
        m = 0.75 * m + 0.25 * g
        u, s, vt = np.linalg.svd(0.25 * g + 0.75 * m if nesterov else m, full_matrices=False)
        s = polynomial(s / np.sqrt((s**2).sum()))
        w = w - 0.1 * math.sqrt(max(1, shape[0] / shape[1])) * (u * s) @ vt
        move(optimizer, {shape: g})
        np.testing.assert_allclose(p.data, w, atol=1e-13)


def test_the_update_is_nearly_orthogonal_and_scaled_by_the_shape(rng):
    shape = (31, 53)
    for scale, size in (("original", 1), ("match_rms_adamw", 0.2 * math.sqrt(53))):
        p = Parameter(np.zeros(shape))
        move(
            optim.Muon([p], lr=1.0, scale=scale),
            {shape: rng.standard_normal(shape).astype(np.float32) ** 3},
        )
        singular = np.linalg.svd(p.data, compute_uv=False) / size
        assert singular.min() > 0.5
        assert singular.max() < 1.3


def test_no_gradient_moves_nothing():
    p = Parameter(np.ones((2, 3)))
    move(optim.Muon([p], weight_decay=0.0), {(2, 3): np.zeros((2, 3), np.float32)})
    np.testing.assert_array_equal(p.data, 1)


def test_embeddings_vectors_and_stacks_are_left_to_adamw(rng):
    def model():
        made = Tied(np.random.default_rng(1))
        made.stack = Parameter(np.ones((2, 3, 5), np.float32))
        return made

    settings = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.2}
    first, second = model(), model()
    muon, adamw = optim.Muon(first, **settings), optim.AdamW(second, **settings)
    shapes = {p.shape for p in first.parameters()}
    for _ in range(3):
        gradients = {shape: rng.standard_normal(shape).astype(np.float32) for shape in shapes}
        move(muon, gradients)
        move(adamw, gradients)
    ours, theirs = first.state_dict(), second.state_dict()
    for name in ("embedding.weight", "hidden.bias", "stack"):
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    assert np.abs(ours["hidden.weight"] - theirs["hidden.weight"]).max() > 0.01


def test_named_parameters_go_to_adamw_at_their_rate(rng):
    gradients = {(3, 5): rng.standard_normal((3, 5)), (5, 7): rng.standard_normal((5, 7))}
    hidden, head, twin = (
        Parameter(np.ones(shape), dtype=np.float64) for shape in ((3, 5), (5, 7), (5, 7))
    )
    # Named by a generator, and before the matrix in the model.
    muon = optim.Muon(
        [head, hidden], lr=0.5, adamw=(p for p in [head]), adamw_lr_ratio=0.125, weight_decay=0.25
    )
    adamw = optim.AdamW([twin], lr=0.0625, weight_decay=0.25)
    for _ in range(3):
        move(muon, gradients)
        move(adamw, gradients)
    assert head.data.tobytes() == twin.data.tobytes()
    assert muon.state["momentum"].size == 16
    assert muon.state["m"].size == muon.state["v"].size == 40
    muon.lr = 0.0
    before = muon.buffer.data.copy()
    move(muon, gradients)
    np.testing.assert_array_equal(muon.buffer.data, before)


@pytest.mark.parametrize("shapes", [[(3, 5)], [(5,)], [(3, 5), (0, 5), (5,)]])
def test_only_matrices_only_vectors_and_nothing_at_all(shapes):
    parameters = [Parameter(np.ones(shape)) for shape in shapes]
    move(optim.Muon(parameters), {shape: np.ones(shape, np.float32) for shape in shapes})
    assert all((p.data < 1).all() for p in parameters)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: optim.Muon(p, lr=-1), "Muon: expected lr >= 0, got -1"),
        (lambda p: optim.Muon(p, momentum=1.0), "Muon: expected 0 <= momentum < 1, got 1.0"),
        (lambda p: optim.Muon(p, ns_steps=0), "Muon: expected ns_steps >= 1, got 0"),
        (lambda p: optim.Muon(p, scale="none"), "expected 'match_rms_adamw' or 'original'.*'none'"),
        (lambda p: optim.Muon(p, adamw_lr_ratio=-1), "expected adamw_lr_ratio >= 0, got -1"),
        (lambda p: optim.Muon(p, betas=(0.9, 1.0)), r"Muon: expected 0 <= betas\[1\] < 1, got 1.0"),
        (lambda p: optim.Muon(p, adamw=[Parameter([1.0])]), "1 in adamw are not among the param"),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build([Parameter([[1.0]])])
