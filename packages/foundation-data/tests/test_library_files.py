"""`tokenizer.json` as T5, XLM-R, Llama, Gemma and others have it: recorded ids and texts."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from foundation_data import SentencePieceModel, Tokenizer, load_tokenizer
from library_samples import documents
from sentencepiece_samples import LIBRARY_TEXTS, MODELS

FOLDER = Path(__file__).parent / "golden"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "tokenizers.json").read_text(encoding="utf-8"))


@cache
def files() -> dict[str, dict[str, Any]]:
    models = {
        name: SentencePieceModel.from_bytes(
            gzip.decompress((FOLDER / f"{name}.spm.gz").read_bytes())
        )
        for name in MODELS
    }
    return documents(models)


@pytest.mark.parametrize("name", GOLDEN["files"])
def test_ids_and_texts_of_the_library(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(files()[name]), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    recorded = GOLDEN["files"][name]
    for row, text in enumerate(LIBRARY_TEXTS):
        ids = recorded["ids"][row]
        assert tokenizer.encode(text, allow_special=True) == ids, text
        assert tokenizer.decode(ids, skip_unknown=True) == recorded["texts"][row], text
        # The library makes special tokens of text where they are pieces of the model.
        if "<" not in text:
            assert tokenizer.encode(text) == recorded["plain"][row]
    tokenizer.save(path)
    again = Tokenizer.load(path)
    assert again == tokenizer
    assert [again.encode(text, allow_special=True) for text in LIBRARY_TEXTS] == recorded["ids"]
