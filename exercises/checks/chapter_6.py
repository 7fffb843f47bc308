"""Chapter 6: data."""

from __future__ import annotations

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_data import Vocabulary, collate

SPECIALS = ["<pad>", "<bos>", "<eos>", "<unk>"]


def vocabulary(work: Work, step: Steps) -> None:
    texts = ["the dog sat", "the cat sat", "the cat ran away"]  # the 3, cat 2, sat 2, others 1
    right = [*SPECIALS, "the", "cat", "sat", "away", "dog", "ran"]
    step.same(
        "three sentences: the occurs 3 times, cat and sat twice",
        work.build(texts, 100),
        right,
        "The special tokens, then the words by falling frequency, equal ones by the alphabet.",
        {
            "The special tokens are missing in front.": right[4:],
            "Equally frequent words stand in the order in which they were met. Sort them, so that "
            "the list does not depend on the order of the texts.": [
                *SPECIALS,
                *["the", "sat", "cat", "dog", "ran", "away"],
            ],
            "The words are in alphabetical order. Frequent ones come first.": [
                *SPECIALS,
                *["away", "cat", "dog", "ran", "sat", "the"],
            ],
            "Rare words stand in front. Sort by falling frequency, by -counts[word].": [
                *SPECIALS,
                *["away", "dog", "ran", "cat", "sat", "the"],
            ],
        },
    )
    step.same(
        "a list of six places",
        work.build(texts, 6),
        [*SPECIALS, "the", "cat"],
        "size counts all places, so there is room for two words.",
        {
            "size counts the special tokens, too, so that two words have room.": [
                *SPECIALS,
                *["the", "cat", "sat", "away", "dog", "ran"],
            ],
        },
    )
    step.same(
        "the ids of a text",
        work.encode("the cat sat", right),
        [4, 5, 6],
        "The id of a word is its place in the list.",
    )
    step.same(
        "a word that is not in the list",
        work.encode("the bird sat", right),
        [4, 3, 6],
        "An unknown word gets the id 3.",
        {"The unknown word was left out. It gets the id 3.": [4, 6]},
    )
    twin = Vocabulary.build([text.split() for text in texts])
    step.same(
        "as foundation_data.Vocabulary builds it",
        work.build(texts, 100),
        list(twin.tokens),
        "The same tokens in the same order.",
    )


def byte_pairs(work: Work, step: Steps) -> None:
    step.same(
        "l·o and o·w stand together twice in low and lowest, all other pairs once",
        work.commonest_pair({tuple("low"): 1, tuple("lowest"): 1}),
        ("l", "o"),
        "Of l·o and o·w, both of them twice, the first in the alphabet.",
        {"Of equally frequent pairs the first in the alphabet is taken.": ("o", "w")},
    )
    step.same(
        "a·b stands in one word that occurs five times, c·d in two that occur once",
        work.commonest_pair({("a", "b"): 5, ("c", "d"): 1, ("c", "d", "e"): 1}),
        ("a", "b"),
        "A pair counts as often as the words it stands in: counts[pair] += count.",
        {
            "Each word was counted once. A pair counts as often as its word occurs.": ("c", "d"),
        },
    )
    step.same(
        "e·s twice within one word",
        work.commonest_pair({tuple("eses"): 1, tuple("es"): 1, tuple("se"): 1}),
        ("e", "s"),
        "e·s stands together three times, s·e twice.",
    )
    step.same(
        "merging o·w in l·o·w·e·r",
        work.merge(tuple("lower"), ("o", "w")),
        ("l", "ow", "e", "r"),
        "The two pieces become one, the others stay.",
        {
            "Nothing was merged.": tuple("lower"),
            "The second piece of the pair is still there. Go on behind both.": ("l", "ow", *"wer"),
        },
    )
    step.same(
        "merging a·a in a·a·a: from left to right",
        work.merge(tuple("aaa"), ("a", "a")),
        ("aa", "a"),
        "A piece that was merged is used up. Go on behind it.",
        {
            "The middle a was used twice. Go on behind both pieces of a pair.": ("aa", "aa"),
            "What was merged must not be merged with its neighbour at once: only aa·a is left of "
            "a·a·a.": ("aaa",),
        },
    )
    step.same(
        "a pair of longer pieces, twice in a word",
        work.merge(("lo", "w", "lo", "w", "s"), ("lo", "w")),
        ("low", "low", "s"),
        "Every occurrence is merged, also the second.",
        {"Only the first occurrence was merged.": ("low", "lo", "w", "s")},
    )
    words = {tuple("lower"): 1, tuple("lowest"): 1, tuple("newest"): 1, tuple("low"): 1}
    merges = []
    for _ in range(4):
        pair = work.commonest_pair(words)
        merges.append(pair)
        words = {work.merge(pieces, pair): count for pieces, count in words.items()}
    step.same(
        "four merges of lower, lowest, newest and low find the stem low and the ending est",
        merges,
        [("l", "o"), ("lo", "w"), ("e", "s"), ("es", "t")],
        "Look at which merge is the first to differ.",
    )


def padding(work: Work, step: Steps) -> None:
    sentences = [[7, 8, 9], [5]]
    returned = work.pad(sentences, 0)
    step.holds(
        "it returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "The ids and the mask: return ids, mask.",
    )
    ids, mask = returned
    step.same(
        "a sentence of three words and one of one word",
        ids,
        [[7, 8, 9], [5, 0, 0]],
        "The longest has three, so the array is (2, 3); the second row is filled with 0.",
        {"The padding stands in front. Here it stands behind.": [[7, 8, 9], [0, 0, 5]]},
    )
    real = np.array([[True, True, True], [True, False, False]])
    step.same(
        "the mask of the same two",
        mask,
        real,
        "True for the first len(sentence) positions of each row.",
        {"The mask is the wrong way round: True means that a position is real.": ~real},
    )
    step.holds(
        "the mask is boolean",
        np.asarray(mask).dtype == bool,
        "dtype=bool. Masks of 0 and 1 are refused by the layers.",
        came=f"dtype {np.asarray(mask).dtype}",
    )
    step.same(
        "a sentence in which the id of padding is a word",
        work.pad([[0, 4], [4, 0, 4]], 0)[1],
        [[True, True, False], [True, True, True]],
        "A position is real if it lies within the length of its sentence.",
        {
            "The mask was made by comparing ids with pad_id. An id may occur in the text, so make "
            "it from the lengths.": [[False, True, False], [True, False, True]]
        },
    )
    step.same(
        "another id for padding",
        work.pad(sentences, 99)[0],
        [[7, 8, 9], [5, 99, 99]],
        "Fill with pad_id: np.full(shape, pad_id).",
        {"The array is filled with zeros; fill it with pad_id.": [[7, 8, 9], [5, 0, 0]]},
    )
    examples = [(np.array(s), np.array([1]), np.array([2])) for s in sentences]
    batch = collate(examples, pad_id=0)  # type: ignore[arg-type]
    step.same(
        "as foundation_data.collate pads it",
        work.pad(sentences, 0),
        (batch.source, batch.source_mask),
        "The same rectangle and the same mask.",
    )


def batches(work: Work, step: Steps) -> None:
    lengths = [9, 2, 8, 1, 5]
    came = work.make_batches(lengths, 2, np.random.default_rng(0))
    together = [int(i) for batch in came for i in batch]
    step.same(
        "every sentence occurs once",
        sorted(together),
        [0, 1, 2, 3, 4],
        "Cut the whole list, also what is left at its end.",
        {"The last, smaller batch was dropped. Its sentences would never be read.": [1, 2, 3, 4]},
    )
    step.same(
        "sentences of similar length stand together",
        sorted(sorted(int(i) for i in batch) for batch in came),
        [[0], [1, 3], [2, 4]],
        "From the shortest to the longest the sentences are 3, 1, 4, 2, 0.",
        {
            "The sentences were cut in the order in which they came. Sort them by length first.": [
                [0, 1],
                [2, 3],
                [4],
            ],
            "The longest come first here, so that the shortest is alone. Sort from the shortest "
            "to the longest.": [[0, 2], [1, 4], [3]],
        },
    )
    many = np.random.default_rng(1).integers(1, 50, size=101)
    once = work.make_batches(many, 8, np.random.default_rng(2))
    widths = [max(int(many[i]) for i in batch) for batch in once]
    step.holds(
        "the batches come in random order",
        widths != sorted(widths) and widths != sorted(widths, reverse=True),
        "Shuffle the batches behind the cutting: batches[i] for i in rng.permutation(...).",
        came=f"longest sentence of each batch: {widths}",
    )
    again = work.make_batches(many, 8, np.random.default_rng(2))
    step.holds(
        "the same generator gives the same batches",
        [list(map(int, b)) for b in once] == [list(map(int, b)) for b in again],
        "All chance comes from the rng that is passed in, and not from np.random or random.",
    )
    real = int(many.sum())
    padded = sum(len(batch) * max(int(many[i]) for i in batch) for batch in once)
    step.holds(
        "less than a tenth of the positions is padding",
        padded < 1.1 * real,
        "Sort by length before the list is cut.",
        came=f"{padded} positions for {real} words",
    )


def windows(work: Work, step: Steps) -> None:
    text = np.array([3, 1, 4, 1, 5, 9, 2])
    returned = work.windows(text, 3)
    step.holds(
        "it returns two arrays",
        isinstance(returned, tuple) and len(returned) == 2,
        "return inputs, targets.",
    )
    inputs, targets = returned
    step.same(
        "seven tokens in windows of three: what is read",
        inputs,
        [[3, 1, 4], [1, 5, 9]],
        "Two windows need 2 · 3 + 1 tokens.",
        {"The windows overlap. The second begins where the first ends.": [[3, 1, 4], [1, 4, 1]]},
    )
    right = [[1, 4, 1], [5, 9, 2]]
    step.same(
        "what comes next",
        targets,
        right,
        "The same windows, one token later: ids[1 : ...].",
        {
            "These are the inputs. A model would learn to repeat what it reads.": inputs,
            "The targets were shifted within each window, so that the last of a window is "
            "wrong. Shift the text before it is cut.": [[1, 4, 3], [5, 9, 1]],
        },
    )
    step.same(
        "six tokens: the second window has no target for its last token",
        work.windows(text[:6], 3),
        ([[3, 1, 4]], [[1, 4, 1]]),
        "Only one window fits: (6 - 1) // 3.",
    )
    long = np.arange(100)
    inputs, targets = work.windows(long, 7)
    step.same(
        "a hundred numbers in a row: every target is one more than its input",
        targets,
        np.asarray(inputs) + 1,
        "Cut ids[:n] and ids[1 : n + 1] in the same way.",
    )
    step.same(
        "nothing is lost between two windows",
        np.ravel(inputs),
        np.arange(98),
        "The windows lie side by side: 14 of them, 98 tokens.",
    )
