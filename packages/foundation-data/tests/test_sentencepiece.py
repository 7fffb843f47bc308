"""Files of SentencePiece: the same ids and texts as that library, recorded by a script."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from foundation_data import (
    MarianTokenizer,
    SentencePieceBPETokenizer,
    Tokenizer,
    UnigramTokenizer,
    load_tokenizer,
)
from sentencepiece_samples import MARIAN, MARIAN_TEXTS, MODELS, PROSE, TEXTS

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "sentencepiece.json").read_text(encoding="utf-8"))


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
