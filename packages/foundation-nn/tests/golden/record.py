"""Record what PyTorch computes, for the tests to compare with.

Run it with PyTorch 2.13 and NumPy installed::

    python packages/foundation-nn/tests/golden/record.py

It writes ``operations.npz``, ``modules.npz`` and ``optimisers.npz`` beside itself, in float64. The
same versions write the same bytes.

``operations.npz`` holds, for each case ``NAME``, the inputs ``NAME/in0``, ``NAME/in1``, …, the
output ``NAME/out``, the gradient of the output ``NAME/g``, and what it becomes for each floating
input, ``NAME/d0``, ``NAME/d1``, …

``modules.npz`` holds, for each case ``NAME``, the state dict before as ``NAME/state/…``, and for
each batch ``I`` the input ``NAME/I/x``, the output ``NAME/I/y``, the gradient of the output
``NAME/I/g``, that of the input ``NAME/I/dx`` and those of the parameters ``NAME/I/grad/…``. What
the batches changed in the state is in ``NAME/after/…``.

``optimisers.npz`` holds a regression problem, ``x`` and ``y``, the first parameters ``w0`` and
``b0``, and, for each optimiser, ``NAME/w`` and ``NAME/b`` after each of a number of steps. Those
named ``…_tall`` predict x from y, with the transpose of ``w0`` and its first row as bias; "ema" are
the averages of what "sgd" makes.
"""

from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

HERE = Path(__file__).parent
STEPS = (1, 2, 10, 100)
MASK = [[True, False, True], [False, True, True]]
ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid")


def operations():
    rng = np.random.default_rng(2017)
    normal = rng.standard_normal
    wide = np.concatenate([np.linspace(-12, 12, 25), [0.0, 1e-3, -1e-3]])
    cases = {}

    def case(name, function, *inputs):
        tensors = [torch.tensor(x) for x in inputs]
        leaves = [t.requires_grad_() for t in tensors if t.is_floating_point()]
        y = function(*tensors)
        g = torch.tensor(normal(tuple(y.shape)), dtype=y.dtype)
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

    weight = torch.tensor(rng.random(7) + 0.1)
    case(
        "cross_entropy_weighted", partial(cross_entropy, weight=weight), logits, np.abs(targets) % 7
    )
    case(
        "cross_entropy_weighted_ignoring_smoothed",
        partial(cross_entropy, weight=weight, label_smoothing=0.1),
        *(logits, targets),
    )
    cases["cross_entropy_weighted/weight"] = weight.numpy()

    wide, narrow, positive = normal((2, 3, 5)), normal((3, 1)), rng.random((2, 3)) + 0.1
    ids, mask = torch.tensor([2, 0, 2]), torch.tensor(MASK)
    case("add", torch.add, wide, narrow)
    case("subtract", torch.sub, narrow, wide)
    case("multiply", torch.mul, wide, narrow)
    case("divide", torch.div, wide, np.exp(narrow))
    case("negative", torch.neg, wide)
    case("power", lambda x: x**2.5, positive)
    case("exp", torch.exp, wide)
    case("log", torch.log, positive)
    case("sqrt", torch.sqrt, positive)
    case("matmul", torch.matmul, normal((7, 1, 2, 3)), normal((5, 3, 2)))
    case("matmul_vector", torch.matmul, normal((2, 5, 3)), normal(3))
    case("sum", lambda x: x.sum((0, 2)), wide)
    case("mean", lambda x: x.mean(1, keepdim=True), wide)
    ties = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, 4.0, 3.0]])
    case("max", lambda x: x.amax(1), ties)
    case("min", lambda x: x.amin((0, 1)), ties)
    case("reshape", lambda x: x.reshape(5, -1), wide)
    case("transpose", lambda x: x.permute(1, 2, 0), wide)
    case("swapaxes", lambda x: x.swapaxes(0, 2), wide)
    case("getitem", lambda x: x[1, :, ::2], wide)
    case("getitem_by_ids", lambda x: x[:, ids], wide)
    case("getitem_by_mask", lambda x: x[mask], wide)
    case("concat", lambda *xs: torch.cat(xs, 1), normal((2, 3)), normal((2, 1)))
    case("stack", lambda *xs: torch.stack(xs, -1), normal((2, 3)), normal((2, 3)))
    case("where", lambda x, y: torch.where(mask, x, y), normal((2, 3)), normal(3))
    case("mask_rows", lambda x: x.masked_fill(~mask[..., None], 0), wide)
    everyday_operations(case, rng)
    norms_and_frames(case, rng)
    weight = torch.tensor(rng.random(7) + 0.1)
    cases["soft_cross_entropy_mean/weight"] = weight.numpy()
    soft_cross_entropy(case, rng, weight)
    return cases


def everyday_operations(case, rng):
    """Those that most programs need somewhere."""
    normal = rng.standard_normal
    x, column, positive = normal((2, 3, 5)), normal((3, 1)), rng.random((2, 3)) + 0.1
    far = np.concatenate([np.linspace(-40, 40, 23), [0.0, 1e-3, -1e-9]])
    whole = rng.integers(-2, 3, (3, 5)).astype(float)  # with ties, and with zeros
    case("power_of_tensors", torch.pow, positive, normal((2, 1)))
    case("power_of_a_number", lambda y: 2.5**y, x)
    case("power_of_zero", torch.pow, np.zeros(3), np.array([0.0, 1.0, 2.0]))
    case("log1p", torch.log1p, positive)
    case("abs", torch.abs, whole)
    case("sign", torch.sign, whole)
    case("maximum", torch.maximum, whole, whole[::-1].copy())
    case("minimum", torch.minimum, x, column)
    case("clip", lambda x: x.clamp(-1, 1), whole)
    case("clip_from_below", lambda x: x.clamp(min=0.5), x)
    case("sin", torch.sin, far)
    case("cos", torch.cos, far)
    case("erf", torch.erf, far / 8)
    case("softplus", lambda x: F.softplus(x, threshold=100), far)
    case("log_sigmoid", F.logsigmoid, far)
    case("logsumexp", lambda x: x.logsumexp((0, 2)), 20 * x)
    case("cumsum", lambda x: x.cumsum(1), x)
    case("var", lambda x: x.var((0, 2), correction=1), x)
    case("std", lambda x: x.std(1, correction=0, keepdim=True), x)
    case("std_of_equal_numbers", lambda x: x.std(1, correction=0), np.ones((2, 3)))
    case("norm", lambda x: torch.linalg.vector_norm(x, 2, (0, 2)), x)
    case("norm_of_zeros", lambda x: torch.linalg.vector_norm(x, 2, 1), np.zeros((2, 3)))
    case("norm_1", lambda x: torch.linalg.vector_norm(x, 1, 1), whole)
    prediction, target = 3 * normal((3, 5)), 3 * normal((3, 5))
    for reduction in ("sum", "none"):
        case(f"mse_loss_{reduction}", partial(F.mse_loss, reduction=reduction), prediction, target)
    for reduction in ("mean", "sum", "none"):
        options = {"reduction": reduction}
        ending = "" if reduction == "mean" else f"_{reduction}"
        case(f"l1_loss{ending}", partial(F.l1_loss, **options), prediction, target)
        case(f"huber_loss{ending}", partial(F.huber_loss, **options), prediction, target)
        logs, chances = np.log(rng.random((3, 5))), rng.random((3, 5))
        case(f"kl_div{ending}", partial(F.kl_div, **options), logs, chances)
        options["pos_weight"] = torch.tensor([0.5, 1, 2, 3, 7])
        weighted = partial(F.binary_cross_entropy_with_logits, **options)
        case(f"weighted_bce_{reduction}", weighted, 3 * prediction, chances)
    case("huber_loss_wide", partial(F.huber_loss, delta=2.5), prediction, target)
    case("kl_div_of_logs", partial(F.kl_div, log_target=True), logs, np.log(chances))
    ids, logits = np.array([3, -100, 0, 6]), 3 * normal((4, 7))
    for reduction in ("sum", "none"):
        entropy = partial(F.cross_entropy, label_smoothing=0.1, reduction=reduction)
        case(f"cross_entropy_{reduction}", entropy, logits, ids)
    place = torch.tensor([[[2, 0, 2, 2, 1]], [[0, 1, 1, 0, 0]]])
    counts = torch.tensor([2, 0, 3])
    case("squeeze", lambda x: x.squeeze(1), normal((2, 1, 3)))
    case("expand_dims", lambda x: x.unsqueeze(1), column)
    case("broadcast_to", lambda x: x.broadcast_to(2, 3, 5), column)
    case("flip", lambda x: x.flip(0, 2), x)
    case("repeat", lambda x: x.repeat_interleave(counts, 1), x)
    case("split", lambda x: x.split([1, 3, 1], 2)[1], x)
    case("take_along_axis", lambda x: x.take_along_dim(place, 1), x)
    case("pad", lambda x: F.pad(x, (1, 2, 0, 3), value=7.0), positive)
    case("tril", lambda x: x.tril(1), x)
    case("triu", lambda x: x.triu(-1), x)
    case("outer", torch.outer, normal(3), normal(5))
    three = normal((2, 3, 5)), normal((5, 7)), normal((2, 7))
    case("einsum", lambda *xs: torch.einsum("bij,jk,bk->ki", *xs), *three)
    case("einsum_of_a_diagonal", lambda x: torch.einsum("...ii->...", x), normal((2, 3, 3)))
    case("einsum_of_stacks", lambda x, y: torch.einsum("...ij,jk", x, y), x, normal((5, 2)))
    case("astype", lambda x: x.float(), x)
    case("norm_inf", lambda x: torch.linalg.vector_norm(x, np.inf, 1), whole)


def norms_and_frames(case, rng):
    x, norm = rng.standard_normal((3, 5)), torch.linalg.norm
    for order in (3, 0.5, -1, -2, -np.inf):
        case(f"norm_{order}_of_vectors", lambda x, order=order: norm(x, order, 1), x)
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        case(f"norm_{order}_of_a_matrix", lambda x, order=order: norm(x, order, (1, 0)), x)
    for mode, theirs in (("edge", "replicate"), ("reflect", "reflect"), ("wrap", "circular")):
        case(f"pad_{mode}", lambda x, mode=theirs: F.pad(x[None], (1, 2), mode)[0], x)


def soft_cross_entropy(case, rng, weight):
    """Probabilities as targets. Of these PyTorch has gradients, too, which are constants here."""
    logits = 3 * rng.standard_normal((4, 7))
    targets = torch.tensor(rng.dirichlet(np.ones(7), 4))
    targets[2] *= 0.5  # need not add up to 1
    for reduction in ("mean", "sum", "none"):
        options = {"reduction": reduction}
        case(
            f"soft_cross_entropy_{reduction}",
            lambda z, o=options: F.cross_entropy(z, targets, **o),
            logits,
        )
    options = {"label_smoothing": 0.1, "weight": weight}
    case(
        "soft_cross_entropy_smoothed_weighted",
        lambda z: F.cross_entropy(z, targets, **options),
        logits,
    )
    case("soft_cross_entropy_targets", lambda q: q * 1, targets.numpy())


def modules():
    rng = np.random.default_rng(2018)
    torch.manual_seed(0)
    nn = torch.nn
    result = {}

    def case(name, module, *batches, training=(False,)):
        """Batches one after the other, each in training or evaluation."""
        module.double()
        for p in module.parameters():
            p.data = torch.tensor(rng.standard_normal(tuple(p.shape)))
        result.update({f"{name}/state/{k}": v.clone() for k, v in module.state_dict().items()})
        for i, (batch, mode) in enumerate(zip(batches, training, strict=True)):
            x = torch.tensor(batch)
            leaves = [*module.parameters()]
            if x.is_floating_point():
                leaves = [x.requires_grad_(), *leaves]
            y = module.train(mode)(x)
            g = torch.tensor(rng.standard_normal(tuple(y.shape)))
            gradients = torch.autograd.grad(y, leaves, g)
            if x.is_floating_point():
                result[f"{name}/{i}/dx"], *gradients = gradients
            result.update({f"{name}/{i}/x": x, f"{name}/{i}/y": y, f"{name}/{i}/g": g})
            names = [k for k, _ in module.named_parameters()]
            grads = zip(names, gradients, strict=True)
            result.update({f"{name}/{i}/grad/{k}": d for k, d in grads})
        after = {k: v for k, v in module.state_dict().items() if k.startswith(("running", "num"))}
        result.update({f"{name}/after/{k}": v.clone() for k, v in after.items()})

    def batch(*shape):
        return 2 + 3 * rng.standard_normal(shape)

    mixed = (True, True, False, True, False)
    case("batch_norm", nn.BatchNorm1d(3), *(batch(7, 3) for _ in mixed), training=mixed)
    case(
        "batch_norm_of_sequences",
        nn.BatchNorm1d(3, eps=1e-3, momentum=0.25),
        *(batch(5, 3, 2) for _ in mixed),
        training=mixed,
    )
    case("linear", nn.Linear(5, 7), batch(2, 3, 5))
    case("linear_without_bias", nn.Linear(5, 7, bias=False), batch(3, 5))
    case("embedding", nn.Embedding(7, 5), np.array([[3, 0, 3], [6, 3, 0]]))
    case("layer_norm", nn.LayerNorm(5, eps=1e-3), batch(2, 3, 5))
    case("layer_norm_without_bias", nn.LayerNorm(5, bias=False), batch(2, 3, 5))
    case("rms_norm", nn.RMSNorm(5, eps=1e-5), batch(2, 3, 5))
    activations = (nn.ReLU, nn.GELU, partial(nn.GELU, "tanh"), nn.SiLU, nn.Tanh, nn.Sigmoid)
    for name, kind in zip(ACTIVATIONS, activations, strict=True):
        case(f"mlp_of_{name}", nn.Sequential(nn.Linear(5, 7), kind(), nn.Linear(7, 2)), batch(3, 5))
    return {name: value.detach().numpy() for name, value in result.items()}


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
        averages = AveragedModel(
            torch.nn.ParameterList([w, b]), multi_avg_fn=get_ema_multi_avg_fn(0.9)
        )
        trajectory, norms, averaged = [], [], []
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
            averages.update_parameters(torch.nn.ParameterList([w, b]))
            if step in STEPS:
                averaged.append([p.detach().numpy().copy() for p in averages.parameters()])
                trajectory.append((w.detach().numpy().copy(), b.detach().numpy().copy()))
        result[f"{name}/w"], result[f"{name}/b"] = map(np.array, zip(*trajectory, strict=True))
        if name == "sgd":
            result["ema/w"], result["ema/b"] = map(np.array, zip(*averaged, strict=True))
        if norms:
            result[f"{name}/norms"] = np.array(norms)
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    np.savez(HERE / "operations.npz", **operations())
    np.savez(HERE / "modules.npz", **modules())
    np.savez(HERE / "optimisers.npz", **optimisers())
