# ruff: noqa: T201 - an example prints
"""From raw lines to masked batches, one step after another.

``python -m foundation_data.examples.pipeline [FILE]`` takes any file that `read_pairs` can read;
without one, the emoji names in English and French, or dates if the package ``emoji`` is missing. It
leaves three pictures in ``plots/``: the coverage of the vocabulary, padding before and after
sorting by length, and the masks of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from foundation_nn.lessons import options, pictures, whole_number

from foundation_data import (
    Batch,
    BatchLoader,
    TextDataset,
    TranslationDataset,
    Vocabulary,
    WordTokenizer,
    corpora,
    read_pairs,
    split_pairs,
    tasks,
)
from foundation_data.plotting import MaskMap, plot_coverage, plot_masks, plot_padding

Pairs = list[tuple[str, str]]


def raw_pairs(path: Path | None, seed: int) -> Pairs:
    """The pairs of a file, or of the best corpus that is here."""
    if path is not None:
        pairs = read_pairs(path)
        print(pairs.report)
        return pairs
    try:
        pairs = corpora.emoji_pairs("en", "fr")
    except ModuleNotFoundError as error:
        print(f"({error}; dates will do)")
        return tasks.date_task(np.random.default_rng(seed), 5000)
    print(pairs.report)
    return pairs


def show_tokens(pairs: Pairs, tokenizers: tuple[WordTokenizer, WordTokenizer]) -> None:
    """A pair of median length as tokens and as ids."""
    by_length = sorted(pairs, key=lambda pair: len(pair[0]))
    median_pair = by_length[len(pairs) // 2]
    for text, tokenizer in zip(median_pair, tokenizers, strict=True):
        print(f"   {text!r}\n     {tokenizer.tokenize(text)}\n     {tokenizer.encode(text)}")


def show_coverage(vocabulary: Vocabulary) -> None:
    """What share of the text a smaller vocabulary would cover."""
    sizes = [size for size in (100, 1000, 4000, 10_000) if size < len(vocabulary)]
    shares = "".join(f", {vocabulary.coverage(size):.1%} by the first {size:,}" for size in sizes)
    print(f"   {len(vocabulary):,} entries; the text is covered{shares.removeprefix(',')}")


def padding(batches: Sequence[Batch]) -> float:
    """The share of all positions that is padding."""
    sizes = [batch.source.size + batch.target_in.size for batch in batches]
    return float(np.average([batch.padding for batch in batches], weights=sizes))


def mask_maps(
    dataset: TranslationDataset, tokenizers: tuple[WordTokenizer, WordTokenizer]
) -> list[MaskMap]:
    """The masks of a short pair beside a longer one, so that there is padding to be seen."""
    lengths = dataset.lengths.max(axis=1)
    short = int(np.abs(lengths - 5).argmin())
    long = int(np.abs(lengths - 8).argmin())
    batch = dataset.batch([short, long])
    source_vocabulary = tokenizers[0].vocabulary
    target_vocabulary = tokenizers[1].vocabulary
    source = source_vocabulary.to_tokens(batch.source[0])
    target = target_vocabulary.to_tokens(batch.target_in[0])
    cross_mask = np.broadcast_to(batch.source_mask[0], (len(target), len(source)))
    documents = [
        [*dataset[index].target_in.tolist(), dataset.specials.eos_id] for index in (short, long)
    ]
    num_tokens = sum(map(len, documents))
    packed = TextDataset.from_ids(documents, num_tokens, pack=True).batch([0])
    packed_tokens = target_vocabulary.to_tokens(packed.ids[0])
    return [
        MaskMap(cross_mask, source, target, "target attends to source, not to padding"),
        MaskMap(batch.target_pattern[0], target, target, "target attends to itself, not ahead"),
        MaskMap(packed.mask[0], packed_tokens, packed_tokens, "packed documents, each to itself"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Read, cut, count, split, batch, draw."""
    parser = options(
        "foundation_data.examples.pipeline",
        "From raw lines to masked batches.",
        100_000,
        quick=1000,
        unit="pairs",
        of="how many of the pairs at most",
    )
    parser.add_argument("file", nargs="?", type=Path, help="pairs: .tsv, .csv, .jsonl, .zip or .gz")
    parser.add_argument(
        "--max-tokens",
        type=whole_number(1),
        default=4000,
        metavar="N",
        help="positions of a batch (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    try:
        print("1. Raw lines")
        pairs = raw_pairs(args.file, args.seed)[: args.pairs]

        print("\n2. Split: by a hash of the source, so that no source is in two parts")
        training, validation, test = split_pairs(pairs)
        print(
            f"   {len(training):,} to train, {len(validation):,} to validate, {len(test):,} to test"
        )

        print("\n3. Tokens")
        source_tokenizer = WordTokenizer.train(source for source, _ in training)
        target_tokenizer = WordTokenizer.train(target for _, target in training)
        tokenizers = (source_tokenizer, target_tokenizer)
        show_tokens(training, tokenizers)

        print("\n4. Vocabulary, of what is to be trained on alone")
        vocabularies = {
            "source": source_tokenizer.vocabulary,
            "target": target_tokenizer.vocabulary,
        }
        for side, tokenizer in enumerate(tokenizers):
            show_coverage(tokenizer.vocabulary)
            if validation:
                unknown = tokenizer.unknown_rate(pair[side] for pair in validation)
                print(f"     of the validation part, {unknown:.1%} of the tokens are unknown")

        print(f"\n5. Batches of at most {args.max_tokens:,} positions a side")
        dataset = TranslationDataset(training, *tokenizers)
        kinds = {
            "as they come": list(BatchLoader(dataset, max_tokens=args.max_tokens, bucket=False)),
            "similar lengths together": list(
                BatchLoader(dataset, max_tokens=args.max_tokens, bucket=True)
            ),
        }
        for name, batches in kinds.items():
            print(f"   {name}: {len(batches)} batches, {padding(batches):.1%} padding")
    except (OSError, ValueError) as error:
        parser.exit(1, f"pipeline: {error}\n")

    print("\n6. Pictures of the vocabularies, the padding and the masks")
    some = {name: list(islice(batches, 8)) for name, batches in kinds.items()}
    return pictures(
        args.out,
        {
            "coverage.png": lambda path: plot_coverage(
                vocabularies, path, title="How many words does a text need?"
            ),
            "padding.png": lambda path: plot_padding(
                some, path, title="Sentences of one batch have one width"
            ),
            "masks.png": lambda path: plot_masks(
                mask_maps(dataset, tokenizers), path, title="Which token may attend to which"
            ),
        },
    )


if __name__ == "__main__":
    raise SystemExit(main())
