"""Files of SentencePiece: the same ids and texts as that library, recorded by a script."""

import gzip
import json
import math
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foundation_data import (
    MarianTokenizer,
    SentencePieceBPETokenizer,
    Tokenizer,
    UnigramTokenizer,
    load_tokenizer,
)
from foundation_data.tokenizers.pipeline._charsmap import Charsmap
from foundation_data.tokenizers.pipeline._decoder import ByteFallback, byte_token, decode_with
from foundation_data.tokenizers.sentencepiece._wire import write_field
from foundation_data.tokenizers.subwords._learn_pieces import Lattice
from foundation_data.tokenizers.subwords._viterbi import Pieces
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece_samples import MARIAN, MARIAN_TEXTS, MODELS, PROSE, TEXTS

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "sentencepiece.json").read_text(encoding="utf-8"))


GOLDEN_THE = GOLDEN["models"]["bpe"]["ids"][TEXTS.index("the")]


def write_model(name: str, folder: Path, file: str = "source.spm") -> Path:
    path = folder / file
    path.write_bytes(gzip.decompress((FOLDER / f"{name}.spm.gz").read_bytes()))
    return path


def is_tie(tokenizer: Tokenizer, first: list[int], second: list[int]) -> bool:
    """Whether two cuts are equally good, as those of "333" into "3" and "33".

    SentencePiece adds the scores of a whole text in half the digits that we take for a word, so
    what it chooses between such cuts depends on the text before them.
    """
    assert isinstance(tokenizer, UnigramTokenizer)
    totals = [sum(tokenizer.scores[index] for index in ids) for ids in (first, second)]
    return sorted(first) == sorted(second) and math.isclose(*totals, rel_tol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_ids_and_texts_of_sentencepiece(name: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(write_model(name, tmp_path))
    kind = SentencePieceBPETokenizer if name.startswith("bpe") else UnigramTokenizer
    assert isinstance(tokenizer, kind)
    recorded = GOLDEN["models"][name]
    ties = 0
    for text, ids, decoded in zip(TEXTS, recorded["ids"], recorded["texts"], strict=True):
        found = tokenizer.encode(text)
        if found != ids:
            assert is_tie(tokenizer, found, ids), text
            ties += 1
        # SentencePiece writes what is unknown in its own way.
        assert tokenizer.decode(ids).replace("<unk>", " ⁇ ") == decoded
        if tokenizer.vocabulary.specials.unk_id not in ids:
            assert tokenizer.normalize(text) == decoded
    assert ties <= 2
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    again = Tokenizer.load(path)
    assert again == tokenizer
    assert all(again.encode(text) == tokenizer.encode(text) for text in TEXTS)


def write_translator(folder: Path) -> Path:
    for side, name in MARIAN.items():
        write_model(name, folder, f"{side}.spm")
    (folder / "vocab.json").write_text(json.dumps(GOLDEN["marian"]["table"]), encoding="utf-8")
    return folder


def test_a_translator_has_ids_of_its_own(tmp_path: Path) -> None:
    recorded = GOLDEN["marian"]
    source, target = MarianTokenizer.of_folder(write_translator(tmp_path))
    ties = 0
    for row, text in enumerate(MARIAN_TEXTS):
        for side, tokenizer in (("source", source), ("target", target)):
            if side == "target" and text.startswith(">>fra"):
                continue  # the library looks for a language there, too
            if "</s>" in text:
                continue  # and for special tokens everywhere
            ids = tokenizer.encode(text, framed=True)
            ties += ids != recorded[side][row]
            assert sorted(ids) == sorted(recorded[side][row]), text
        # What is unknown is left out by the library, which leaves the space before it.
        if target.vocabulary.specials.unk_id not in recorded["target"][row]:
            assert target.decode(recorded["target"][row]).strip() == recorded["decoded"][row]
    assert ties <= 4
    unknown = source.vocabulary.specials.unk_id
    assert any(unknown in ids for ids in recorded["source"])
    assert source.languages == [">>fra<<", ">>deu<<"]
    with pytest.raises(
        ValueError, match=r"begins with '>>xxx<<', but the translator knows >>fra<<, "
    ):
        source.encode(">>xxx<< a")
    with pytest.raises(TypeError, match="train a UnigramTokenizer"):
        MarianTokenizer.train(["a"])
    path = tmp_path / "one.json"
    source.save(path)
    again = Tokenizer.load(path)
    assert again == source != target
    assert again.encode("the town") == source.encode("the town")
    (tmp_path / "vocab.json").write_text('{"</s>": 0, "<unk>": 1}')
    with pytest.raises(ValueError, match=r"vocab\.json: the token '<pad>' is missing"):
        MarianTokenizer.of_folder(tmp_path)


def test_training_finds_words_and_loses_nothing() -> None:
    """What is trained is saved as a file that any reader of the format reads."""
    tokenizer = UnigramTokenizer.train([PROSE] * 3, max_size=400)
    assert len(tokenizer) <= 400
    assert tokenizer.tokenize("the town") == ["▁the", "▁town"]
    for text in TEXTS:
        if "▁" not in text:  # which is how a space is written
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_cuts_are_drawn_as_likely_as_they_are() -> None:
    scores = {"l": -1.0, "o": -2.0, "w": -1.5, "lo": -2.5, "ow": -3.0, "low": -4.0}
    cuts = [["l", "o", "w"], ["lo", "w"], ["l", "ow"], ["low"]]
    rng = np.random.default_rng(0)
    for alpha in (0.0, 0.5, 2.0):
        weights = np.exp([alpha * sum(scores[piece] for piece in cut) for cut in cuts])
        expected = weights / weights.sum()
        drawn = Counter(tuple(Pieces(scores).draw("low", rng, alpha)) for _ in range(2000))
        shares = np.array([drawn[tuple(cut)] for cut in cuts]) / 2000
        # Four standard deviations.
        assert np.all(np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000))


def test_a_drawn_cut_is_the_same_text() -> None:
    tokenizer = UnigramTokenizer.train([PROSE], max_size=400)
    rng = np.random.default_rng(0)
    texts = {tokenizer.decode(tokenizer.sample("the town ꙮ", rng, alpha=0.1)) for _ in range(20)}
    assert texts == {"the town ꙮ"}
    with pytest.raises(ValueError, match="alpha of 0 or more, got -1"):
        tokenizer.sample("a", rng, alpha=-1)


def test_the_lattice_counts_what_all_cuts_count() -> None:
    """Forward and backward sums against every cut, written down one by one."""
    words = {"abab": 3, "ba": 2, "a": 1, "abb": 5}
    pieces = ["a", "b", "ab", "ba", "aba", "bb"]
    scores = np.log([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])

    def ways(word: str) -> list[list[str]]:
        found = [piece for piece in pieces if word.startswith(piece)]
        return [[p, *rest] for p in found for rest in ways(word[len(p) :])] if word else [[]]

    expected = np.zeros(len(pieces))
    for word, frequency in words.items():
        weights = np.array([np.exp(sum(scores[pieces.index(p)] for p in w)) for w in ways(word)])
        for way, share in zip(ways(word), weights / weights.sum(), strict=True):
            for piece in way:
                expected[pieces.index(piece)] += frequency * share
    lattice = Lattice(words, pieces)
    np.testing.assert_allclose(lattice.expected_counts(scores), expected, rtol=1e-12)
    kept = np.array([True, True, True, False, False, False])
    lattice.keep(kept)
    # Only "ab" can be cut in two ways now.
    whole = 0.2 / (0.2 + 0.3 * 0.2)
    found = lattice.expected_counts(scores[kept])
    np.testing.assert_allclose(found[2], 3 * 2 * whole + 5 * whole, rtol=1e-12)


@given(st.text(st.characters(exclude_characters="▁")))
def test_nothing_is_lost(text: str) -> None:
    for tokenizer in LOSSLESS:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.detokenize(tokenizer.tokenize(text)) == tokenizer.normalize(text)


LOSSLESS: list[Tokenizer] = [
    UnigramTokenizer.train([PROSE], max_size=400),
    SentencePieceBPETokenizer.train([PROSE], max_size=400),
]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found not one piece"),
        (b"\x0a", "byte 1: it ends within a number"),
        (b"\x0a\x05ab", "byte 2: a field of 5 bytes, but only 2 follow"),
        (b"\x0b", "byte 1: a field of kind 3"),
        (b"\xff" * 11, "a number of more than 64 bits"),
        (write_field(1, b""), "piece 0: expected a text of at least one character"),
        (write_field(1, write_field(1, b"\xff")), "piece.text: expected a text in UTF-8"),
        (
            write_field(1, write_field(1, "a") + write_field(3, 9)),
            "expected a number of normal,",
        ),
        (
            write_field(1, write_field(1, "a") + write_field(2, math.nan)),
            "piece.score: expected a finite number, got nan",
        ),
        (write_field(1, write_field(1, "a")), "one piece for what is unknown, got 0"),
        (2 * write_field(1, write_field(1, "a")), "'a' stands there twice, with the ids 0 and 1"),
        (write_field(1, write_field(1, "a" * 1001)), "at most 1,000 characters, got 1,001"),
        (
            write_field(1, write_field(1, "<unk>") + write_field(3, 2))
            + write_field(3, write_field(2, b"\x04\0\0\0\0")),
            "a table of 5 bytes says that 4 of them are its tree",
        ),
        (
            write_field(1, write_field(1, "<unk>") + write_field(3, 2))
            + write_field(2, write_field(3, 3)),
            "a model of kind 'word' is not supported",
        ),
    ],
)
def test_damaged_models_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(caught.value).startswith(str(path))


def test_an_endless_table_of_characters_is_refused() -> None:
    """All places share their children, so that few bytes would spell endlessly many entries."""
    units = [place | place << 10 for place in range(256)]
    with pytest.raises(ValueError, match="too many or endless"):
        Charsmap(struct.pack("<I256I", 1024, *units) + b"a\0")


def test_what_stands_beside_a_model_is_obeyed(tmp_path: Path) -> None:
    write_model("bpe", tmp_path, "tokenizer.model")
    assert load_tokenizer(tmp_path).encode("the", framed=True) == GOLDEN_THE
    size = len(load_tokenizer(tmp_path))
    added = {str(size + i): {"content": f"<x{i}>", "special": True} for i in range(2)}
    config: dict[str, Any] = {"tokenizer_class": "LlamaTokenizer", "added_tokens_decoder": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("the", framed=True) == [1, *GOLDEN_THE]
    assert tokenizer.encode("<x1>", allow_special=True) == [size + 1]
    config |= {"add_bos_token": False, "add_eos_token": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_tokenizer(tmp_path).encode("the", framed=True) == [*GOLDEN_THE, 2]
    added[str(size + 5)] = added[str(size)]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"expected the id {size + 2}, got {size + 5}"):
        load_tokenizer(tmp_path)
    write_model("unigram", tmp_path)
    with pytest.raises(ValueError, match=r"read them with MarianTokenizer\.of_folder"):
        load_tokenizer(tmp_path)


def test_bytes_that_make_no_character() -> None:
    steps = [ByteFallback()]
    for data, text in (
        (b"\xc3\xa9", "é"),
        (b"\xc3\xa9\xe2\x82", "é\ufffd\ufffd"),
        (b"\xff\xc3\xa9a", "\ufffdéa"),
        (b"\xed\xa0\x80", "\ud800"),
    ):
        assert decode_with(steps, map(byte_token, data)) == text
