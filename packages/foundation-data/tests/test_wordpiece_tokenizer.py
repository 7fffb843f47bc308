"""WordPiece: cleaning, cutting, the longest piece first."""

import json
from collections import Counter
from pathlib import Path

import pytest
from foundation_data import SpecialTokens, Tokenizer, Vocabulary, WordPieceTokenizer, load_tokenizer
from foundation_data.tokenizers.pipeline._cleaning import BertNormalizer
from foundation_data.tokenizers.pipeline._normalizer import Lowercase, UnicodeForm, normalize_with
from foundation_data.tokenizers.pipeline._pipeline import Pipeline
from foundation_data.tokenizers.pipeline._pre_tokenizer import BertWords
from many_scripts import CORPUS, SENTENCES

SPECIALS = SpecialTokens("[PAD]", "[CLS]", "[SEP]", "[UNK]", 0, 1, 2, 3)
PIPELINE = Pipeline(normalizers=(BertNormalizer(),), steps=(BertWords(),))


def of(*tokens: str, longest_word: int = 100) -> WordPieceTokenizer:
    names = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *tokens)
    vocabulary = Vocabulary(names, (0,) * len(names), 0, SPECIALS)
    return WordPieceTokenizer(vocabulary, PIPELINE, longest_word=longest_word)


def test_cleaning_by_hand() -> None:
    clean = BertNormalizer().apply
    assert clean("Café\u0301 ÀÉÎ") == "cafe aei"
    assert clean("a\0b\ufffdc\u200bd\te\x85") == "abcd e"
    assert clean("漢字かな한") == " 漢  字 かな\u1112\u1161\u11ab"
    assert clean("ΟΔΟΣ") == "οδοσ"
    cased = BertNormalizer(lowercase=False)
    assert cased.apply("Café\nİ") == "Café İ"
    assert BertNormalizer(lowercase=False, strip_accents=True).apply("Café") == "Cafe"
    steps = (UnicodeForm("NFKC"), Lowercase())
    assert normalize_with(steps, "ﬁ ΑΣ ①") == "fi ας 1".replace("ς", "σ")


def test_cutting_by_hand() -> None:
    cut = BertWords().cut
    assert cut("don't  stop—ok $5 <b>") == [
        *("don", "'", "t", "stop", "—", "ok", "$", "5", "<", "b", ">")
    ]
    assert cut(" \u2028\n") == []


def test_the_longest_piece_first() -> None:
    tokenizer = of("un", "##aff", "##able", "una", "##ffable", "##a", "able")
    assert tokenizer.tokenize("Unaffable") == ["una", "##ffable"]
    assert tokenizer.tokenize("unable") == ["[UNK]"]  # una ##b..: there is no way back
    assert tokenizer.tokenize("able unx") == ["able", "[UNK]"]
    assert tokenizer.encode("unaffable", add_bos=True, add_eos=True) == [1, 7, 8, 2]
    assert tokenizer.unknown_rate(["able unx una una"]) == pytest.approx(1 / 4)
    assert of("a", "##a", longest_word=3).tokenize("aaa aaaa") == ["a", "##a", "##a", "[UNK]"]


def test_joining_by_hand() -> None:
    tokenizer = of("do", "n", "##n", "'", "t", "'s", "it", ".", ",", "!", "##a")
    assert tokenizer.detokenize(["it", "'", "s", ",", "do", "##a", "."]) == "it ' s, doa."
    assert tokenizer.detokenize(["it", "'s", "do", "n't"]) == "it's don't"
    assert tokenizer.detokenize(["##a", "it", "!"]) == "##a it!"
    ids = tokenizer.encode("it, zzz!", add_bos=True, add_eos=True)
    assert tokenizer.decode(ids) == "it, [UNK]!"
    assert tokenizer.decode(ids, skip_unknown=True) == "it,!"


def test_training_by_hand() -> None:
    tokenizer = WordPieceTokenizer.train(["low lower lowest slow"], max_size=18)
    letters = ("##e", "##l", "##o", "##r", "##s", "##t", "##w", "l", "s")
    assert tokenizer.vocabulary.tokens == (
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
        *letters,
        # ##o ##w four times; then l with that thrice; then low with ##e twice.
        *("##ow", "low", "lowe"),
    )
    assert tokenizer.tokenize("lowest SLÖW!") == ["lowe", "##s", "##t", "s", "##l", "##ow", "[UNK]"]
    cased = WordPieceTokenizer.train(["Go go"], min_freq=1, lowercase=False)
    assert "Go" in cased.vocabulary
    assert "go" in cased.vocabulary


def test_when_there_is_no_room_for_every_letter() -> None:
    tokenizer = WordPieceTokenizer.train(["aaa aab c"], max_size=7)
    counts = Counter({"##a": 3, "a": 2, "##b": 1, "c": 1})
    assert set(tokenizer.vocabulary.tokens[5:]) == {token for token, _ in counts.most_common(2)}
    assert tokenizer.tokenize("aa ab") == ["a", "##a", "[UNK]"]


def test_special_tokens_in_a_text_are_text_unless_allowed() -> None:
    tokenizer = WordPieceTokenizer.train(CORPUS, max_size=400)
    assert min(tokenizer.encode("[CLS] [PAD]")) >= 1
    assert 2 not in tokenizer.encode("[CLS]")
    assert tokenizer.encode("[CLS]", allow_special=True) == [2]
    # Even a special token without a sign in it is text where a user writes it.
    specials = SpecialTokens("[PAD]", "cls", "[SEP]", "[UNK]", 0, 1, 2, 3)
    names = ("[PAD]", "cls", "[SEP]", "[UNK]", "c", "##ls")
    odd = WordPieceTokenizer(Vocabulary(names, (0,) * 6, 0, specials), PIPELINE)
    assert odd.encode("cls") == [4, 5]


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = WordPieceTokenizer.train(SENTENCES.values(), max_size=500)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for loaded in (WordPieceTokenizer.load(path), Tokenizer.load(path), load_tokenizer(tmp_path)):
        assert loaded == tokenizer
        assert loaded.encode(SENTENCES["Thai"]) == tokenizer.encode(SENTENCES["Thai"])


def test_a_foreign_file_altered_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    document = WordPieceTokenizer.train(["ab"]).to_dict()["tokenizer"]
    document["model"]["unk_token"] = "[OOV]"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ValueError, match=r"unk_token: expected the special token '\[UNK\]'"):
        load_tokenizer(path)
    del document["model"]["unk_token"]
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ValueError, match="malformed content: 'unk_token' is missing"):
        load_tokenizer(path)


def test_bad_input() -> None:
    with pytest.raises(TypeError, match="expected a list of texts, got one str"):
        WordPieceTokenizer.train("text")
    with pytest.raises(ValueError, match="expected at least one text with a token in it"):
        WordPieceTokenizer.train([" \n"])
    with pytest.raises(ValueError, match="min_freq of at least 1, got 0"):
        WordPieceTokenizer.train(["a"], min_freq=0)
    with pytest.raises(ValueError, match="max_size of at least 6 .* got 5"):
        WordPieceTokenizer.train(["a"], max_size=5)
    tokenizer = WordPieceTokenizer.train(["ab"])
    assert tokenizer.tokenize("a" * 1_000_000) == ["[UNK]"]
    assert tokenizer.encode("\ud800\0") == [1]
    assert tokenizer.decode([]) == ""
