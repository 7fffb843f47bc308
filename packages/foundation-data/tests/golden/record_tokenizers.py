"""The ids and texts that the ``tokenizers`` library makes with files of well-known families.

    python record_tokenizers.py      writes tokenizers.json beside this file

Needs ``tokenizers``, and the models that record_sentencepiece.py has written.
"""

import gzip
import json
import sys
from pathlib import Path

import tokenizers

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from foundation_data import SentencePieceModel
from library_samples import documents
from sentencepiece_samples import LIBRARY_TEXTS, MODELS


def main():
    models = {
        name: SentencePieceModel.from_bytes(gzip.decompress((HERE / f"{name}.spm.gz").read_bytes()))
        for name in MODELS
    }
    recorded = {}
    for name, document in documents(models).items():
        theirs = tokenizers.Tokenizer.from_str(json.dumps(document))
        ids = [theirs.encode(text, add_special_tokens=False).ids for text in LIBRARY_TEXTS]
        texts = [theirs.decode(row) for row in ids]
        theirs.encode_special_tokens = True
        plain = [theirs.encode(text, add_special_tokens=False).ids for text in LIBRARY_TEXTS]
        recorded[name] = {"ids": ids, "texts": texts, "plain": plain}
    content = {"tokenizers": tokenizers.__version__, "files": recorded}
    (HERE / "tokenizers.json").write_text(
        json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
