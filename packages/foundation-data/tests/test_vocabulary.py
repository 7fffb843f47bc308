"""The vocabulary: order, ids, counts, and files nobody may alter."""

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from foundation_data import SpecialTokens, Vocabulary
from hypothesis import given
from hypothesis import strategies as st

SENTENCES = [["the", "cat", "saw", "the", "dog"], ["a", "cat", "ran"], ["the", "end"]]


def test_order_is_by_count_then_by_token() -> None:
    vocabulary = Vocabulary.build(SENTENCES)
    assert vocabulary.tokens == (
        *("<pad>", "<bos>", "<eos>", "<unk>"),
        *("the", "cat", "a", "dog", "end", "ran", "saw"),
    )
    assert vocabulary.counts == (0, 0, 0, 0, 3, 2, 1, 1, 1, 1, 1)
    assert vocabulary.total == 10
    assert len(vocabulary) == 11
    assert list(vocabulary) == list(vocabulary.tokens)


def test_min_freq_and_max_size() -> None:
    assert Vocabulary.build(SENTENCES, min_freq=2).tokens[4:] == ("the", "cat")
    assert Vocabulary.build(SENTENCES, max_size=5).tokens[4:] == ("the",)
    assert Vocabulary.build(SENTENCES, max_size=4).tokens[4:] == ()
    assert Vocabulary.build(SENTENCES, min_freq=4).tokens[4:] == ()


def test_coverage_is_the_share_of_the_tokens_seen() -> None:
    vocabulary = Vocabulary.build(SENTENCES, min_freq=2)
    assert vocabulary.coverage() == pytest.approx(5 / 10)
    assert vocabulary.coverage(5) == pytest.approx(3 / 10)
    assert vocabulary.coverage(4) == 0.0
    assert Vocabulary.build(SENTENCES).coverage() == 1.0
    assert Vocabulary.build([]).coverage() == 1.0


def test_looking_up() -> None:
    vocabulary = Vocabulary.build(SENTENCES)
    assert "cat" in vocabulary
    assert "bird" not in vocabulary
    assert vocabulary.token_to_id("cat") == 5
    assert vocabulary.token_to_id("bird") == 3
    assert vocabulary.id_to_token(5) == "cat"
    assert vocabulary.to_ids(["the", "bird", "ran"]) == [4, 3, 9]
    assert vocabulary.to_tokens([4, 3, 9]) == ["the", "<unk>", "ran"]


@pytest.mark.parametrize("index", [-1, 11])
def test_an_id_that_does_not_exist(index: int) -> None:
    with pytest.raises(ValueError, match=f"expected an id from 0 to 10, got {index}"):
        Vocabulary.build(SENTENCES).id_to_token(index)


token_lists = st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=8)


@given(token_lists, st.randoms(use_true_random=False), st.integers(1, 3), st.integers(4, 12))
def test_build_against_a_plain_count(
    sentences: list[list[str]], rng: random.Random, min_freq: int, max_size: int
) -> None:
    vocabulary = Vocabulary.build(sentences, min_freq=min_freq, max_size=max_size)
    counts = Counter(token for sentence in sentences for token in sentence)
    kept = dict(zip(vocabulary.tokens[4:], vocabulary.counts[4:], strict=True))
    assert all(counts[token] == count >= min_freq for token, count in kept.items())
    assert len(vocabulary) <= max_size
    left_out = [count for token, count in counts.items() if token not in kept and count >= min_freq]
    if left_out:
        assert len(vocabulary) == max_size
        assert max(left_out) <= min(kept.values(), default=max(left_out))
    assert vocabulary.to_tokens(vocabulary.to_ids(kept)) == list(kept)
    shuffled = [list(sentence) for sentence in sentences]
    rng.shuffle(shuffled)
    assert Vocabulary.build(shuffled, min_freq=min_freq, max_size=max_size) == vocabulary
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict()))) == vocabulary


def test_it_is_frozen() -> None:
    vocabulary = Vocabulary.build(SENTENCES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.tokens = ()  # type: ignore[misc]


def test_other_specials() -> None:
    specials = SpecialTokens(
        pad="[PAD]", bos="[CLS]", eos="[SEP]", unk="[UNK]", pad_id=3, bos_id=0, eos_id=1, unk_id=2
    )
    vocabulary = Vocabulary.build([["a"]], specials=specials)
    assert vocabulary.tokens == ("[CLS]", "[SEP]", "[UNK]", "[PAD]", "a")
    assert vocabulary.token_to_id("b") == 2
    assert "<pad>" not in vocabulary


def test_build_refuses() -> None:
    with pytest.raises(ValueError, match="min_freq of at least 1, got 0"):
        Vocabulary.build([], min_freq=0)
    with pytest.raises(ValueError, match=r"max_size of at least 4 \(the specials\), got 3"):
        Vocabulary.build([], max_size=3)
    with pytest.raises(TypeError, match="expected lists of tokens, got the str 'the cat'"):
        Vocabulary.build(["the cat"])
    with pytest.raises(ValueError, match="'<eos>' appears among the tokens but is reserved"):
        Vocabulary.build([["a", "<eos>"]])
    with pytest.raises(ValueError, match=r"the ids 0 to 3, got \(7, 1, 2, 3\)"):
        Vocabulary.build([], specials=SpecialTokens(pad_id=7))


def test_the_constructor_refuses_contradictions() -> None:
    tokens = ("<pad>", "<bos>", "<eos>", "<unk>", "a", "b")
    counts = (0, 0, 0, 0, 2, 1)
    with pytest.raises(ValueError, match="one count for each of the 6 tokens, got 5"):
        Vocabulary(tokens, counts[:5], 3)
    with pytest.raises(ValueError, match="the token 'a' appears twice"):
        Vocabulary((*tokens[:5], "a"), counts, 3)
    with pytest.raises(ValueError, match="special token '<pad>' at id 0, found it at None"):
        Vocabulary(("c", *tokens[1:]), counts, 3)
    with pytest.raises(ValueError, match="at most total=2, got the sum 3"):
        Vocabulary(tokens, counts, 2)


def test_special_tokens_refuse() -> None:
    with pytest.raises(TypeError, match="expected pad to be str, got 3"):
        SpecialTokens(pad=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected pad_id to be int, got True"):
        SpecialTokens(pad_id=True)
    with pytest.raises(ValueError, match="bos may not be ''"):
        SpecialTokens(bos="")
    with pytest.raises(ValueError, match="eos_id may not be -1"):
        SpecialTokens(eos_id=-1)
    for wrong in ({"eos_id": 3}, {"eos": "<pad>"}):
        with pytest.raises(ValueError, match="expected one id for each different token"):
            SpecialTokens(**wrong)  # type: ignore[arg-type]


def test_one_token_may_have_several_roles() -> None:
    specials = SpecialTokens("<pad>", "<end>", "<end>", "<end>", 0, 1, 1, 1)
    vocabulary = Vocabulary(("<pad>", "<end>", "a"), (0, 0, 2), 2, specials)
    assert vocabulary.specials.eos_id == vocabulary.specials.bos_id == 1
    with pytest.raises(ValueError, match="specials with the ids 0 to 3"):
        Vocabulary.build([["a"]], specials=specials)


def test_save_and_load(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build([["œuf", "ü", '"', "\\", "日", "œuf"]], min_freq=1)
    path = tmp_path / "vocabulary.json"
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]
    assert "œuf" in path.read_text(encoding="utf-8")


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    Vocabulary.build(SENTENCES).save(path)
    path.write_text(path.read_text(encoding="utf-8").replace('"cat"', '"bat"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocabulary\.json: .* altered after it was saved"):
        Vocabulary.load(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    Vocabulary.build(SENTENCES).save(path)
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"vocabulary\.json: not valid JSON"):
            Vocabulary.load(path)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"format": "something else"}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"other\.json: expected a file of format 'foundation-data v"
    ):
        Vocabulary.load(path)


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    Vocabulary.build(SENTENCES).save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["version"] = 2
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ValueError, match="expected version 1 of the format, got 2"):
        Vocabulary.load(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    vocabulary = Vocabulary.build(SENTENCES)
    vocabulary.save(path)
    size = path.stat().st_size
    assert Vocabulary.load(path, max_bytes=size) == vocabulary
    with pytest.raises(ValueError, match=f"has {size:,} bytes, .* raise max_bytes"):
        Vocabulary.load(path, max_bytes=size - 1)


def test_malformed_dictionary() -> None:
    with pytest.raises(ValueError, match="malformed content: 'tokens'"):
        Vocabulary.from_dict({})


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.json: no such file"):
        Vocabulary.load(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="cannot write the vocabulary"):
        Vocabulary.build(SENTENCES).save(tmp_path / "missing" / "vocabulary.json")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vocabulary.json"
    old = Vocabulary.build([["old"]])
    old.save(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="cannot write the vocabulary: No space left on device"):
        Vocabulary.build([["new"]]).save(path)
    assert Vocabulary.load(path) == old
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]
