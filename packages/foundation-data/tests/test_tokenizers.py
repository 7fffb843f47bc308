"""Word and character tokenizers: how text is cut, and that it can be put together again."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    CountedTokenizer,
    Tokenizer,
    Vocabulary,
    WordTokenizer,
)
from hypothesis import given
from hypothesis import strategies as st

EMPTY = WordTokenizer(Vocabulary.build([]))

CUTS = {
    "Hello, world!": "Hello ‿, world ‿!",
    "femme en vtt : peau mate": "femme en vtt : peau mate",
    "l'homme": "l'‿ homme",
    "L’ami d’Anne": "L’‿ ami d’‿ Anne",
    "I don't; she'll": "I don ‿'t ‿; she ‿'ll",
    "DON'T": "DON ‿'T",
    "aujourd'hui": "aujourd'‿ hui",
    "O'Neil's": "O'‿ Neil ‿'s",
    "the boys' toys": "the boys ‿' toys",
    "'t is 'S": "'‿ t is '‿ S",
    "peut-être": "peut ‿-‿ être",
    "a - b -c d-": "a - b -‿ c d ‿-",
    'say "yes" now': 'say "‿ yes ‿" now',
    "« Oui ! »": "« Oui ! »",
    '"Go." (Now)': '"‿ Go ‿. ‿" (‿ Now ‿)',
    "$1,500.25 50%": "$‿ 1 ‿,‿ 500 ‿.‿ 25 50 ‿%",
    "Well...": "Well ‿. ‿. ‿.",
    "snake_case": "snake ‿_‿ case",
    "किताब है": "किताब है",
    "日本 語、T": "日 本 ␣ 語 ‿、‿ T",
    "3Dの絵": "3D ‿の 絵",
    "☀️ x": "☀️ x",
    "<eos> <pad>": "<‿ eos ‿> <‿ pad ‿>",
    "a ‿ b␣c": "a _ b c",
    "": "",
}


@pytest.mark.parametrize(("text", "tokens"), CUTS.items())
def test_words_by_hand(text: str, tokens: str) -> None:
    assert EMPTY.tokenize(text) == tokens.split()
    assert EMPTY.detokenize(tokens.split()) == EMPTY.normalize(text)


# Letters of several scripts, apostrophes, punctuation, spaces, the two signs: every rule is met.
LATIN = "aBst'’-.,\"«» \u00a0ßé\u0301"
OTHERS = "日本のヒーสวั\u200d\u200cक़ि_‿␣<>3€😀\ufe0f"
tricky = st.text(st.sampled_from(LATIN + OTHERS))


@given(tricky | st.text(st.characters(codec=None, exclude_categories=[])), st.booleans())
def test_round_trip_of_any_text(text: str, lowercase: bool) -> None:
    for kind in (WordTokenizer, CharTokenizer):
        cutter = kind(Vocabulary.build([]), lowercase=lowercase)
        normal = cutter.normalize(text)
        tokens = cutter.tokenize(text)
        assert cutter.normalize(normal) == normal
        assert cutter.detokenize(tokens) == normal
        assert cutter.tokenize(normal) == tokens
        assert all(tokens)
        if tokens:
            tokenizer = kind.train([text], lowercase=lowercase)
            assert tokenizer.decode(tokenizer.encode(text, add_bos=True, add_eos=True)) == normal


@given(
    st.lists(st.sampled_from(["‿", "␣", "‿‿", "a", "‿a", "a‿", "‿a‿", "の", "‿の", "<unk>", ""]))
)
def test_any_token_sequence_gives_clean_text(tokens: list[str]) -> None:
    text = EMPTY.detokenize(tokens)
    assert text == " ".join(text.split())
    assert "␣" not in text


def test_a_word_is_one_token_wherever_it_stands() -> None:
    tokens = EMPTY.tokenize('cat "cat" (cat), cat-cat l\'cat cat!')
    assert tokens.count("cat") == 7


def test_very_long_words() -> None:
    text = "a" * 100_000 + " " + "." * 10_000
    tokens = EMPTY.tokenize(text)
    assert len(tokens) == 10_001
    assert EMPTY.detokenize(tokens) == text


def test_encode_and_decode_by_hand() -> None:
    tokenizer = WordTokenizer.train(["a b b c c c.", "c!"])
    assert tokenizer.vocabulary.tokens[4:] == ("c", "b", "a", "‿!", "‿.")
    assert tokenizer.encode("a c!") == [6, 4, 7]
    assert tokenizer.encode("a c!", add_bos=True, add_eos=True) == [1, 6, 4, 7, 2]
    assert tokenizer.encode("") == []
    assert tokenizer.encode("", add_eos=True) == [2]
    assert tokenizer.decode([1, 6, 4, 7, 2, 0, 0]) == "a c!"
    assert tokenizer.encode("a z!") == [6, 3, 7]
    assert tokenizer.decode([6, 3, 7]) == "a <unk>!"
    assert tokenizer.decode([6, 3, 7], skip_unknown=True) == "a!"
    assert len(tokenizer) == 9


def test_special_tokens_in_a_text_are_text() -> None:
    for tokenizer in (WordTokenizer.train(["<eos> <pad> <unk>"]), CharTokenizer.train(["<eos>"])):
        ids = tokenizer.encode("<eos>")
        assert min(ids) >= 4
        assert tokenizer.decode(ids) == "<eos>"
        allowed = tokenizer.encode("<eos>", allow_special=True)
        assert allowed == [tokenizer.vocabulary.specials.eos_id]


def test_a_token_with_the_name_of_a_special_one_is_unknown() -> None:
    class SplitAtSpaces(CountedTokenizer):
        kind = "split-at-spaces"

        def tokenize(self, text: str) -> list[str]:
            return self.normalize(text).split()

        def detokenize(self, tokens: Sequence[str]) -> str:
            return " ".join(tokens)

    tokenizer = SplitAtSpaces.train(["a b"])
    assert tokenizer.encode("a <eos> b <pad> <bos>") == [4, 3, 5, 3, 3]
    assert tokenizer.encode("a <eos> b", allow_special=True) == [4, 2, 5]
    assert tokenizer.encode_pieces([("a <eos> ", False), ("<eos>", True)]) == [4, 3, 2]


def test_training_options() -> None:
    texts = ["Go go GO", "stop"]
    assert WordTokenizer.train(texts).vocabulary.tokens[4:] == ("GO", "Go", "go", "stop")
    lower = WordTokenizer.train(texts, lowercase=True)
    assert lower.vocabulary.tokens[4:] == ("go", "stop")
    assert lower.decode(lower.encode("GO STOP")) == "go stop"
    assert WordTokenizer.train(texts, lowercase=True, min_freq=2).vocabulary.tokens[4:] == ("go",)
    assert WordTokenizer.train(texts, max_size=5).vocabulary.tokens[4:] == ("GO",)


def test_unknown_rate_counts_tokens() -> None:
    tokenizer = WordTokenizer.train(["a b c"])
    assert tokenizer.unknown_rate(["a z", "b, c"]) == pytest.approx(2 / 5)
    assert tokenizer.unknown_rate(["a b"]) == 0.0
    assert tokenizer.unknown_rate([]) == 0.0
    rare = WordTokenizer.train(["a a b"], min_freq=2)
    assert rare.unknown_rate(["a a b"]) == pytest.approx(1 - rare.vocabulary.coverage())


def test_characters_by_hand() -> None:
    tokenizer = CharTokenizer.train(["à la  la"], lowercase=True)
    assert tokenizer.vocabulary.tokens[4:] == (" ", "a", "l", "à")
    assert tokenizer.encode("LA à") == [6, 5, 4, 7]
    assert tokenizer.decode([1, 6, 5, 4, 7, 2, 0]) == "la à"


any_text = st.text(st.characters(codec=None, exclude_categories=[]))


@given(any_text)
def test_characters_lose_nothing(text: str) -> None:
    tokenizer = CharTokenizer.train([text, "a"])
    expected = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    assert tokenizer.decode(tokenizer.encode(text)) == expected


def test_line_ends_come_back() -> None:
    text = "To be,\n    that\tis  the \r\n"
    tokenizer = CharTokenizer.train([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("\ud800") == [tokenizer.vocabulary.specials.unk_id]


#: One sentence as it was typed, pasted, and saved by other programs.
SPELLINGS = [
    *("Où ça\u00a0?", "Où ça\t?", "Ou\u0300 c\u0327a ?", "\ufeffOù ça ?", "  Où  ça ?\n"),
    *("Où\u202fça ?", "O\u00adù ça\x00?", "Où \u200bça\x85?", "Où ça \x1c?"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_texts_that_look_the_same_get_the_same_ids(spelling: str, tmp_path: Path) -> None:
    sentence = "Où ça ?"
    tokenizers: list[Tokenizer] = [
        WordTokenizer.train([sentence]),
        CharTokenizer.train([spelling], lossless=False),
        BPETokenizer.train([spelling], lossless=False),
    ]
    for tokenizer in tokenizers:
        assert tokenizer.encode(spelling) == tokenizer.encode(sentence)
        assert tokenizer.decode(tokenizer.encode(spelling)) == sentence
        assert tokenizer.normalize(spelling) == sentence
        tokenizer.save(tmp_path / "tokenizer.json")
        assert Tokenizer.load(tmp_path / "tokenizer.json") == tokenizer
        assert Tokenizer.load(tmp_path / "tokenizer.json").encode(spelling) == tokenizer.encode(
            sentence
        )
    for lossless in (CharTokenizer.train([spelling]), BPETokenizer.train([spelling])):
        assert lossless.decode(lossless.encode(spelling)) == spelling


def test_lossless_or_not_is_another_tokenizer() -> None:
    one, other = (CharTokenizer.train(["a b"], lossless=lossless) for lossless in (True, False))
    assert one != other
    assert repr(other) == "CharTokenizer(V=7, lowercase=False, lossless=False)"
    assert BPETokenizer.train(["a b"]) != BPETokenizer.train(["a b"], lossless=False)
    with pytest.raises(ValueError, match="lossless: expected true or false, got 'false'"):
        Tokenizer.from_dict({**one.to_dict(), "lossless": "false"})


@pytest.mark.parametrize("kind", [WordTokenizer, CharTokenizer])
def test_save_and_load(tmp_path: Path, kind: type[Tokenizer]) -> None:
    tokenizer = kind.train(["L'œuf : « Go ! »"], lowercase=True)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for loaded in (kind.load(path), Tokenizer.load(path)):
        assert type(loaded) is kind
        assert loaded == tokenizer
        assert loaded.lowercase
        assert loaded.encode("l'Œuf") == tokenizer.encode("l'œuf")
    assert kind.from_dict(tokenizer.to_dict()) == tokenizer
    assert tokenizer != kind.train(["other"], lowercase=True)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "characters.json"
    CharTokenizer.train(["abc"]).save(path)
    with pytest.raises(
        ValueError, match=r"characters\.json: .* expected a tokenizer of kind word, "
    ):
        WordTokenizer.load(path)
    with pytest.raises(ValueError, match="expected a file of format 'foundation-data vocabulary'"):
        Vocabulary.load(path)
    path.write_text(path.read_text(encoding="utf-8").replace("false", "true"), encoding="utf-8")
    with pytest.raises(ValueError, match="altered after it was saved"):
        CharTokenizer.load(path)
    with pytest.raises(ValueError, match="kind bpe or char or .*word or wordpiece, got 'morse'"):
        Tokenizer.from_dict({"kind": "morse"})
    with pytest.raises(
        ValueError, match="WordTokenizer: malformed content: 'vocabulary' is missing"
    ):
        Tokenizer.from_dict({"kind": "word"})


@pytest.mark.parametrize("kind", [WordTokenizer, CharTokenizer])
def test_bad_input(kind: type[Tokenizer]) -> None:
    name = kind.__name__
    with pytest.raises(TypeError, match=rf"{name}.train: expected a list of texts, got one str"):
        kind.train("one text")
    with pytest.raises(TypeError, match="expected a str, got int: 3"):
        kind.train([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=f"{name}.train: expected at least one text with a token"):
        kind.train(["", ""])
    with pytest.raises(TypeError, match=rf"{name}: expected a Vocabulary, got list"):
        kind(["a"])  # type: ignore[arg-type]
    tokenizer = kind.train(["abc"])
    with pytest.raises(TypeError, match="expected a str, got NoneType"):
        tokenizer.encode(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"an id from 0 to {len(tokenizer) - 1}, got 99"):
        tokenizer.decode([99])
    with pytest.raises(TypeError, match="unknown_rate: expected a list of texts, got one str"):
        tokenizer.unknown_rate("abc")
