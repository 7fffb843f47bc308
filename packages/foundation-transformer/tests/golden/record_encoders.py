"""Small encoders of Hugging Face's transformers: their folders, and what they answer.

    python record_encoders.py      writes encoders.npz beside this file

Needs ``torch`` and ``transformers``.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers as hf
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

HERE = Path(__file__).parent
IDS = np.array([[3, 6, 4, 6, 5, 9, 2, 6, 5, 30], [2, 7, 6, 8, 2, 8, 1, 1, 1, 1]])
REAL = np.array([[1] * 10, [1] * 6 + [0] * 4])
TEXTS = ["the cat", "a mat", "the the the the the the the cat a mat the cat"]
SIZES = {
    "vocab_size": 31,
    "max_position_embeddings": 13,
    "hidden_size": 20,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "pad_token_id": 1,
}
DISTILBERT = {
    "vocab_size": 31,
    "max_position_embeddings": 13,
    "dim": 20,
    "hidden_dim": 37,
    "n_layers": 2,
    "n_heads": 5,
    "pad_token_id": 1,
}

EVEN = SIZES | {"hidden_size": 24, "num_attention_heads": 3}
MODERNBERT = EVEN | {
    "num_hidden_layers": 4,
    "local_attention": 4,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}
LABELS = {"id2label": {0: "bad", 1: "so so", 2: "good"}}


def small_models():
    yield "roberta", hf.RobertaModel(hf.RobertaConfig(**SIZES, type_vocab_size=1))
    yield "distilbert", hf.DistilBertModel(hf.DistilBertConfig(**DISTILBERT))
    yield "mpnet", hf.MPNetModel(hf.MPNetConfig(**SIZES))
    yield "modernbert", hf.ModernBertModel(hf.ModernBertConfig(**MODERNBERT))
    yield "nomic", hf.NomicBertModel(hf.NomicBertConfig(**EVEN))
    yield (
        "roberta head",
        hf.RobertaForSequenceClassification(hf.RobertaConfig(**SIZES, type_vocab_size=1, **LABELS)),
    )
    yield (
        "distilbert head",
        hf.DistilBertForSequenceClassification(hf.DistilBertConfig(**DISTILBERT, **LABELS)),
    )
    yield "mpnet head", hf.MPNetForSequenceClassification(hf.MPNetConfig(**SIZES, **LABELS))
    yield "roberta mlm", hf.RobertaForMaskedLM(hf.RobertaConfig(**SIZES, type_vocab_size=1))
    yield "modernbert mlm", hf.ModernBertForMaskedLM(hf.ModernBertConfig(**MODERNBERT))


def shaken(model):
    with torch.no_grad():
        for weight in model.parameters():  # biases and norms are told apart, too
            weight += 0.2 * torch.randn_like(weight)
    return model.eval()


def record_folder(arrays, name, folder):
    texts = {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*.json"))}
    arrays[f"{name}/files"] = np.array(json.dumps(texts))
    for key, value in load_file(folder / "model.safetensors").items():
        arrays[f"{name}/weights/{key}"] = value


def tokenizer():
    """Byte-level BPE between the tokens of RoBERTa."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = ["a", "c", "e", "h", "m", "t", "Ġ"]
    joined = ["th", "the", "Ġthe", "at", "cat", "Ġcat", "mat", "Ġmat", "Ġa"]
    vocabulary = {token: i for i, token in enumerate([*special, *letters, *joined])}
    merges = ["t h", "th e", "Ġ the", "a t", "c at", "Ġ cat", "m at", "Ġ mat", "Ġ a"]
    merges = [tuple(merge.split()) for merge in merges]
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    roles = {"pad": "<pad>", "unk": "<unk>", "cls": "<s>", "sep": "</s>", "bos": "<s>"}
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{role}_token": token for role, token in roles.items()}
    )


def record_cross_encoder(arrays):
    """What sentence-transformers makes of such a folder: logits, and a sigmoid of them."""
    config = hf.RobertaConfig(**SIZES, type_vocab_size=1, num_labels=1)
    model, words = shaken(hf.RobertaForSequenceClassification(config)), tokenizer()
    options = {"padding": True, "truncation": "longest_first", "return_tensors": "pt"}
    inputs = words(["the cat"] * len(TEXTS), TEXTS, max_length=11, **options)
    with torch.no_grad():
        logits = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    arrays["cross/y"] = logits[:, 0].sigmoid().numpy()
    with tempfile.TemporaryDirectory() as place:
        model.save_pretrained(place)
        words.save_pretrained(place)
        record_folder(arrays, "cross", Path(place))


def main():
    torch.manual_seed(0)
    arrays = {"ids": IDS, "real": REAL, "texts": np.array(TEXTS)}
    for name, model in small_models():
        shaken(model)
        with torch.no_grad():
            output = model(torch.tensor(IDS), attention_mask=torch.tensor(REAL))
            if name.endswith("mlm"):  # what stays is the encoder
                output = model.base_model(torch.tensor(IDS), attention_mask=torch.tensor(REAL))
        arrays[f"{name}/y"] = output[0].numpy()
        if getattr(output, "pooler_output", None) is not None:
            arrays[f"{name}/pooled"] = output.pooler_output.numpy()
        with tempfile.TemporaryDirectory() as place:
            model.save_pretrained(place)
            record_folder(arrays, name, Path(place))
    record_cross_encoder(arrays)
    np.savez_compressed(HERE / "encoders.npz", **arrays)


if __name__ == "__main__":
    main()
