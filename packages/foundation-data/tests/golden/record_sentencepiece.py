"""The ids and texts that SentencePiece makes with models that it has trained.

    python record_sentencepiece.py      writes NAME.spm and sentencepiece.json beside this file

Needs ``sentencepiece``. The models are packed, since the table of NFKC takes most of their bytes.
"""

import gzip
import io
import json
import sys
from pathlib import Path

import sentencepiece

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from sentencepiece_samples import MODELS, TEXTS, TRAINING


def train(options):
    """The bytes of a model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(TRAINING),
        model_writer=model,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    return model.getvalue()


def main():
    recorded = {}
    for name, options in MODELS.items():
        model = train(options)
        (HERE / f"{name}.spm.gz").write_bytes(gzip.compress(model, mtime=0))
        theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [theirs.encode(text) for text in TEXTS]
        recorded[name] = {"ids": ids, "texts": [theirs.decode(row) for row in ids]}
    content = {"sentencepiece": sentencepiece.__version__, "models": recorded}
    (HERE / "sentencepiece.json").write_text(
        json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
