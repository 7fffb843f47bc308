"""Small models of Hugging Face's transformers: configurations, weights, and what they answer.

    python record_pretrained.py      writes pretrained.npz beside this file

Needs ``torch`` and ``transformers``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

HERE = Path(__file__).parent
IDS = np.array([[3, 1, 4, 1, 5, 9, 2, 6, 5, 30], [2, 7, 1, 8, 2, 8, 0, 0, 0, 0]])
REAL = np.array([[1] * 10, [1] * 6 + [0] * 4])


def small_models():
    """Every size another prime, as far as sizes may."""
    yield (
        "gpt2",
        GPT2LMHeadModel(
            GPT2Config(vocab_size=31, n_positions=13, n_embd=20, n_layer=2, n_head=5, n_inner=37)
        ),
    )
    llama = {
        "vocab_size": 31,
        "max_position_embeddings": 13,
        "hidden_size": 24,
        "intermediate_size": 19,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "rope_theta": 1e5,
    }
    yield "llama", LlamaForCausalLM(LlamaConfig(**llama))
    yield "tied", LlamaForCausalLM(LlamaConfig(**llama, tie_word_embeddings=True))
    yield (
        "bert",
        BertModel(
            BertConfig(
                vocab_size=31,
                max_position_embeddings=13,
                hidden_size=20,
                intermediate_size=37,
                num_hidden_layers=2,
                num_attention_heads=5,
            )
        ),
    )


def main():
    torch.manual_seed(0)
    arrays = {"ids": IDS, "real": REAL}
    for name, model in small_models():
        model.eval()
        with torch.no_grad():
            for weight in model.parameters():  # biases and norms are told apart, too
                weight += 0.1 * torch.randn_like(weight)
            output = model(torch.tensor(IDS), attention_mask=torch.tensor(REAL))
        y = output.logits if hasattr(output, "logits") else output.last_hidden_state
        arrays[f"{name}/config"] = np.array(json.dumps(model.config.to_dict()))
        arrays[f"{name}/y"] = y.numpy()
        for key, value in model.state_dict().items():
            if key != "lm_head.weight" or not model.config.tie_word_embeddings:
                arrays[f"{name}/weights/{key}"] = value.numpy()
    np.savez_compressed(HERE / "pretrained.npz", **arrays)


if __name__ == "__main__":
    main()
