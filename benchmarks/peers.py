"""The same training step and the same transformer block in other engines, in turns.

    nox -s bench -- peers --torch --others

HIPS autograd and MyGrad record NumPy as we do, operation by operation. JAX and ``torch.compile``
compile the whole step. All begin with the same weights and are first asked for a gradient, which
must be ours. An engine that is not installed is left out.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import foundation_nn as fn
import numpy as np
from foundation_nn import functional as F
from foundation_transformer import TransformerEncoderLayer
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from _compare import Step, in_turn, row, say_where, torch_or_none

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = dict[str, Any]
#: A loss of the weights, in the NumPy of an engine.
Loss: TypeAlias = Callable[[Any, Weights], Any]

WIDTHS, ROWS, RATE = (784, 512, 512, 10), 128, 0.01
D, H, FF, T, B = 128, 4, 512, 64, 12


# The formulas, in the words that every engine has in common.


def affine(x: Any, P: Weights, name: str) -> Any:
    return x @ P[f"{name}.weight"].T + P[f"{name}.bias"]


def cross_entropy(xp: Any, logits: Any, chosen: Array) -> Any:
    """``chosen`` (N, V) holds a one at each target."""
    logits = logits - xp.max(logits, axis=-1, keepdims=True)
    log_p = logits - xp.log(xp.sum(xp.exp(logits), axis=-1, keepdims=True))
    return -xp.sum(chosen * log_p) * (1 / len(chosen))


def mlp_loss(xp: Any, P: Weights, x: Array, chosen: Array) -> Any:
    h = affine(x, P, "0")
    for i in range(1, len(WIDTHS) - 1):
        h = affine(xp.maximum(h, 0.0), P, str(2 * i))
    return cross_entropy(xp, h, chosen)


def layer_norm(xp: Any, x: Any, P: Weights, name: str) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + 1e-5) * P[f"{name}.weight"] + P[f"{name}.bias"]


def gelu(xp: Any, x: Any) -> Any:
    return 0.5 * x * (1 + xp.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def attention(xp: Any, x: Any, P: Weights, hidden: Array) -> Any:
    """``hidden`` (T, T) is added to the scores: -1e9 above the diagonal."""
    qkv = x @ P["self_attn.in_proj_weight"].T + P["self_attn.in_proj_bias"]
    heads = xp.transpose(xp.reshape(qkv, (B, T, 3, H, D // H)), (2, 0, 3, 1, 4))  # (3, B, H, T, K)
    q, k, v = heads[0], heads[1], heads[2]
    scores = q @ xp.swapaxes(k, -1, -2) * (D // H) ** -0.5 + hidden
    e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    y = e / xp.sum(e, axis=-1, keepdims=True) @ v  # (B, H, T, K)
    merged = xp.reshape(xp.swapaxes(y, 1, 2), (B, T, D))
    return affine(merged, P, "self_attn.out_proj")


def block_loss(xp: Any, P: Weights, x: Array, g: Array, hidden: Array) -> Any:
    """A pre-norm block, weighted by ``g`` and summed."""
    h = x + attention(xp, layer_norm(xp, x, P, "norm1"), P, hidden)
    inner = gelu(xp, affine(layer_norm(xp, h, P, "norm2"), P, "linear1"))
    return xp.sum((h + affine(inner, P, "linear2")) * g)


# The engines: each turns a loss into a step, which changes the weights if there is a rate. A step
# returns the gradients.


def autograd_step(loss: Loss, weights: Weights, rate: float) -> Step:
    import autograd
    import autograd.numpy as anp

    P = {name: w.copy() for name, w in weights.items()}
    gradients = autograd.grad(lambda P: loss(anp, P))

    def step() -> Weights:
        grads: Weights = gradients(P)
        for name in P if rate else ():
            P[name] -= rate * grads[name]
        return grads

    return step


def mygrad_step(loss: Loss, weights: Weights, rate: float) -> Step:
    import mygrad

    P = {name: mygrad.tensor(w) for name, w in weights.items()}

    def step() -> Weights:
        loss(mygrad, P).backward()
        grads = {name: p.grad for name, p in P.items()}
        for name, p in P.items():
            if rate:
                p.data -= rate * grads[name]
            p.null_grad()
        return grads

    return step


def jax_step(loss: Loss, weights: Weights, rate: float) -> Step:
    import jax
    import jax.numpy as jnp

    @jax.jit
    def compiled(P: Weights) -> tuple[Weights, Weights]:
        grads = jax.grad(lambda P: loss(jnp, P))(P)
        return {name: w - rate * grads[name] for name, w in P.items()} if rate else P, grads

    P = {name: jnp.asarray(w) for name, w in weights.items()}

    def step() -> Weights:
        nonlocal P
        P, grads = compiled(P)
        jax.block_until_ready((P, grads))
        return grads

    return step


ENGINES = {"autograd": autograd_step, "mygrad": mygrad_step, "jax": jax_step}


def torch_step(torch: Any, module: Any, loss: Callable[[], Any], rate: float) -> Step:
    """``loss`` calls the module, which is compiled with it."""
    compiled = torch.compile(loss)
    optimizer = torch.optim.SGD(module.parameters(), lr=rate)

    def step() -> Weights:
        optimizer.zero_grad()
        compiled().backward()
        if rate:
            optimizer.step()
        return {name: p.grad for name, p in module.named_parameters()}

    return step


def compare(what: str, ours: Step, others: dict[str, Step]) -> None:
    """Time them in turns, after the first gradients have been found to be the same."""
    expected: Any = ours()
    for name, step in others.items():
        given: Any = step()
        for key, gradient in expected.items():
            # In the mean: where a ReLU is at 0 but for rounding, one of them may be the other.
            error = np.linalg.norm(np.asarray(given[key]) - gradient)
            if error > 0.01 * np.linalg.norm(gradient):
                sys.exit(f"{what}: {name} has another gradient of {key}")
    row(what, in_turn({"foundation": ours} | others))


def mlp(torch: Any, engines: list[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, WIDTHS[0]), dtype=np.float32)
    targets = rng.integers(0, WIDTHS[-1], ROWS)
    chosen = np.eye(WIDTHS[-1], dtype=np.float32)[targets]
    model = fn.MLP(WIDTHS, rng=rng)
    optimizer = fn.optim.SGD(model, RATE)
    weights = model.state_dict()

    def ours() -> Weights:
        optimizer.zero_grad()
        F.cross_entropy(model(x), targets).backward()
        optimizer.step()
        return {name: p.grad for name, p in model.named_parameters()}

    others = {
        name: ENGINES[name](lambda xp, P: mlp_loss(xp, P, x, chosen), weights, RATE)
        for name in engines
    }
    if torch is not None:
        nn = torch.nn
        layers = [m for a, b in pairwise(WIDTHS) for m in (nn.Linear(a, b), nn.ReLU())]
        net = nn.Sequential(*layers[:-1])
        net.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        tx, tt = torch.tensor(x), torch.tensor(targets)
        others["torch.compile"] = torch_step(
            torch, net, lambda: nn.functional.cross_entropy(net(tx), tt), RATE
        )
    compare(f"step of {'-'.join(map(str, WIDTHS))}, batch {ROWS}", ours, others)


def block(torch: Any, engines: list[str]) -> None:
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, B, T, D), dtype=np.float32)
    layer = TransformerEncoderLayer(
        D, H, FF, activation="gelu_tanh", norm_first=True, rng=np.random.default_rng(0)
    )
    weights = layer.state_dict()
    hidden = np.triu(np.full((T, T), -1e9, np.float32), 1)
    parameters = dict(layer.named_parameters())
    given = fn.Tensor(x)

    def ours() -> Weights:
        for p in parameters.values():
            p.grad = None
        layer(given, causal=True).backward(g)
        return {name: p.grad for name, p in parameters.items()}

    others = {
        name: ENGINES[name](lambda xp, P: block_loss(xp, P, x, g, hidden), weights, 0.0)
        for name in engines
    }
    if torch is not None:
        gelu_tanh = torch.nn.GELU("tanh")
        net = torch.nn.TransformerEncoderLayer(
            D, H, FF, dropout=0.0, activation=gelu_tanh, batch_first=True, norm_first=True
        )
        net.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        tx, tg, mask = torch.tensor(x), torch.tensor(g), torch.tensor(hidden)

        def loss() -> Any:
            return (net(tx, src_mask=mask, is_causal=True) * tg).sum()

        others["torch.compile"] = torch_step(torch, net, loss, 0.0)
    compare(f"block d {D}, T {T}, B {B}, forward + backward", ours, others)


def installed(names: dict[str, Any]) -> list[str]:
    found = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"{name} is not installed, its columns are left out: pass --others")
        else:
            found.append(name)
    return found


def compiling_torch_or_none() -> Any:
    """PyTorch, if it is installed and can compile for this CPU."""
    torch: Any = torch_or_none()
    if torch is None:
        return None
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(1))
    except Exception as error:  # noqa: BLE001 - whatever stops the compiler stops this contender
        print(f"torch.compile does not work here, its columns are left out: {type(error).__name__}")
        return None
    return torch


def main() -> None:
    fn.keep_freed_memory()
    say_where()
    torch = compiling_torch_or_none()
    engines = installed(ENGINES)
    print()
    mlp(torch, engines)
    block(torch, engines)


if __name__ == "__main__":
    main()
