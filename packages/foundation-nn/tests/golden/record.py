"""Record what PyTorch computes, for the tests to compare with.

Run it with PyTorch 2.13 and NumPy installed::

    python packages/foundation-nn/tests/golden/record.py

It writes ``operations.npz`` and ``optimisers.npz`` beside itself, in float64. The same versions
write the same bytes.

``operations.npz`` holds, for each case ``NAME``, the inputs ``NAME/in0``, ``NAME/in1``, …, the
output ``NAME/out``, the gradient of the output ``NAME/g``, and what it becomes for each floating
input, ``NAME/d0``, ``NAME/d1``, …

``optimisers.npz`` holds a regression problem, ``x`` and ``y``, the first parameters ``w0`` and
``b0``, and, for each optimiser, ``NAME/w`` and ``NAME/b`` after each of a number of steps.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

HERE = Path(__file__).parent
STEPS = (1, 2, 10, 100)


def operations():
    rng = np.random.default_rng(2017)
    normal = rng.standard_normal
    wide = np.concatenate([np.linspace(-12, 12, 25), [0.0, 1e-3, -1e-3]])
    cases = {}

    def case(name, function, *inputs):
        tensors = [torch.tensor(x) for x in inputs]
        leaves = [t.requires_grad_() for t in tensors if t.is_floating_point()]
        y = function(*tensors)
        g = torch.tensor(normal(tuple(y.shape)))
        gradients = torch.autograd.grad(y, leaves, g)
        cases.update({f"{name}/in{i}": t.detach().numpy() for i, t in enumerate(tensors)})
        cases.update({f"{name}/out": y.detach().numpy(), f"{name}/g": g.numpy()})
        cases.update({f"{name}/d{i}": d.numpy() for i, d in enumerate(gradients)})

    case("linear", F.linear, normal((2, 3, 5)), normal((7, 5)), normal(7))
    case("linear_no_bias", F.linear, normal((3, 5)), normal((7, 5)))
    case("relu", F.relu, wide)
    case("gelu", F.gelu, wide)
    case("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), wide)
    case("silu", F.silu, wide)
    case("tanh", torch.tanh, wide)
    case("sigmoid", torch.sigmoid, wide)
    case("softmax", lambda x: F.softmax(x, -1), 3 * normal((3, 7)))
    case("softmax_axis_1", lambda x: F.softmax(x, 1), 3 * normal((2, 5, 3)))
    case("log_softmax", lambda x: F.log_softmax(x, -1), 3 * normal((3, 7)))
    case(
        "layer_norm",
        lambda x, w, b: F.layer_norm(x, (11,), w, b, 1e-5),
        *(2 + 3 * normal((2, 3, 11)), normal(11), normal(11)),
    )
    case("layer_norm_plain", lambda x: F.layer_norm(x, (11,)), 2 + 3 * normal((3, 11)))
    case(
        "rms_norm",
        lambda x, w: F.rms_norm(x, (11,), w, 1e-5),
        *(2 + 3 * normal((2, 3, 11)), normal(11)),
    )
    case("embedding", F.embedding, np.array([[3, 0, 3], [6, 3, 0]]), normal((7, 5)))

    targets = np.array([[3, -100, 0], [6, 3, -100]])
    logits = 3 * normal((2, 3, 7))

    def cross_entropy(z, t, **options):
        return F.cross_entropy(z.reshape(-1, 7), t.reshape(-1), **options)

    case("cross_entropy", cross_entropy, logits, np.abs(targets) % 7)
    case("cross_entropy_ignoring", cross_entropy, logits, targets)
    case(
        "cross_entropy_smoothed",
        lambda z, t: cross_entropy(z, t, label_smoothing=0.1),
        *(logits, targets),
    )
    case("mse_loss", F.mse_loss, normal((3, 5)), normal((3, 5)))
    case(
        "binary_cross_entropy_with_logits",
        F.binary_cross_entropy_with_logits,
        *(20 * normal((3, 5)), rng.random((3, 5))),
    )
    return cases


def optimisers():
    """Linear regression; only the weight decays, as foundation_nn has it."""
    rng = np.random.default_rng(2019)
    problem = {
        "x": rng.standard_normal((13, 5)),
        "y": rng.standard_normal((13, 3)),
        "w0": rng.standard_normal((3, 5)),
        "b0": rng.standard_normal(3),
        "steps": np.array(STEPS),
    }
    adam = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-6}

    def groups(w, b, decay):
        return [{"params": [w], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}]

    makers = {
        "sgd": lambda w, b: torch.optim.SGD([w, b], lr=0.02),
        "momentum": lambda w, b: torch.optim.SGD(groups(w, b, 0.1), lr=0.02, momentum=0.9),
        "adam": lambda w, b: torch.optim.Adam([w, b], **adam),
        "adamw": lambda w, b: torch.optim.AdamW(groups(w, b, 0.1), **adam),
        "clipped": lambda w, b: torch.optim.SGD([w, b], lr=0.02),
    }
    x, y = torch.tensor(problem["x"]), torch.tensor(problem["y"])
    result = dict(problem)
    for name, make in makers.items():
        w, b = (torch.tensor(problem[k], requires_grad=True) for k in ("w0", "b0"))
        optimiser = make(w, b)
        trajectory, norms = [], []
        for step in range(1, max(STEPS) + 1):
            optimiser.zero_grad()
            F.mse_loss(F.linear(x, w, b), y).backward()
            if name == "clipped":
                # clip_grad_norm_ divides by the norm + 1e-6; foundation_nn by the norm.
                norm = torch.nn.utils.get_total_norm([w.grad, b.grad])
                for p in (w, b):
                    p.grad *= min(3 / norm, 1)
                norms.append(float(norm))
            optimiser.step()
            if step in STEPS:
                trajectory.append((w.detach().numpy().copy(), b.detach().numpy().copy()))
        result[f"{name}/w"], result[f"{name}/b"] = map(np.array, zip(*trajectory, strict=True))
        if norms:
            result[f"{name}/norms"] = np.array(norms)
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez(HERE / "operations.npz", **operations())
    np.savez(HERE / "optimisers.npz", **optimisers())
