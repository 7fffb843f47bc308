"""Files of SentencePiece: the same ids and texts as that library, recorded by a script."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from foundation_data import Tokenizer, UnigramTokenizer, load_tokenizer
from sentencepiece_samples import MODELS, PROSE, TEXTS

GOLDEN = Path(__file__).parent / "golden"
RECORDED: dict[str, Any] = json.loads((GOLDEN / "sentencepiece.json").read_text(encoding="utf-8"))[
    "models"
]


def write_model(name: str, folder: Path) -> Path:
    path = folder / "source.spm"
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.spm.gz").read_bytes()))
    return path


def is_tie(tokenizer: UnigramTokenizer, first: list[int], second: list[int]) -> bool:
    """Whether two cuts are equally good, as those of "333" into "3" and "33".

    SentencePiece adds the scores of a whole text in half the digits that we take for a word, so
    what it chooses between such cuts depends on the text before them.
    """
    totals = [sum(tokenizer.scores[index] for index in ids) for ids in (first, second)]
    return sorted(first) == sorted(second) and math.isclose(*totals, rel_tol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_ids_and_texts_of_sentencepiece(name: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(write_model(name, tmp_path))
    assert isinstance(tokenizer, UnigramTokenizer)
    recorded = RECORDED[name]
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


def test_training_finds_words_and_loses_nothing() -> None:
    """What is trained is saved as a file that any reader of the format reads."""
    tokenizer = UnigramTokenizer.train([PROSE] * 3, max_size=400)
    assert len(tokenizer) <= 400
    assert tokenizer.tokenize("the town") == ["▁the", "▁town"]
    for text in TEXTS:
        if "▁" not in text:  # which is how a space is written
            assert tokenizer.decode(tokenizer.encode(text)) == text
