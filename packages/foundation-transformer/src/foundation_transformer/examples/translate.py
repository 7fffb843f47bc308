# ruff: noqa: SIM905, T201 - words read better as text; an example prints
"""Numbers in English words become numbers in French words.

``python -m foundation_transformer.examples.translate`` trains an encoder-decoder transformer on
nine tenths of the numbers below ten thousand, translates the rest greedily and by beam search, and
leaves ``plots/translate_attention.png``. It needs no data, and there is something to learn:
"ninety seven" is "quatre vingt dix sept", four twenties ten seven.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import HeatMap, plot_attention
from foundation_nn import no_grad
from foundation_nn.lessons import answered, options, pictures
from foundation_nn.training import Progress, Trainer

from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.config import TransformerConfig
from foundation_transformer.examples._pairs import (
    BOS,
    EOS,
    FIRST,
    Pair,
    PairBatch,
    PairBatches,
)
from foundation_transformer.recipes import train_translator

ENGLISH = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
FRENCH = (
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
).split()
FRENCH_TENS = "vingt trente quarante cinquante soixante".split()


def english(n: int) -> list[str]:
    """1097 is "one thousand ninety seven"."""
    for value, word in ((1000, "thousand"), (100, "hundred")):
        if n >= value:
            return [*english(n // value), word, *(english(n % value) if n % value else [])]
    if n < 20:
        return [ENGLISH[n]]
    return [ENGLISH_TENS[n // 10 - 2], *(english(n % 10) if n % 10 else [])]


def french(n: int) -> list[str]:
    """1097 is "mille quatre vingt dix sept", and a plural has its s: "deux cents"."""
    if n >= 1000:
        many = french(n // 1000) if n >= 2000 else []
        return [*many, "mille", *(french(n % 1000) if n % 1000 else [])]
    if n >= 100:
        many = french(n // 100) if n >= 200 else []
        return [
            *many,
            "cent" if n % 100 or n < 200 else "cents",
            *(french(n % 100) if n % 100 else []),
        ]
    if n >= 80:
        return ["quatre", *(["vingt", *french(n - 80)] if n > 80 else ["vingts"])]
    if n >= 20:
        ten = min(n // 10, 6)
        rest = n - 10 * ten
        joint = ["et"] if rest in (1, 11) else []
        return [FRENCH_TENS[ten - 2], *(joint + french(rest) if rest else [])]
    return [FRENCH[n]] if n < 17 else ["dix", FRENCH[n - 10]]


class Words:
    """A tokenizer: one id for each word, after the special ones."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self.words = ["<pad>", "<bos>", "<eos>", *sorted({word for text in texts for word in text})]
        self.ids = {word: i for i, word in enumerate(self.words)}
        self.vocabulary = self
        self.specials = self
        self.bos_id, self.eos_id = BOS, EOS

    def encode(self, text: str, add_bos: bool = False, add_eos: bool = False) -> list[int]:
        """The ids of a text."""
        return [BOS] * add_bos + [self.ids[word] for word in text.split()] + [EOS] * add_eos

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return " ".join(self.words[i] for i in ids if i >= FIRST)


def train(
    seed: int, epochs: int, numbers: int = 10_000
) -> tuple[Trainer, Words, Words, list[tuple[str, str]]]:
    """A trained translator, its two tokenizers, and the numbers it has not seen."""
    rng = np.random.default_rng(seed)
    texts = [(" ".join(english(n)), " ".join(french(n))) for n in range(numbers)]
    sides = [Words(text.split() for text in side) for side in zip(*texts, strict=True)]
    order = rng.permutation(numbers).tolist()
    seen, unseen = (
        [texts[i] for i in part]
        for part in (order[: numbers * 9 // 10], order[numbers * 9 // 10 :])
    )
    pairs: list[Pair] = [(sides[0].encode(s), sides[1].encode(t)) for s, t in seen]
    config = TransformerConfig.tiny(
        vocab_size=len(sides[0].words),
        target_vocab_size=len(sides[1].words),
        max_len=16,
        d_model=64,
        d_ff=256,
    )
    model = Transformer(config, rng=rng)
    batches = PairBatches(pairs, 64, rng)
    trainer = train_translator(model, batches, epochs=epochs, rng=rng, callbacks=[Progress()])
    return trainer, sides[0], sides[1], unseen


def attention_maps(
    model: Transformer, source: Words, target: Words, pair: tuple[str, str]
) -> list[HeatMap]:
    """Where each head of the last layer looks while it writes."""
    batch = PairBatch.of([(source.encode(pair[0]), target.encode(pair[1]))])
    with no_grad(), capture_attention(model) as maps:
        model(batch.source, batch.target_in)
    keys, queries = ([*text.split(), "end"] for text in pair)
    return [HeatMap(w, keys, queries, f"head {i + 1}") for i, w in enumerate(maps[-1].weights[0])]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, translate, draw."""
    parser = options(
        "foundation_transformer.examples.translate",
        "Translate numbers from English to French.",
        8,
        quick=1,
        unit="epochs",
        of="how often each number is seen",
    )
    args = parser.parse_args(argv)
    trainer, source, target, unseen = train(args.seed, args.epochs)
    model: Transformer = trainer.model  # type: ignore[assignment]
    texts, references = zip(*unseen, strict=True)
    print()
    for name, beam_size in (("greedily", 1), ("with a beam of 4", 4)):
        found = translate(model, texts, source, target, beam_size=beam_size)
        right = sum(f == r for f, r in zip(found, references, strict=True))
        print(f"Translated {name}: {right:,} of {len(texts):,} unseen numbers are right.")
    for text, translation, reference in zip(texts[:5], found, references, strict=False):
        print(answered(text, translation, reference))
    longest = max(unseen, key=lambda pair: len(pair[1].split()))
    return pictures(
        args.out,
        {
            "translate_attention.png": lambda path: plot_attention(
                attention_maps(model, source, target, longest),
                path,
                title="Where the heads of the last layer look as they translate",
            )
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
