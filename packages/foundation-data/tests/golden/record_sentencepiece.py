"""The ids and texts that SentencePiece makes with models that it has trained.

    python record_sentencepiece.py      writes NAME.spm and sentencepiece.json beside this file

Needs ``sentencepiece`` and ``transformers``. The models are packed, since the table of NFKC takes
most of their bytes.
"""

import gzip
import io
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece
from transformers import MarianTokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from sentencepiece_samples import MARIAN, MARIAN_TEXTS, MODELS, TEXTS, TRAINING, marian_table


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


def marian(models):
    """What a translator's tokenizer makes of texts, on both sides."""
    sides = {}
    for side, name in MARIAN.items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=models[name])
        sides[side] = [processor.id_to_piece(i) for i in range(len(processor))]
    with tempfile.TemporaryDirectory() as folder:
        files = {side: Path(folder, f"{side}.spm") for side in MARIAN}
        for side, name in MARIAN.items():
            files[side].write_bytes(models[name])
        table = Path(folder, "vocab.json")
        table.write_text(json.dumps(marian_table(**sides)))
        theirs = MarianTokenizer(str(files["source"]), str(files["target"]), str(table))
        sources = [theirs(text).input_ids for text in MARIAN_TEXTS]
        targets = [theirs(text_target=text).input_ids for text in MARIAN_TEXTS]
        options = {"skip_special_tokens": True, "use_source_tokenizer": False}
        return {
            "table": marian_table(**sides),
            "source": sources,
            "target": targets,
            "decoded": [theirs.decode(row, **options) for row in targets],
        }


def main():
    recorded = {}
    models = {}
    for name, options in MODELS.items():
        model = models[name] = train(options)
        (HERE / f"{name}.spm.gz").write_bytes(gzip.compress(model, mtime=0))
        theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [theirs.encode(text) for text in TEXTS]
        recorded[name] = {"ids": ids, "texts": [theirs.decode(row) for row in ids]}
    content = {"sentencepiece": sentencepiece.__version__, "models": recorded}
    content["marian"] = marian(models)
    (HERE / "sentencepiece.json").write_text(
        json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
