"""Vectors and scores of small models that sentence-transformers and transformers make.

    python record_sentences.py      writes sentences.npz beside this file

Needs ``torch``, ``transformers`` and ``sentence-transformers``.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers import models as modules
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

HERE = Path(__file__).parent
TEXTS = ["the cat", "a mat sat on the cat", "mat", "query the the the the the the the a cat"]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "query",
]
SIZES = {
    "vocab_size": 13,  # one more than there are words
    "max_position_embeddings": 12,
    "hidden_size": 20,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
}
POOLING = {
    "mean": {"pooling_mode_mean_tokens": True},
    "cls": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "max": {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False},
    "last": {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
    "weighted": {"pooling_mode_weightedmean_tokens": True, "pooling_mode_mean_tokens": False},
    "root": {"pooling_mode_mean_sqrt_len_tokens": True, "pooling_mode_mean_tokens": False},
    "two": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
    "without prompt": {"pooling_mode_mean_tokens": True, "include_prompt": False},
}


def tokenizer():
    backend = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],  # as BERT's has it
        **{f"{role}_token": token for role, token in roles.items()},
    )


def shaken(model):
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn_like(weight)
    return model.eval()


def files_of(folder):
    return {
        str(file.relative_to(folder)): file.read_text("utf-8")
        for file in sorted(folder.rglob("*.json"))
    }


def record_embeddings(arrays):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shaken(BertModel(BertConfig(**SIZES))).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        parts = [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling",
            },
        ]
        normalize = {"idx": 2, "name": "2", "path": "2_Normalize"}
        normalize["type"] = "sentence_transformers.models.Normalize"
        (folder / "1_Pooling").mkdir()
        (folder / "2_Normalize").mkdir()
        limits = {"max_seq_length": 8, "do_lower_case": False}
        (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
        prompts = {"prompts": {"query": "query the ", "document": ""}, "default_prompt_name": None}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        for name, pooling in POOLING.items():
            is_normal = name in ("cls", "two")
            chosen = [*parts, normalize] if is_normal else parts
            (folder / "modules.json").write_text(json.dumps(chosen))
            config = {"word_embedding_dimension": 20, **pooling}
            (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
            model = SentenceTransformer(place, device="cpu")
            arrays[f"embed/{name}/files"] = np.array(json.dumps(files_of(folder)))
            arrays[f"embed/{name}/plain"] = model.encode(TEXTS)
            arrays[f"embed/{name}/query"] = model.encode(TEXTS, prompt_name="query")
        for key, value in load_file(folder / "model.safetensors").items():
            arrays[f"embed/weights/{key}"] = value


def record_dense(arrays):
    """The mean, two dense layers, and length one."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shaken(BertModel(BertConfig(**SIZES))).save_pretrained(folder)
        tokenizer().save_pretrained(folder)
        parts = [
            modules.Transformer(place, max_seq_length=8),
            modules.Pooling(20),
            modules.Dense(20, 7),
            modules.Dense(7, 5, bias=False, activation_function=torch.nn.ReLU()),
            modules.Normalize(),
        ]
        model = SentenceTransformer(modules=parts, device="cpu")
        model.save(place)
        arrays["dense/y"] = model.encode(TEXTS)
        arrays["dense/files"] = np.array(json.dumps(files_of(folder)))
        for name in ("", "2_Dense", "3_Dense"):
            where = f"dense/{name or 'weights'}/"
            for key, value in load_file(folder / name / "model.safetensors").items():
                arrays[where + key] = value


def record_heads(arrays):
    pairs = [("the cat", text) for text in TEXTS]
    kinds = {
        "one": {"num_labels": 1},
        "identity": {
            "num_labels": 1,
            "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
        },
        "three": {"id2label": {0: "bad", 1: "so so", 2: "good"}},
    }
    for name, options in kinds.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            model = shaken(BertForSequenceClassification(BertConfig(**SIZES, **options)))
            model.save_pretrained(folder)
            tokenizer().save_pretrained(folder)
            arrays[f"{name}/files"] = np.array(json.dumps(files_of(folder)))
            for key, value in load_file(folder / "model.safetensors").items():
                arrays[f"{name}/weights/{key}"] = value
            if name == "three":
                inputs = tokenizer()(TEXTS, padding=True, return_tensors="pt")
                with torch.no_grad():
                    arrays[f"{name}/y"] = model(**inputs).logits.softmax(1).numpy()
            else:
                arrays[f"{name}/y"] = CrossEncoder(place, device="cpu").predict(pairs)


def record_pretraining(arrays):
    """A model with the head of pretraining, and with the names that old files have."""
    model = shaken(BertForMaskedLM(BertConfig(**SIZES)))
    for key, value in model.state_dict().items():
        old = key.replace("LayerNorm.weight", "LayerNorm.gamma")
        old = old.replace("LayerNorm.bias", "LayerNorm.beta")
        arrays[f"old/weights/{old}"] = value.numpy()
    arrays["old/files"] = np.array(json.dumps({"config.json": json.dumps(model.config.to_dict())}))
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        arrays["old/y"] = model.bert(ids).last_hidden_state.numpy()


def main():
    torch.manual_seed(0)
    arrays = {"texts": np.array(TEXTS)}
    record_embeddings(arrays)
    record_heads(arrays)
    record_dense(arrays)
    record_pretraining(arrays)
    np.savez_compressed(HERE / "sentences.npz", **arrays)


if __name__ == "__main__":
    main()
