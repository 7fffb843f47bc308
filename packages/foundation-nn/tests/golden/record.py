"""Record what PyTorch computes, for the tests to compare with.

Run it with PyTorch 2.13 and NumPy installed::

    python packages/foundation-nn/tests/golden/record.py

It writes ``operations.npz`` and ``optimisers.npz`` beside itself, in float64. The same versions
write the same bytes.

``operations.npz`` holds, for each case ``NAME``, the inputs ``NAME/in0``, ``NAME/in1``, …, the
output ``NAME/out``, the gradient of the output ``NAME/g``, and what it becomes for each floating
input, ``NAME/d0``, ``NAME/d1``, …

``optimisers.npz`` holds a regression problem, ``x`` and ``y``, the first parameters ``w0`` and
``b0``, and, for each optimiser, ``NAME/w`` and ``NAME/b`` after each of a number of steps. Those
named ``…_tall`` predict x from y, with the transpose of ``w0`` and its first row as bias.
"""

from pathlib import Path
from unittest import mock

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


class Lion(torch.optim.Optimizer):
    """Program 1 of arXiv:2302.06675, in its order: track, decay, step."""

    def __init__(self, params, lr, betas):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(beta1 * m + (1 - beta1) * p.grad)
                self.state[p]["m"] = beta2 * m + (1 - beta2) * p.grad
                update = update + group["weight_decay"] * p
                p -= lr * update


class Muon:
    """PyTorch's Muon for the matrix, its AdamW for the vector.

    torch.optim.Muon turns matrices into bfloat16; here they stay what they are.
    """

    def __init__(self, w, b, lr, adjust_lr_fn, adamw_lr, **options):
        options |= {"lr": lr, "weight_decay": 0.1, "adjust_lr_fn": adjust_lr_fn}
        self.muon = torch.optim.Muon([w], **options)
        self.adamw = torch.optim.AdamW([b], lr=adamw_lr, betas=(0.8, 0.95), weight_decay=0.0)

    def zero_grad(self):
        self.muon.zero_grad()
        self.adamw.zero_grad()

    def step(self):
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            self.muon.step()
        self.adamw.step()


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
    optim = torch.optim

    def groups(w, b, decay):
        return [{"params": [w], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}]

    def muon_tall(w, b):
        options = {"momentum": 0.8, "nesterov": False, "ns_steps": 3}
        return Muon(w, b, 0.02, "original", 0.01, **options)

    # With a smaller eps, RMSprop ends in jitter that magnifies rounding by 1e11.
    makers = {
        "sgd": lambda w, b: optim.SGD([w, b], lr=0.02),
        "momentum": lambda w, b: optim.SGD(groups(w, b, 0.1), lr=0.02, momentum=0.9),
        "adam": lambda w, b: optim.Adam([w, b], **adam),
        "adamw": lambda w, b: optim.AdamW(groups(w, b, 0.1), **adam),
        "clipped": lambda w, b: optim.SGD([w, b], lr=0.02),
        "rmsprop": lambda w, b: optim.RMSprop(groups(w, b, 0.1), lr=0.01, alpha=0.9, eps=1e-2),
        "adagrad": lambda w, b: optim.Adagrad(groups(w, b, 0.1), lr=0.1, eps=1e-6),
        "lion": lambda w, b: Lion(groups(w, b, 0.1), lr=0.01, betas=(0.8, 0.95)),
        "muon": lambda w, b: Muon(w, b, 0.03, "match_rms_adamw", 0.03),
        "muon_tall": muon_tall,
        "adafactor": lambda w, b: optim.Adafactor(groups(w, b, 0.1), lr=0.05),
        "adafactor_tall": lambda w, b: optim.Adafactor(
            groups(w, b, 0.1), lr=0.03, beta2_decay=-0.5, eps=(1e-2, 1e-1), d=1.5
        ),
    }
    result = dict(problem)
    for name, make in makers.items():
        x, y, w, b = (torch.tensor(problem[k]) for k in ("x", "y", "w0", "b0"))
        if name.endswith("_tall"):
            x, y, w, b = y, x, w.T.contiguous(), w[0].clone()
        w, b = w.requires_grad_(), b.requires_grad_()
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
