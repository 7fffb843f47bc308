"""The same ids as the `tokenizers` library, in both directions."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foundation_data import BPETokenizer, Tokenizer, WordPieceTokenizer, load_tokenizer
from foundation_data.tokenizers.pipeline._pre_tokenizer import Split
from hypothesis import given
from hypothesis import strategies as st
from many_scripts import CORPUS, SENTENCES

library = pytest.importorskip("tokenizers", reason="the tokenizers library is not installed")
models, normalizers, trainers = library.models, library.normalizers, library.trainers
pre_tokenizers, decoders, Regex = library.pre_tokenizers, library.decoders, library.Regex

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
words = pre_tokenizers.ByteLevel(add_prefix_space=False)


def split(pattern: Any, behavior: str = "isolated", invert: bool = False) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, behavior, invert), bare])


CUTS = {
    "GPT-2": words,
    "with a space before": pre_tokenizers.ByteLevel(),
    "no cut": bare,
    "SmolLM2": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]),
    "digits together": pre_tokenizers.Sequence([pre_tokenizers.Digits(), words]),
    "digits, then a space": pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()]
    ),
    "Llama 3": split(Regex(LLAMA3)),
    "Qwen 2": split(Regex(QWEN2)),
    "o200k": split(Regex(O200K)),
    "a string": split(" ", "merged_with_next"),
    **{
        f"{behavior}, {invert}": split(Regex(r"[\s\p{P}]"), behavior, invert)
        for behavior in (
            *("isolated", "removed", "contiguous", "merged_with_previous", "merged_with_next"),
        )
        for invert in (False, True)
    },
}


def train_bpe(cut: Any, size: int = 700, **options: Any) -> Any:
    theirs = library.Tokenizer(models.BPE())
    theirs.pre_tokenizer = cut
    theirs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=["<|endoftext|>", "<|im_start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        **options,
    )
    theirs.train_from_iterator(CORPUS * 2, trainer)
    return theirs


def ordinary(theirs: Any, text: str) -> list[int]:
    """The library's ids, where special tokens in the text are text."""
    theirs.encode_special_tokens = True
    ids: list[int] = theirs.encode(text, add_special_tokens=False).ids
    theirs.encode_special_tokens = False
    return ids


@pytest.mark.parametrize("name", CUTS)
def test_ids_of_byte_level_files(name: str, tmp_path: Path) -> None:
    theirs = train_bpe(CUTS[name])
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = load_tokenizer(tmp_path)
    assert isinstance(ours, BPETokenizer)
    assert len(ours) == theirs.get_vocab_size()
    for text in CORPUS:
        ids = ordinary(theirs, text)
        assert ours.encode(text) == ids
        assert ours.tokenize(text) == [theirs.id_to_token(index) for index in ids]
        assert ours.decode(ids) == theirs.decode(ids)
        assert ours.encode(text, allow_special=True) == theirs.encode(text).ids
    # And back: the library reads what we write.
    ours.save(path)
    again = library.Tokenizer.from_file(str(path))
    for text in CORPUS:
        assert again.encode(text).ids == theirs.encode(text).ids
    assert Tokenizer.load(path) == ours


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Tokenizer]]:
    path = tmp_path_factory.mktemp("pair") / "tokenizer.json"
    theirs = train_bpe(CUTS["SmolLM2"])
    theirs.save(str(path))
    return theirs, Tokenizer.load(path)


# Characters younger than Unicode 14 are in no category of Python 3.11, so they are left out.
@given(
    text=st.text(st.characters(exclude_categories=("Cs", "Cn")))
    | st.text(st.sampled_from("aeé 12\n\t'st½Ⅻ.<|>中"))
)
def test_ids_of_any_text(pair: tuple[Any, Tokenizer], text: str) -> None:
    theirs, ours = pair
    assert ours.encode(text) == ordinary(theirs, text)


@pytest.mark.parametrize("form", ["NFC", "NFKD", "Lowercase"])
def test_normalizers(form: str, tmp_path: Path) -> None:
    theirs = train_bpe(words)
    theirs.normalizer = normalizers.Sequence([getattr(normalizers, form)()])
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = Tokenizer.load(path)
    for text in CORPUS:
        assert ours.encode(text) == ordinary(theirs, text)
        assert ours.decode(ours.encode(text)) == ours.normalize(text)


SPLITS = [
    *("x*", "(?=b)", "(?<=a)", "a?", "b*?", "a|(?=x)", "(?:a|b)*", "^|x", "$", "a+(?=b)", "x{0,2}"),
]
BEHAVIORS = {
    "Removed": "removed",
    "Isolated": "isolated",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
    "Contiguous": "contiguous",
}


@given(
    pattern=st.sampled_from(SPLITS),
    text=st.text("abx \n", min_size=1),
    behavior=st.sampled_from(list(BEHAVIORS)),
    invert=st.booleans(),
)
def test_matches_of_no_characters(pattern: str, text: str, behavior: str, invert: bool) -> None:
    theirs = pre_tokenizers.Split(library.Regex(pattern), BEHAVIORS[behavior], invert)
    pieces = [piece for piece, _ in theirs.pre_tokenize_str(text)]
    assert Split(pattern, behavior, invert).cut(text) == pieces


def test_merges_in_an_order_that_no_training_gives(tmp_path: Path) -> None:
    """Only the rule "the lowest rank, then the leftmost" decides here."""
    vocabulary = {
        token: i for i, token in enumerate(["a", "b", "c", "bc", "ab", "abc", "abcab", "<e>"])
    }
    merges = [("a", "bc"), ("abc", "ab"), ("ab", "c"), ("a", "b")]
    theirs = library.Tokenizer(models.BPE(vocabulary, merges))
    theirs.pre_tokenizer = bare
    theirs.add_special_tokens(["<e>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    for text in ("abcabc", "abcabcabcab", "ababab", "cabcba", "aabcc"):
        assert ours.encode(text) == theirs.encode(text).ids


def test_of_equal_merges_the_last_counts(tmp_path: Path) -> None:
    theirs = library.Tokenizer(
        models.BPE({"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "<e>": 5}, [("a", "b"), ("b", "c")])
    )
    theirs.pre_tokenizer = bare
    theirs.add_special_tokens(["<e>"])
    document = json.loads(theirs.to_str())
    document["model"]["merges"].append(["a", "b"])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    ours = load_tokenizer(path)
    assert ours.tokenize("abc") == ["a", "bc"]
    assert ours.encode("abc") == library.Tokenizer.from_file(str(path)).encode("abc").ids
    ours.save(path)
    assert Tokenizer.load(path) == ours
    assert ours.encode("abc") == library.Tokenizer.from_file(str(path)).encode("abc").ids


def test_the_same_merges_are_learnt() -> None:
    theirs = library.Tokenizer(models.BPE())
    theirs.pre_tokenizer = words
    specials = ["<pad>", "<bos>", "<eos>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        min_frequency=2,
        show_progress=False,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    theirs.train_from_iterator(CORPUS, trainer)
    ours = BPETokenizer.train(CORPUS, max_size=900)
    assert dict(theirs.get_vocab()) == {token: i for i, token in enumerate(ours.vocabulary)}
    merges = json.loads(theirs.to_str())["model"]["merges"]
    assert [tuple(merge) for merge in merges] == list(ours.merges)


def test_what_we_train_the_library_reads(tmp_path: Path) -> None:
    ours = BPETokenizer.train(CORPUS, max_size=600)
    ours.save(tmp_path / "tokenizer.json")
    theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in CORPUS:
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ours.encode(text, allow_special=True, framed=True)
        assert theirs.decode(ids) == ours.decode(ids) == text


@given(
    text=st.text(st.characters(exclude_categories=("Cs", "Cn")))
    | st.text(st.sampled_from("ae\u0301é \n\t\x00\x1c\x85\xa0\u200b\ufeff\u2003\u3000.<eos>中"))
)
def test_normalised_text(cleaning: tuple[Any, Tokenizer], text: str) -> None:
    theirs, ours = cleaning
    assert theirs.normalizer.normalize_str(text) == ours.normalize(text)
    assert theirs.encode(text).ids == ours.encode(text, allow_special=True, framed=True)


@pytest.fixture(scope="module")
def cleaning(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokenizer]:
    path = tmp_path_factory.mktemp("cleaning") / "tokenizer.json"
    ours = BPETokenizer.train(CORPUS, max_size=400, lossless=False)
    ours.save(path)
    return library.Tokenizer.from_file(str(path)), ours


def test_gpt2_files(tmp_path: Path) -> None:
    theirs = train_bpe(words)
    theirs.model.save(str(tmp_path))
    ours = load_tokenizer(tmp_path)
    assert ours.vocabulary.specials.eos == "<|endoftext|>"
    for text in CORPUS:
        assert ours.encode(text) == ordinary(theirs, text)


def test_a_file_without_special_tokens(tmp_path: Path) -> None:
    theirs = library.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel()
    theirs.train_from_iterator(
        list(SENTENCES.values()), trainers.BpeTrainer(vocab_size=400, show_progress=False)
    )
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.vocabulary.tokens[-1] == "<|endoftext|>"
    assert len(ours) == theirs.get_vocab_size() + 1
    for text in SENTENCES.values():
        assert ours.encode(text) == theirs.encode(text).ids
    with pytest.raises(ValueError, match=r"the byte 0x00 of 'Ġ?.*' is not in the vocabulary"):
        ours.encode("\0")


def test_an_unknown_byte(tmp_path: Path) -> None:
    theirs = library.Tokenizer(models.BPE(unk_token="<unk>"))
    theirs.pre_tokenizer = words
    trainer = trainers.BpeTrainer(vocab_size=60, show_progress=False, special_tokens=["<unk>"])
    theirs.train_from_iterator(["plain English words"], trainer)
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    for text in ("plain", "plainé words", "ZZZ"):
        assert ours.encode(text) == theirs.encode(text).ids


def test_pieces_that_are_tokens_whatever_the_merges_say(tmp_path: Path) -> None:
    theirs = library.Tokenizer(
        models.BPE({"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "<e>": 5}, [("a", "b")])
    )
    theirs.model.ignore_merges = True
    theirs.pre_tokenizer = words
    theirs.add_special_tokens(["<e>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    for text in ("abc", "abcc", "ab", "cab"):
        assert ours.encode(text) == theirs.encode(text).ids
    assert ours.encode("abc") == [4]


def test_added_tokens(tmp_path: Path) -> None:
    theirs = train_bpe(words)
    added = library.AddedToken
    theirs.add_special_tokens([added("<mask>", lstrip=True), added("<right>", rstrip=True)])
    theirs.add_tokens([added("<tool>", normalized=False), "<tool>s"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    for text in ("a <mask> b <right>  c", "x <tool> y<tool>s", "<tool><mask><right>", "  <mask>"):
        assert ours.encode(text, allow_special=True) == theirs.encode(text).ids
        assert ours.encode(text) == ordinary(theirs, text)
    assert ours.decode(ours.encode("x <tool>")) == "x <tool>"
    assert ours.decode(ours.encode("x <mask>", allow_special=True)) == "x"


def train_wordpiece(**options: Any) -> Any:
    theirs = library.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    theirs.normalizer = normalizers.BertNormalizer(**options)
    theirs.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    theirs.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=700,
        show_progress=False,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    )
    theirs.train_from_iterator(CORPUS[:-8], trainer)
    return theirs


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": False},
        {"strip_accents": False},
        {"lowercase": False, "strip_accents": True},
        {"clean_text": False, "handle_chinese_chars": False},
    ],
)
def test_ids_of_wordpiece_files(options: dict[str, bool], tmp_path: Path) -> None:
    theirs = train_wordpiece(**options)
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = load_tokenizer(tmp_path)
    assert isinstance(ours, WordPieceTokenizer)
    for text in CORPUS:
        assert ours.encode(text) == ordinary(theirs, text)
        ids = theirs.encode(text).ids
        assert ours.encode(text, allow_special=True) == ids
        assert ours.decode(ids, skip_unknown=True) == theirs.decode(ids)
    ours.save(path)
    again = library.Tokenizer.from_file(str(path))
    for text in CORPUS:
        assert again.encode(text).ids == theirs.encode(text).ids


def test_the_wordpieces_we_train_the_library_reads(tmp_path: Path) -> None:
    ours = WordPieceTokenizer.train(CORPUS, max_size=600)
    ours.save(tmp_path / "tokenizer.json")
    theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in CORPUS:
        assert theirs.encode(text).ids == ours.encode(text, allow_special=True, framed=True)
        ids = ours.encode(text)
        assert theirs.decode(ids) == ours.decode(ids, skip_unknown=True)


@pytest.mark.skipif(
    "FOUNDATION_DATA" not in os.environ,
    reason="FOUNDATION_DATA does not name a folder with tatoeba-en-fr.tsv.gz",
)
def test_real_text(tmp_path: Path) -> None:
    shared_data = Path(os.environ["FOUNDATION_DATA"])
    ours = BPETokenizer.train(
        [(shared_data / "tinyshakespeare.txt").read_text(encoding="utf-8")[:300_000]], max_size=2000
    )
    ours.save(tmp_path / "tokenizer.json")
    theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    with gzip.open(shared_data / "tatoeba-en-fr.tsv.gz", "rt", encoding="utf-8") as stream:
        lines = [line for _, line in zip(range(3000), stream, strict=False)]
    assert [ours.encode(line) for line in lines] == [e.ids for e in theirs.encode_batch(lines)]
