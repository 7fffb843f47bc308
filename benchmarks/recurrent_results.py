"""What the recurrent networks learn, over several seeds: adding, reversal, tiny Shakespeare.

python benchmarks/recurrent_results.py adding | reverse | shakespeare FILE
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from foundation_nn import no_grad, optim
from foundation_nn.training import Trainer
from foundation_seq import LSTM, RNN, RecurrentLM, SamplingConfig, generate, recipes
from foundation_seq.examples import reverse
from foundation_seq.examples.adding_problem import Adder, Endless, loss, make_batch


def run_adding(seed: int, updates: int, width: int = 200) -> None:
    """Until the LSTM is below 1e-3 on new sequences; the RNN is given as many updates."""
    test = make_batch(np.random.default_rng([seed, 1]), 1000, width)
    for kind in (LSTM, RNN):
        data = Endless(np.random.default_rng([seed, 2]), width)
        model = Adder(kind, np.random.default_rng(seed))
        trainer = Trainer(model, loss, optim.Adam(model, 2e-3), clip_norm=1.0)
        started, error = time.perf_counter(), np.inf
        while trainer.steps < updates and (kind is RNN or error >= 1e-3):
            trainer.fit(data, max_steps=500)
            with no_grad():
                error = loss(model, test)[0].item()
        updates = trainer.steps
        print(
            f"adding, T {width}, seed {seed}, {kind.__name__}: mean squared error {error:.5f} "
            f"after {updates} updates, {time.perf_counter() - started:.0f} s",
            flush=True,
        )


def run_reverse(seed: int) -> None:
    started = time.perf_counter()
    model, _ = reverse.train(seed)
    exact = reverse.exact_match(model, np.random.default_rng([seed, 2]))
    print(
        f"reverse, seed {seed}: exact match {exact:.4f}, {time.perf_counter() - started:.0f} s",
        flush=True,
    )


def run_shakespeare(seed: int, text: str, passes: int) -> None:
    """The last tenth is held out; the state is carried through it as it is through the rest."""
    characters = "".join(sorted(set(text)))
    number = {character: i for i, character in enumerate(characters)}
    ids = np.array([number[character] for character in text])
    split = len(ids) * 9 // 10
    train = recipes.ConsecutiveWindows(ids[:split], 64, 64)
    model = RecurrentLM(len(characters), 64, 448, dropout=0.2, rng=np.random.default_rng(seed))
    started, busy = time.perf_counter(), time.process_time()
    trainer = recipes.train_lm(
        model,
        train,
        steps=passes * len(train),
        validation=recipes.ConsecutiveWindows(ids[split:], 64, 32),
        lr=3e-3,
        rng=np.random.default_rng([seed, 1]),
    )
    losses = [evaluation.loss for evaluation in trainer.history.evaluations]
    print(
        f"shakespeare, seed {seed}: {model.num_parameters():,} parameters, "
        f"{trainer.steps} updates, {(time.perf_counter() - started) / 60:.1f} minutes "
        f"({(time.process_time() - busy) / 60:.1f} of one core); nats per held-out character "
        f"after each pass: {' '.join(f'{loss:.3f}' for loss in losses)}",
        flush=True,
    )
    sampling = SamplingConfig(temperature=0.8)
    written = generate(model, [[number["\n"]]], 400, sampling, np.random.default_rng([seed, 2]))
    print("".join(characters[i] for i in written[0]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["adding", "reverse", "shakespeare"])
    parser.add_argument("file", nargs="?", type=Path, help="the text, for shakespeare")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="seed (default: 0)")
    parser.add_argument("--updates", type=int, default=20_000, help="at most, for adding")
    parser.add_argument("--passes", type=int, default=15, help="over the text, for shakespeare")
    args = parser.parse_args()
    if args.task == "shakespeare" and args.file is None:
        parser.error("shakespeare: expected the text as a file")
    for seed in range(args.first, args.first + args.seeds):
        if args.task == "adding":
            run_adding(seed, args.updates)
        elif args.task == "reverse":
            run_reverse(seed)
        else:
            run_shakespeare(seed, args.file.read_text(encoding="utf-8"), args.passes)


if __name__ == "__main__":
    main()
