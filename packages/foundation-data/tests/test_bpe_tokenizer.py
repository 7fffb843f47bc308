"""Byte-level BPE: what is learnt, what is encoded, and that nothing is lost."""

import codecs
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    SpecialTokens,
    Tokenizer,
    Vocabulary,
    WordPieceTokenizer,
    WordTokenizer,
    load_tokenizer,
)
from foundation_data.tokenizers._added_tokens import AddedToken, TokenFinder
from foundation_data.tokenizers.pipeline._byte_alphabet import ALPHABET, BYTE_TO_CHARACTER
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import ByteLevel, Digits, Split
from foundation_data.tokenizers.subwords import _plain_bpe
from foundation_data.tokenizers.subwords._apply_merges import apply_merges
from foundation_data.tokenizers.subwords._learn_merges import (
    MAX_SYMBOLS,
    PairIndex,
    changed_pairs,
    learn_merges,
)
from foundation_data.tokenizers.subwords._subword_tokenizer import PieceCache
from hypothesis import given
from hypothesis import strategies as st
from many_scripts import CORPUS

TOKENIZER = BPETokenizer.train(CORPUS, max_size=600)
any_text = st.text(st.characters(codec=None, exclude_categories=[]))


NO_CUT = (ByteLevel(words=False),)


def plain(merges: list[tuple[str, str]], steps: Any = NO_CUT) -> BPETokenizer:
    """A tokenizer with the bytes and these merges."""
    names = [*SpecialTokens().tokens, *ALPHABET]
    names += dict.fromkeys(a + b for a, b in merges if a + b not in names)
    vocabulary = Vocabulary(tuple(names), (0,) * len(names), 0)
    return BPETokenizer(vocabulary, merges, Pipeline(steps=steps))


def test_the_alphabet_of_bytes() -> None:
    assert len(ALPHABET) == len(set(BYTE_TO_CHARACTER.values())) == 256
    assert [BYTE_TO_CHARACTER[byte] for byte in (0, 9, 10, 32, 33, 126, 127, 128, 173, 255)] == [
        *("Ā", "ĉ", "Ċ", "Ġ", "!", "~", "ġ", "Ģ", "Ń", "ÿ")
    ]


def test_merges_by_hand() -> None:
    # low, Ġlower, Ġlowest and Ġslow, once each. "lo" and "ow" are seen four times and the id of
    # "l" is smaller; then "low"; then "Ġ low" and "low e" twice each: a byte before a merge.
    tokenizer = BPETokenizer.train(["low lower lowest slow"], max_size=265)
    assert tokenizer.merges == (("l", "o"), ("lo", "w"), ("Ġ", "low"), ("Ġlow", "e"))
    assert tokenizer.vocabulary.tokens[260:] == ("lo", "low", "Ġlow", "Ġlowe")
    assert len(tokenizer) == 264  # nothing else is seen twice
    assert tokenizer.vocabulary.tokens[4] == "!"
    assert tokenizer.encode("low lower!") == [261, 263, tokenizer.encode("r")[0], 4]
    assert tokenizer.encode("low", add_bos=True, add_eos=True) == [1, 261, 2]
    assert tokenizer.decode([1, 261, 263, 2, 0]) == "low lowe"


def test_min_freq_and_max_size() -> None:
    assert BPETokenizer.train(["ab ab ab cd"], min_freq=3).merges == (("a", "b"),)
    assert BPETokenizer.train(["ab"], min_freq=2).merges == ()
    assert BPETokenizer.train(["ab"], min_freq=1).merges == (("a", "b"),)
    assert len(BPETokenizer.train(CORPUS, min_freq=1, max_size=300)) == 300
    unbounded = BPETokenizer.train(["ab " * 3], min_freq=1, max_size=None)
    assert unbounded.merges == (("a", "b"), ("Ġ", "ab"))


def test_a_subclass_trains_itself(tmp_path: Path) -> None:
    for base in (BPETokenizer, WordPieceTokenizer, WordTokenizer, CharTokenizer):
        mine = type("Mine", (base,), {"__slots__": ()})
        trained = mine.train(["low lower"])
        assert type(trained) is mine
        assert trained.encode("low") == base.train(["low lower"]).encode("low")
        trained.save(tmp_path / "tokenizer.json")
        assert mine.load(tmp_path / "tokenizer.json") == trained
        assert type(Tokenizer.load(tmp_path / "tokenizer.json")) is base
        with pytest.raises(TypeError, match=r"Mine\.train: expected a list of texts"):
            mine.train("low")
        with pytest.raises(ValueError, match=r"Mine\.train: expected at least one text"):
            mine.train([])


words = st.dictionaries(st.text("abc", min_size=1, max_size=12), st.integers(1, 3), max_size=12)


def test_plain_training_by_hand() -> None:
    # "lo" and "ow" are seen four times, and the byte of "l" is smaller. Then "low" is seen four
    # times, then " low" and "low e" twice, and the byte of the space is smaller than 257.
    merges = _plain_bpe.train("low lower lowest slow", 9)
    assert merges == {(108, 111): 256, (256, 119): 257, (32, 257): 258, (258, 101): 259}
    assert _plain_bpe.train("low lower lowest slow", 2) == {(108, 111): 256, (256, 119): 257}
    assert _plain_bpe.train("", 9) == _plain_bpe.train("abc", 9) == {}
    assert _plain_bpe.train("aaaa", 9) == {(97, 97): 256}  # then "aa" stands beside "aa" once
    assert _plain_bpe.encode("slow  é", merges) == [115, 257, 32, 32, 195, 169]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text("ab \n"))
def test_plain_encoding_loses_nothing(text: str, other: str) -> None:
    merges = _plain_bpe.train(other + text, 20)
    for each in (text, other):
        assert _plain_bpe.decode(_plain_bpe.encode(each, merges), merges) == each
    assert "".join(_plain_bpe.cut(text)) == text


@given(words, st.integers(0, 30))
def test_fast_merges_are_the_plain_ones(words: dict[str, int], number_of_merges: int) -> None:
    plain_merges = _plain_bpe.train(
        "".join(f" {word}" * words[word] for word in words), number_of_merges
    )
    as_ids = {f" {word}": count for word, count in words.items()}  # of ASCII: chr(byte) for each
    last = 256 + number_of_merges
    learnt = learn_merges(as_ids, first_new_id=256, max_size=last, min_freq=2)
    assert learnt == list(plain_merges)
    shuffled = dict(random.Random(0).sample(list(as_ids.items()), len(as_ids)))
    assert learn_merges(shuffled, first_new_id=256, max_size=last, min_freq=2) == learnt
    # No stretch of letters is made in two ways, so every merge is a token of its own.
    made = [_plain_bpe.decode([new_id], plain_merges) for new_id in plain_merges.values()]
    assert len(set(made)) == len(made)
    # The fast encoding of the words is the plain one.
    ranks = {pair: rank for rank, pair in enumerate(learnt)}
    new_ids = list(plain_merges.values())
    for word in as_ids:
        expected = _plain_bpe.encode(word, plain_merges)
        assert apply_merges(list(word.encode()), ranks, new_ids) == expected


def test_the_tokenizer_finds_the_tokens_of_the_plain_algorithm() -> None:
    # Of equally common pairs the one with the smaller ids is merged. The id of the space is larger
    # than those of the letters in the tokenizer, and smaller here. In this text it does not matter.
    text = "low lower lowest slow"
    plain_merges = _plain_bpe.train(text, 99)
    tokenizer = BPETokenizer.train([text])
    for (first, second), new_id in zip(tokenizer.merges, plain_merges.values(), strict=True):
        assert tokenizer.detokenize([first, second]) == _plain_bpe.decode([new_id], plain_merges)
    for other in (text, "slower, lowest:  a slow low"):
        plain_ids = _plain_bpe.encode(other, plain_merges)
        plain_tokens = [_plain_bpe.decode([token], plain_merges) for token in plain_ids]
        assert [tokenizer.decode([token]) for token in tokenizer.encode(other)] == plain_tokens


@given(words)
def test_the_index_is_what_counting_anew_gives(words: dict[str, int]) -> None:
    index = PairIndex(words)
    for merged in "ABCDEF":
        pair = index.pop_commonest(1)
        if pair is None:
            break
        index.merge(pair, merged)
        counts: Counter[str] = Counter()
        for word, frequency in zip(index.words, index.frequencies, strict=True):
            for first, second in pairwise(word):
                counts[first + second] += frequency
        assert {pair: count for pair, count in index.counts.items() if count} == counts
        for other in counts:
            holders = {place for place, word in enumerate(index.words) if other in word}
            assert holders <= index.holders[other]
        promised = {pair: -negative for negative, pair in index.heap}
        assert all(count <= promised[pair] for pair, count in counts.items())
        assert len(promised) == len(index.heap)


def test_the_pairs_that_a_merge_changes() -> None:
    assert changed_pairs("A", "es", "A") == []
    assert changed_pairs("xA", "es", "A") == [("xe", "xA")]
    assert changed_pairs("Ax", "es", "A") == [("sx", "Ax")]
    # eeeee becomes AAe: the pair itself is an old neighbour.
    assert changed_pairs("AAe", "ee", "A") == [("ee", "AA"), ("ee", "Ae")]


tables = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)), unique=True, max_size=20
).flatmap(
    lambda pairs: st.permutations(range(len(pairs))).flatmap(
        lambda ranks: st.tuples(*(st.integers(2, 6) for _ in pairs)).map(
            lambda new_ids: (dict(zip(pairs, ranks, strict=True)), new_ids)
        )
    )
)


def merged_by_definition(
    symbols: list[int], ranks: dict[tuple[int, int], int], new_ids: list[int]
) -> list[int]:
    """Join the leftmost pair of the lowest rank until there is none."""
    symbols = list(symbols)
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(pairwise(symbols)) if pair in ranks]
        if not found:
            return symbols
        rank, i = min(found)
        symbols[i : i + 2] = [new_ids[rank]]


@given(st.lists(st.integers(0, 3), max_size=40), tables)
def test_merging_against_the_definition(symbols: list[int], table: Any) -> None:
    ranks, new_ids = table
    expected = merged_by_definition(symbols, ranks, new_ids)
    assert apply_merges(symbols, ranks, new_ids) == expected


def test_the_leftmost_of_overlapping_pairs() -> None:
    # The pair of twos that merging makes lies left of the one that was there before.
    assert apply_merges([0, 1, 2, 2], {(0, 1): 0, (2, 2): 1}, [2, 5]) == [5, 2]


def test_added_tokens_by_hand() -> None:
    finder = TokenFinder([AddedToken("<a>"), AddedToken("<a>b"), AddedToken("<c>", rstrip=True)])
    assert finder.split("x<a>b<a>c <c> \n<a") == [
        *(("x", "<a>b"), ("", "<a>"), ("c ", "<c>"), ("<a", None))
    ]
    assert TokenFinder([]).split("<a>") == [("<a>", None)]
    # White space beside a token belongs to it, once; a token of white space may lie in it.
    finder = TokenFinder(
        [AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True), AddedToken("  ")]
    )
    assert finder.split("a \t<l> <r>  b  c<r> <l>") == [
        *(("a", "<l>"), (" ", "<r>"), ("b", "  "), ("c", "<r>"), ("", "<l>"), ("", None))
    ]


def test_much_white_space_before_no_token() -> None:
    finder = TokenFinder([AddedToken("<mask>", lstrip=True)])
    text = " " * 1_000_000 + "x"
    assert finder.split(text) == [(text, None)]


def test_the_same_merges_whatever_the_hash_seed() -> None:
    code = (
        "from foundation_data import BPETokenizer; from many_scripts import CORPUS; import hashlib;"
        "merges = BPETokenizer.train(CORPUS, max_size=700).merges;"
        "print(hashlib.sha256(repr(merges).encode()).hexdigest())"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    digests = set()
    for seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1


LOSSLESS = {
    "trained": TOKENIZER,
    "bytes alone": plain([]),
    "no cut": plain([("a", "a"), ("aa", "aa"), ("Ġ", "Ġ")]),
    "digits": plain([("1", "2")], (Digits(individual=True), ByteLevel())),
    "split": plain([], (Split(r"\p{L}+| ?\p{P}", "MergedWithNext"), ByteLevel(words=False))),
}


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=any_text)
def test_any_text_comes_back(name: str, text: str) -> None:
    tokenizer = LOSSLESS[name]
    ids = tokenizer.encode(text, add_bos=True, add_eos=True)
    assert tokenizer.decode(ids) == text
    assert tokenizer.detokenize(tokenizer.tokenize(text)) == text
    assert tokenizer.normalize(text) == text


@given(st.binary())
def test_any_bytes_come_back(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")  # as Python reads file names and arguments
    back = TOKENIZER.decode(TOKENIZER.encode(text))
    assert back.encode("utf-8", "surrogateescape") == data


@given(st.lists(st.integers(0, len(TOKENIZER) - 1)))
def test_any_ids_give_text(ids: list[int]) -> None:
    assert isinstance(TOKENIZER.decode(ids), str)
    audible = b"".join(TOKENIZER.decode_bytes([index]) for index in ids)
    assert TOKENIZER.decode_bytes(ids) == audible


@pytest.mark.parametrize("text", CORPUS)
def test_every_script_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    ids = TOKENIZER.encode("é")
    half = plain([]).encode("é")[:1]
    assert plain([]).decode(half) == "\ufffd"
    assert TOKENIZER.decode(ids) == "é"


def test_text_that_arrives_in_parts() -> None:
    tokenizer = plain([])
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts = [decoder.decode(tokenizer.decode_bytes([i])) for i in tokenizer.encode("aé👍")]
    assert parts == ["a", "", "é", "", "", "", "👍"]


def test_special_tokens_in_a_text_are_text_unless_allowed() -> None:
    text = "a<eos>b <pad>"
    ids = TOKENIZER.encode(text)
    assert min(ids) >= 4
    assert TOKENIZER.decode(ids) == text
    allowed = TOKENIZER.encode(text, allow_special=True)
    assert allowed == [*TOKENIZER.encode("a"), 2, *TOKENIZER.encode("b "), 0]
    assert TOKENIZER.decode(allowed) == "ab "


def test_no_merge_makes_a_special_token() -> None:
    # In training ...
    for trained in (
        BPETokenizer.train(["<eos> <eos><eos> <pad>"] * 9),
        BPETokenizer.train(["<eos> <eos><eos> <pad>"] * 9, lossless=False),
        WordPieceTokenizer.train(["[PAD] [PAD][PAD] [MASK]"] * 9, lowercase=False),
    ):
        assert max(map(len, trained.vocabulary.tokens[5:])) < len("<eos>")
        assert min(trained.encode("<eos>[PAD]")) >= 1
        assert not set(trained.tokenize("<eos>[PAD]")) & {"<eos>", "[PAD]"}
    # ... and in a file that has such a merge.
    tokenizer = plain([("<", "e"), ("o", "s"), ("<e", "os"), ("<eos", ">")])
    assert tokenizer.tokenize("<eos>") == ["<eos", ">"]
    assert tokenizer.encode("<eos>", allow_special=True) == [2]
    ignoring = BPETokenizer(
        tokenizer.vocabulary, tokenizer.merges, tokenizer.pipeline, ignore_merges=True
    )
    assert ignoring.tokenize("<eos>") == ["<eos", ">"]


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "ab" * 100_000, " " * 300_000, "\0" * 100_000, "👍" * 30_000]
)
def test_long_pieces(text: str) -> None:
    tokenizer = BPETokenizer.train([text])
    for each in (tokenizer, TOKENIZER):
        assert each.decode(each.encode(text)) == text
    assert len(tokenizer.encode(text)) <= len(text) / 250


def test_a_long_line() -> None:
    rng = random.Random(0)
    line = "".join(rng.choices("abcdefgh", k=200_000))
    tokenizer = BPETokenizer.train([line], max_size=500)
    assert len(tokenizer) == 500
    assert tokenizer.decode(tokenizer.encode(line)) == line


def test_the_cache_is_bounded() -> None:
    cache = PieceCache(lambda piece: [len(piece)])
    assert [cache[str(number)] for number in (7, 7, 12)] == [[1], [1], [2]]
    assert set(cache) == {"7", "12"}
    assert cache["x" * 100] == [100]
    for number in range(PieceCache.SIZE + 10):
        assert cache[f"{number}"] == [len(f"{number}")]
    assert len(cache) == PieceCache.SIZE


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    for loaded in (BPETokenizer.load(path), Tokenizer.load(path), load_tokenizer(tmp_path)):
        assert type(loaded) is BPETokenizer
        assert loaded == TOKENIZER
        assert loaded.encode(CORPUS[-1]) == TOKENIZER.encode(CORPUS[-1])
    assert Tokenizer.from_dict(json.loads(json.dumps(TOKENIZER.to_dict()))) == TOKENIZER
    assert plain([]) != TOKENIZER
    other = SpecialTokens(pad_id=3, unk_id=0)
    names = ("<unk>", "<bos>", "<eos>", "<pad>", *ALPHABET)
    odd = BPETokenizer(Vocabulary(names, (0,) * len(names), 0, other), [], plain([]).pipeline)
    odd.save(path)
    assert Tokenizer.load(path).vocabulary.specials == other
    assert repr(TOKENIZER) == "BPETokenizer(V=600)"


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    whole = path.read_text(encoding="utf-8")
    for old, new in {
        '"use_regex": true': '"use_regex": false',
        '"eos_id": 2': '"eos_id": 1',
        '"foundation-data": {': '"foundation-data": [], "mine": {',
    }.items():
        assert old in whole
        path.write_text(whole.replace(old, new), encoding="utf-8")
        with pytest.raises(ValueError, match=r"tokenizer\.json: .* altered after it was saved"):
            Tokenizer.load(path)
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json: not valid JSON"):
        Tokenizer.load(path)


def edited(edit: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A file of another program, changed by hand."""
    document: dict[str, Any] = json.loads(json.dumps(TOKENIZER.to_dict()["tokenizer"]))
    edit(document)
    return document


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["model"]["merges"].insert(3, "zz top"), r"merges\[3\]: 'zz' and 'top' make"),
        (lambda d: d["model"]["merges"].insert(0, "zz"), r"merges\[0\]: expected two tokens, got"),
        (lambda d: d["model"]["merges"].insert(0, [1, 2]), r"merges\[0\]: expected two tokens"),
        (
            lambda d: d["model"]["vocab"].update({"!": 5}),
            "each for one token, got 5 for '\"' and for '!'",
        ),
        (lambda d: d["model"]["vocab"].update({"new": 9999}), "the ids 0 to 600.* 9999 for 'new'"),
        (lambda d: d["model"]["vocab"].pop("!"), "the ids 0 to 598, each for one token, got 599"),
        (lambda d: d["model"].pop("vocab"), "BPETokenizer: malformed content: 'vocab' is missing"),
        (lambda d: d["model"].pop("merges"), "malformed content: 'merges' is missing"),
        (lambda d: d["model"].update(dropout=0.1), "dropout: expected null or 0.0, got 0.1"),
        (lambda d: d["model"].update(byte_fallback=True), "byte_fallback: not supported where all"),
        (lambda d: d["model"].update(end_of_word_suffix="</w>"), "end_of_word_suffix.*'</w>'"),
        (lambda d: d["model"].update(unk_token="<none>"), "unk_token: '<none>' is not in the voc"),
        (lambda d: d.update(pre_tokenizer=None), "decoder: expected Sequence, .* 'ByteLevel'"),
        (
            lambda d: d.update(pre_tokenizer={"type": "CharDelimiterSplit"}),
            "'CharDelimiterSplit', which is",
        ),
        (lambda d: d.update(pre_tokenizer={"kind": 1}), "pre_tokenizer: 'type' is missing"),
        (
            lambda d: d.update(
                pre_tokenizer={"type": "Split", "pattern": {"Regex": r"\p{Klingon}"}}
                | {"behavior": "Isolated", "invert": False}
            ),
            r"cannot read the pattern '\\\\p\{Klingon\}'",
        ),
        (
            lambda d: d.update(normalizer={"type": "ByteLevel"}),
            "normalizer: expected .* 'ByteLevel'",
        ),
        (lambda d: d.update(normalizer={}), "normalizer: 'type' is missing"),
        (lambda d: d["added_tokens"][0].update(single_word=True), "'<pad>' asks for single_word"),
        (lambda d: d["added_tokens"][0].pop("lstrip"), "added_tokens: 'lstrip' is missing"),
        (lambda d: d["added_tokens"][0].update(content=""), "expected a non-empty content"),
        (lambda d: d["added_tokens"][0].update(lstrip="false"), "lstrip: expected true or false"),
        (lambda d: d.update(decoder=[]), r"decoder: expected an object or null, got \[\]"),
        (lambda d: d["model"].update(ignore_merges=0), "ignore_merges: expected true or false"),
    ],
)
def test_a_foreign_file_altered_by_hand(
    edit: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(edited(edit)), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        load_tokenizer(path)
    assert str(path) in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [(*path, key) for key, _ in items]
    return inner + [
        place
        for key in inner
        if isinstance(at(value, key[len(path) :]), dict | list)
        for place in places(at(value, key[len(path) :]), key)
    ]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


SMALL = [
    BPETokenizer.train(["ab ab"]),
    BPETokenizer.train(["ab ab"], lossless=False),
    WordPieceTokenizer.train(["ab abc ab"]),
    WordTokenizer.train(["ab ab, c"]),
    CharTokenizer.train(["ab"]),
]
json_values = st.none() | st.booleans() | st.integers(-1, 300) | st.text(max_size=3)
json_values |= st.sampled_from([[], {}, [1], ["a"], 1.5, math.inf, 10**20, "false"])


@given(data=st.data(), tokenizer=st.sampled_from(SMALL), value=json_values)
def test_anything_may_be_wrong_with_a_document(
    data: st.DataObject, tokenizer: Tokenizer, value: Any
) -> None:
    document = json.loads(json.dumps(tokenizer.to_dict()))
    place = data.draw(st.sampled_from(places(document)))
    at(document, place[:-1])[place[-1]] = value
    try:
        read = Tokenizer.from_dict(document)
    except ValueError:
        return  # and nothing but a ValueError
    ids = read.encode("ab <eos>,c", add_bos=True, add_eos=True)
    assert isinstance(read.decode(ids), str)
    assert isinstance(read.decode(range(len(read))), str)
    assert Tokenizer.from_dict(read.to_dict()) == read


def test_files_that_are_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(FileNotFoundError, match="expected one of tokenizer.json, vocab.json, "):
        load_tokenizer(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json: no such file"):
        load_tokenizer(path)
    for content, message in {
        "[]": "expected a file of format 'foundation-data tokenizer', got 'list'",
        "{}": "expected a file of format 'foundation-data tokenizer', got None",
        '{"model": {"type": "WordLevel"}}': "BPE or WordPiece or Unigram, got 'WordLevel'",
    }.items():
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_tokenizer(path)


def write_gpt2(folder: Path, ids: Any, merges: str) -> None:
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")


def test_gpt2_files(tmp_path: Path) -> None:
    ids = {token: i for i, token in enumerate([*ALPHABET, "##", "ab", "<|endoftext|>"])}
    write_gpt2(tmp_path, ids, "#version: 0.2\n# #\r\na b\n")
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("##ab c", add_eos=True) == [256, 257, ids["Ġ"], ids["c"], 258]
    assert tokenizer.vocabulary.specials.ids == (258, 258, 258, 258)
    assert tokenizer.encode("<|endoftext|>")[0] == ids["<"]
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": {"content": "!"}}')
    assert load_tokenizer(tmp_path).vocabulary.specials.pad_id == 0
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": "missing"}')
    with pytest.raises(ValueError, match="the pad token 'missing' is not in the vocabulary"):
        load_tokenizer(tmp_path)


def test_gpt2_files_altered_by_hand(tmp_path: Path) -> None:
    ids = {token: i for i, token in enumerate([*ALPHABET, "ab", "<|endoftext|>"])}
    for merges, message in {
        "a b\nb c\n": r"merges\[1\]: 'b' and 'c' make 'bc', but 'bc' is not in the vocabulary",
        "a\n": r"merges\[0\]: expected two tokens, got 'a'",
        "a b c\n": r"merges\[0\]: expected two tokens, got 'a b c'",
    }.items():
        write_gpt2(tmp_path, ids, merges)
        with pytest.raises(ValueError, match=message):
            load_tokenizer(tmp_path)
    write_gpt2(tmp_path, {**ids, "ab": 3}, "a b\n")
    with pytest.raises(ValueError, match="the ids 0 to 257, each for one token, got 3 for 'ab'"):
        load_tokenizer(tmp_path)
    write_gpt2(tmp_path, [], "a b\n")
    with pytest.raises(ValueError, match=r"vocab\.json: expected tokens with ids, got \[\]"):
        load_tokenizer(tmp_path)
    write_gpt2(tmp_path, ids, "")
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"merges\.txt: no such file"):
        load_tokenizer(tmp_path)


def test_bad_input() -> None:
    with pytest.raises(TypeError, match=r"BPETokenizer.train: expected a list of texts, got one"):
        BPETokenizer.train("one text")
    with pytest.raises(TypeError, match="BPETokenizer.train: expected a str, got int: 3"):
        BPETokenizer.train([3])  # type: ignore[list-item]
    for empty in ([], [""]):
        with pytest.raises(ValueError, match="expected at least one text with a token in it"):
            BPETokenizer.train(empty)
    with pytest.raises(ValueError, match="min_freq of at least 1, got 0"):
        BPETokenizer.train(["a"], min_freq=0)
    with pytest.raises(ValueError, match=r"max_size of at least 260 .* got 259"):
        BPETokenizer.train(["a"], max_size=259)
    for tokenizer in (BPETokenizer, WordPieceTokenizer):
        message = (
            rf"{tokenizer.__name__}.train: expected max_size of at most 1,114,112, .* 1,114,113"
        )
        with pytest.raises(ValueError, match=message):
            tokenizer.train(["a"], max_size=MAX_SYMBOLS + 1)
        assert len(tokenizer.train(["ab"], max_size=MAX_SYMBOLS, min_freq=1)) > 5
    with pytest.raises(TypeError, match="encode: expected a str, got bytes"):
        TOKENIZER.encode(b"a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="normalize: expected a str, got None"):
        TOKENIZER.normalize(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an id from 0 to 599, got 600"):
        TOKENIZER.decode([600])
    assert TOKENIZER.encode("") == []
    assert TOKENIZER.unknown_rate(CORPUS) == 0.0


def test_an_added_token_that_looks_like_a_byte(tmp_path: Path) -> None:
    """ "é" is the name of the byte 0xE9, and here a token of its own as well, with the same id."""
    trained = BPETokenizer.train(["naïve"])
    document = trained.to_dict()["tokenizer"]
    ids = document["model"]["vocab"]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for token in ("é", "©", "Ã"):
        document["added_tokens"].append(
            {"id": ids[token], "content": token, "special": False, **plain}
        )
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    tokenizer = load_tokenizer(path)
    # The bytes of U+9000 begin with 0xE9, and those of "é" are 0xC3, the name of which is "Ã", and
    # 0xA9, the name of which is "©".
    for text in ("é", "\u9000", "éé\u9000é", "a©b", "Ã é", "ÃÃ é\u9a00", "\u0169Ã"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("é") == [ids["é"]]
