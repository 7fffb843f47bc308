# ruff: noqa: T201 - an example prints
"""Names: a character model learns given names, writes new ones, and shows its gates.

``python -m foundation_seq.examples.names`` learns the list in this file by heart if it trains
for long, so it says how many of the names it wrote are in the list. It leaves
``plots/names_states.png`` and ``plots/names_gates.png``: what the network remembers as it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from foundation_nn import Tensor, no_grad
from foundation_nn import functional as F
from foundation_nn.lessons import options, pictures
from foundation_nn.optim import Adam
from foundation_nn.training import Trainer
from numpy.typing import NDArray

from foundation_seq import RecurrentLM, SamplingConfig, generate, lstm_gates
from foundation_seq.plotting import plot_gates, plot_states

STEPS = 400
#: Well-known given names, written down for this example.
_LIST = """
ada adam agnes alan albert alice amelia amy andrea andrew angela anna anthony arthur audrey barbara
beatrice benjamin bernard bertha brian bridget camilla carl carla carol caroline catherine cecilia
charles charlotte christina christopher clara claire claudia clement colin constance cora cornelia
daniel daphne david deborah dennis diana dominic donald dora doris dorothy edgar edith edmund edward
eleanor elena eli elias elizabeth ella ellen elsa emily emma eric erica ernest esther eugene eva
evelyn felix fiona florence frances francis frank frederick gabriel george gerald gilbert gloria
grace graham gregory hannah harold harriet harry hector helen henry herbert hilda holly howard hugh
ida ingrid irene iris isaac isabel ivan jack jacob james jane janet jasmine jason jean jeffrey
jennifer jessica joan joel john jonathan joseph joshua judith julia julian juliet june karen kate
katherine kenneth kevin laura lawrence leo leonard lewis lillian linda louis louisa lucas lucy luke
lydia mabel marcus margaret maria marianne marie marion mark martha martin mary matthew maud maurice
max michael mildred miriam monica nancy naomi natalie nathan nicholas nina noah nora norman oliver
olivia oscar oswald patricia patrick paul paula peter philip phoebe rachel ralph raymond rebecca
richard robert robin roger roland rosa rosalind rose ruth samuel sandra sarah sebastian silvia simon
sophia stella stephen susan sylvia teresa theodore thomas timothy tobias ursula valentine vera
veronica victor victoria vincent viola violet virginia walter wendy wilfred william winifred
"""
NAMES = _LIST.split()
END = 0  # before and after each name
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Endless:
    """Random names: inputs that begin with END, and targets that end with it; -1 is padding."""

    def __init__(self, rng: np.random.Generator) -> None:
        width = max(map(len, NAMES)) + 1
        self.rng = rng
        self.inputs = np.full((len(NAMES), width), END)
        self.targets = np.full((len(NAMES), width), -1)
        for row, name in enumerate(NAMES):
            ids = encode(name)
            self.inputs[row, 1 : len(ids) + 1] = ids
            self.targets[row, : len(ids) + 1] = [*ids, END]

    def __iter__(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        while True:
            rows = self.rng.integers(len(NAMES), size=32)
            yield self.inputs[rows], self.targets[rows]


def encode(name: str) -> list[int]:
    """Letters as ids from 1."""
    return [LETTERS.index(letter) + 1 for letter in name]


def loss(
    model: RecurrentLM, batch: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> tuple[Tensor, int]:
    """Cross-entropy of the next letter, padding left out."""
    inputs, targets = batch
    return F.cross_entropy(model(inputs), targets, ignore_index=-1), int((targets >= 0).sum())


def write(model: RecurrentLM, count: int, seed: int) -> list[str]:
    """New names."""
    rows = generate(
        model,
        [[END]] * count,
        15,
        SamplingConfig(temperature=0.8),
        np.random.default_rng(seed),
        stop_ids=[END],
    )
    return ["".join(LETTERS[i - 1] for i in row) for row in rows]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, write, look inside."""
    args = options("foundation_seq.examples.names", "Make up given names.", STEPS, 100).parse_args(
        argv
    )
    model = RecurrentLM(len(LETTERS) + 1, 16, 64, rng=np.random.default_rng(args.seed))
    trainer = Trainer(model, loss, Adam(model, 5e-3), clip_norm=1.0)
    history = trainer.fit(Endless(np.random.default_rng([args.seed, 1])), max_steps=args.steps)
    print(
        f"{history.steps[-1].loss:.2f} nats per letter "
        f"(guessing: {np.log(len(LETTERS) + 1):.2f})\nIt writes:\n"
    )
    names = write(model, 40, args.seed)
    print(" ".join(names))
    known = sum(name in NAMES for name in names)
    print(f"\n{known} of {len(names)} are in the list of {len(NAMES)}; the others are made up.")

    shown = NAMES[args.seed % len(NAMES) :][:5]
    text = " " + " ".join(shown)  # a space stands for END
    ids = np.array([[END if letter == " " else encode(letter)[0] for letter in text]])
    with no_grad():
        x = model.embedding(ids)
        states = model.lstm(x)[0].data[0]
    gates = lstm_gates(model.lstm, x)
    return pictures(
        args.out,
        {
            "names_states.png": lambda path: plot_states(
                states, text, path, title="What the LSTM holds while it reads names"
            ),
            "names_gates.png": lambda path: plot_gates(
                gates, text, path, title="The gates of the LSTM while it reads names"
            ),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
