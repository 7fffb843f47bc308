"""Recurrent layers beside eager PyTorch: training steps, one step of generation, memory.

Also what the matrix products of the LSTM's training step take with nothing between them: no gates,
no state, no tape.

nox -s bench -- recurrent --torch
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import foundation_nn as fn
import numpy as np
from foundation_seq import GRU, LSTM, RNN
from foundation_seq.recurrent._panels import multiply, panels

sys.path.insert(0, str(Path(__file__).parent))
from _compare import Step, in_turn, row, say_where, torch_or_none

B, T, FEATURES, H = 32, 100, 128, 256
LAYERS = {"RNN": (RNN, 1), "LSTM": (LSTM, 1), "GRU": (GRU, 2)}


def ours(name: str, batch: int, width: int, train: bool) -> Step:
    make, layers = LAYERS[name]
    rng = np.random.default_rng(0)
    layer = make(FEATURES, H, layers, rng=rng)
    x = fn.Tensor(
        rng.standard_normal((batch, width, FEATURES), dtype=np.float32), requires_grad=train
    )
    g = np.ones((batch, width, H), np.float32)
    parameters = [x, *layer.parameters()]

    def training() -> None:
        for p in parameters:
            p.grad = None
        layer(x)[0].backward(g)

    if train:
        return training
    state = layer(x)[1]

    def generation() -> None:
        with fn.no_grad():
            layer(x, state=state)

    return generation


def products() -> Step:
    """The matrix products of the LSTM's step, its rows shared between threads as there."""
    shares = fn.get_num_threads()
    rows = B // shares
    rng = np.random.default_rng(0)
    w_ih, w_hh = (rng.random((4 * H, n), np.float32) for n in (FEATURES, H))
    x, h, dz = (rng.random((shares, T, rows, n), np.float32) for n in (FEATURES, H, 4 * H))
    wide, narrow = (np.empty((shares, rows, n), np.float32) for n in (4 * H, H))

    def of_share(k: int) -> None:
        flat_x, flat_h, flat_dz = (a[k].reshape(T * rows, -1) for a in (x, h, dz))
        flat_x @ w_ih.T
        forth, back = panels(w_hh.T, rows, T), panels(w_hh, rows, T)
        for t in range(T):
            multiply(h[k, t], forth, out=wide[k])
        for t in range(T):
            multiply(dz[k, t], back, out=narrow[k])
        flat_dz @ w_ih
        flat_dz.T @ flat_x
        flat_dz.T @ flat_h

    return lambda: fn.over_parts(of_share, shares)


def theirs(name: str, batch: int, width: int, train: bool, torch: Any) -> Step:
    layer = getattr(torch.nn, name)(FEATURES, H, LAYERS[name][1], batch_first=True)
    x = torch.randn(batch, width, FEATURES).requires_grad_(train)
    g = torch.ones(batch, width, H)

    def training() -> None:
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(g)

    if train:
        return training
    with torch.no_grad():
        state = layer(x)[1]

    def generation() -> None:
        with torch.no_grad():
            layer(x, state)

    return generation


def speed(torch: Any) -> None:
    for train, batch, width in ((True, B, T), (False, 1, 1)):
        for name, (_, layers) in LAYERS.items():
            contenders = {"foundation": ours(name, batch, width, train)}
            if torch is not None:
                contenders["PyTorch"] = theirs(name, batch, width, train, torch)
            what = "training step" if train else "one step, no gradient"
            label = f"{name}, {layers} layer{'s' * (layers > 1)}, B {batch} T {width}, {what}"
            row(label, in_turn(contenders, rounds=7))
    row("LSTM, training step, its products alone", in_turn({"foundation": products()}, rounds=7))


def memory(torch: Any) -> None:
    """The peak of a process that trains, above its peak before: a process for each contender."""
    print()
    for name in LAYERS:
        sizes = {}
        for who in ("foundation", *(["PyTorch"] if torch is not None else [])):
            command = [sys.executable, __file__, "--peak", name, who]
            sizes[who] = int(subprocess.run(command, capture_output=True, check=True).stdout)
        text = "   ".join(f"{who} {size / 2**20:6.1f} MiB" for who, size in sizes.items())
        print(f"{name + ', memory of five training steps':44} {text}")


def peak(name: str, who: str) -> None:
    def most() -> int:
        """Peak of the resident memory: Linux only, and unlike getrusage not that of the parent."""
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    if who == "foundation":
        small, large = ours(name, 2, 3, True), ours(name, B, T, True)
    else:
        import torch

        small, large = (theirs(name, *size, True, torch) for size in ((2, 3), (B, T)))
    small()  # libraries are loaded, their threads started
    before = most()
    for _ in range(5):
        large()
    print(most() - before)


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        peak(*sys.argv[2:])
        return
    fn.keep_freed_memory()
    say_where()
    torch = torch_or_none()
    speed(torch)
    memory(torch)


if __name__ == "__main__":
    main()
