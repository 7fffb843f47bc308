"""Record what transformers and PyTorch make of the published models, as ``references.npz``.

    python record.py [FOLDER]     the folder that fetch.py has filled

Needs ``torch``, ``transformers``, ``accelerate`` and ``gguf``. The weights are those of the same
files, widened by transformers itself.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch  # noqa: TID251  (records what tests compare with)
from samples import COLUMNS, CONVERSATION, PROMPTS, SENTENCES, TEXTS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).resolve().parent


def smollm2_tokenizer(folder):
    """As published: digits one by one, then GPT-2's cut. (A GGUF file says only "smollm".)"""
    theirs = AutoTokenizer.from_pretrained(folder, gguf_file="smollm2.gguf")
    model = json.loads(theirs.backend_tokenizer.to_str())["model"]
    tokenizer = Tokenizer(models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main():
    folder = Path(sys.argv[1])
    arrays = {}

    tokenizer = smollm2_tokenizer(folder)
    for i, text in enumerate(TEXTS):
        arrays[f"smollm2/ids/{i}"] = np.array(tokenizer.encode(text).ids)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file="smollm2.gguf", dtype=torch.float32
    ).eval()
    for i, prompt in enumerate(PROMPTS):
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        with torch.no_grad():
            arrays[f"smollm2/logits/{i}"] = model(ids).logits[0, :, COLUMNS].numpy()
    special = AutoTokenizer.from_pretrained(folder, gguf_file="smollm2.gguf")
    ids = torch.tensor([special.encode(CONVERSATION)])
    arrays["smollm2/conversation"] = ids[0].numpy()
    with torch.no_grad():
        answer = model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :]
    arrays["smollm2/answer"] = answer.numpy()

    tokenizer = Tokenizer.from_file(str(folder / "minilm" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for i, text in enumerate(TEXTS):
        arrays[f"minilm/ids/{i}"] = np.array(tokenizer.encode(text).ids)
    model = AutoModel.from_pretrained(folder / "minilm", dtype=torch.float32).eval()
    vectors = []
    for sentence in SENTENCES:
        ids = torch.tensor([tokenizer.encode(sentence).ids])
        with torch.no_grad():
            mean = model(ids).last_hidden_state[0].mean(0)
        vectors.append((mean / mean.norm()).numpy())
    arrays["minilm/vectors"] = np.array(vectors)
    np.savez_compressed(HERE / "references.npz", **arrays)


if __name__ == "__main__":
    main()
