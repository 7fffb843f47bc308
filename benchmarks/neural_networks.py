"""The ground floor beside eager PyTorch: networks, operations, the optimiser, the tape.

nox -s bench -- neural_networks --torch
"""

from __future__ import annotations

import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from foundation_nn import Array, Result
from foundation_nn import functional as F
from foundation_nn.engine._watch import Watcher
from foundation_transformer import TransformerEncoder

sys.path.insert(0, str(Path(__file__).parent))
from _compare import Step, in_turn, row, say_where, torch_or_none


def networks(torch: Any) -> None:
    for widths, batch in (([784, 512, 512, 10], 128), ([2, 8, 2], 4)):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((batch, widths[0]), dtype=np.float32)
        targets = rng.integers(0, widths[-1], batch)
        model = fn.MLP(widths, rng=rng)
        optimizer = fn.optim.AdamW(model)

        def ours(model=model, optimizer=optimizer, x=x, targets=targets) -> None:
            optimizer.zero_grad()
            F.cross_entropy(model(x), targets).backward()
            optimizer.step()

        contenders: dict[str, Step] = {"foundation": ours}
        if torch is not None:
            layers: list[Any] = []
            for fan_in, fan_out in pairwise(widths):
                layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
            net = torch.nn.Sequential(*layers[:-1])
            adam = torch.optim.AdamW(net.parameters(), fused=True)
            tx, tt = torch.from_numpy(x), torch.from_numpy(targets)

            def theirs(net=net, adam=adam, tx=tx, tt=tt) -> None:
                adam.zero_grad()
                torch.nn.functional.cross_entropy(net(tx), tt).backward()
                adam.step()

            contenders["PyTorch"] = theirs
        row(f"step of {'-'.join(map(str, widths))}, batch {batch}", in_turn(contenders))


@fn.operation
def hidden(_leaf: Array, x: Any) -> Result:
    """``x`` as if it came from an earlier layer, which a leaf's copy of its gradient would hide."""

    def backward(_g: Array) -> Array:
        return None

    return x.view(), backward


def operations(torch: Any) -> None:
    rng = np.random.default_rng(0)
    cases = {
        "gelu (2048, 1536)": (F.gelu, (2048, 1536), "gelu"),
        "gelu tanh (2048, 1536)": (lambda x: F.gelu(x, "tanh"), (2048, 1536), "gelu_tanh"),
        "layer norm (2048, 512)": (None, (2048, 512), "layer_norm"),
        "cross-entropy (2048, 8192)": (None, (2048, 8192), "cross_entropy"),
    }
    for label, (op, shape, kind) in cases.items():
        x = rng.standard_normal(shape, dtype=np.float32)
        g = rng.standard_normal(shape, dtype=np.float32)
        w, b = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
        targets = rng.integers(0, shape[1], shape[0])

        def ours(op=op, kind=kind, x=x, g=g, w=w, b=b, targets=targets) -> None:
            t = hidden(fn.Tensor(0.0, requires_grad=True), x)
            if kind == "layer_norm":
                weight, bias = fn.Parameter(w), fn.Parameter(b)
                F.layer_norm(t, weight, bias).backward(g)
            elif kind == "cross_entropy":
                F.cross_entropy(t, targets).backward()
            else:
                op(t).backward(g)

        contenders: dict[str, Step] = {"foundation": ours}
        if torch is not None:
            functional = torch.nn.functional
            tg, tt = torch.from_numpy(g), torch.from_numpy(targets)

            def theirs(kind=kind, x=x, tg=tg, tt=tt, w=w, b=b, functional=functional) -> None:
                t = torch.from_numpy(x).requires_grad_()
                if kind == "layer_norm":
                    weight = torch.from_numpy(w).requires_grad_()
                    bias = torch.from_numpy(b).requires_grad_()
                    functional.layer_norm(t, w.shape, weight, bias).backward(tg)
                elif kind == "cross_entropy":
                    functional.cross_entropy(t, tt).backward()
                else:
                    approximate = "tanh" if kind == "gelu_tanh" else "none"
                    functional.gelu(t, approximate=approximate).backward(tg)

            contenders["PyTorch"] = theirs
        row(f"{label}, forward + backward", in_turn(contenders))


def optimiser(torch: Any) -> None:
    shape = (10, 1000, 1000)
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape, dtype=np.float32)
    parameters = [fn.Parameter(v) for v in values]
    adam = fn.optim.AdamW(parameters)
    for p in parameters:
        p.grad = p._grad_view
    contenders: dict[str, Step] = {"foundation": adam.step}
    if torch is not None:
        theirs = [torch.from_numpy(v.copy()).requires_grad_() for v in values]
        for p in theirs:
            p.grad = torch.zeros_like(p)
        contenders["PyTorch"] = torch.optim.AdamW(theirs, fused=True).step
    row("AdamW, 10 M parameters", in_turn(contenders))


def tape() -> None:
    """What the tape costs: a chain of operations against the same kernels called by hand."""
    x = fn.Tensor(np.ones((4, 4), np.float32), requires_grad=True)
    length = 100

    def taped() -> None:
        y = x
        for _ in range(length):
            y = F.tanh(y)
        y.backward(x.data)

    def by_hand() -> None:
        y, backwards = x.data, []
        for _ in range(length):
            y, backward = F.tanh.kernel(y)
            backwards.append(backward)
        g = x.data
        for backward in reversed(backwards):
            g = backward(g)

    times = in_turn({"taped": taped, "by hand": by_hand})
    tax = (times["taped"] - times["by hand"]) / length
    print(f"{'tape, forward + backward':44} {1e6 * tax:.2f} µs an operation")


class KernelTime(Watcher):
    """The seconds that the kernels themselves take, forward and backward."""

    seconds = 0.0

    def forward(self, *_: Any) -> None:
        self.seconds += _[-1]

    def backward(self, *_: Any) -> None:
        self.seconds += _[-1]


def block_stack() -> None:
    """The same for four transformer blocks: everything that is not a kernel's own time."""
    rng = np.random.default_rng(0)
    encoder = TransformerEncoder(4, 128, 4, 512, norm_first=True, rng=rng)
    x = fn.Tensor(rng.standard_normal((12, 64, 128), dtype=np.float32))
    g = rng.standard_normal(x.shape, dtype=np.float32)
    parameters = list(encoder.parameters())

    def step() -> None:
        for p in parameters:
            p.grad = None
        encoder(x, causal=True).backward(g)

    whole, kernels = [], []
    for _ in range(60):
        started = time.perf_counter()
        step()
        whole.append(time.perf_counter() - started)
        with KernelTime() as watcher:
            step()
        kernels.append(watcher.seconds)
    all_of_it, inside = statistics.median(whole), statistics.median(kernels)
    print(
        f"{'four blocks, d 128, T 64, B 12':44} {1000 * all_of_it:.2f} ms, of which the kernels "
        f"{1000 * inside:.2f} ms: the tape takes {100 * (all_of_it / inside - 1):.1f} %"
    )


def main() -> None:
    fn.keep_freed_memory()
    say_where()
    torch = torch_or_none()
    networks(torch)
    operations(torch)
    optimiser(torch)
    # With several threads, gradients of weights are computed beside the walk: times do not add up.
    fn.set_num_threads(1)
    print("\non one thread:")
    tape()
    block_stack()


if __name__ == "__main__":
    main()
