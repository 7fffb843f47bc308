"""What transformers makes of ``generation_config.json``: the probabilities of the next token.

    python record_generation.py      writes generation.json beside this file

Needs ``torch`` and ``transformers``.
"""

import json
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

PROMPT = [3, 1, 4, 1, 5]
#: As they stand in the folders of published models, and what has to be told apart.
CONFIGS = [
    {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [7, 9]},
    {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.3},
    {"do_sample": True},
    {"do_sample": True, "top_k": 0, "temperature": 1.5},
    {"do_sample": True, "min_p": 0.1, "top_k": 0},
    {"do_sample": True, "top_k": 64, "top_p": 0.95, "eos_token_id": [1, 106], "bos_token_id": 2},
]


def main():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=97, n_positions=32, n_embd=20, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn_like(weight)
    prompt = torch.tensor([PROMPT])
    recorded = {"prompt": PROMPT, "logits": model(prompt).logits[0, -1].tolist(), "cases": []}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        for config in CONFIGS:
            (Path(folder) / "generation_config.json").write_text(json.dumps(config))
            loaded = AutoModelForCausalLM.from_pretrained(folder)
            out = loaded.generate(
                prompt,
                max_new_tokens=1,
                pad_token_id=0,
                output_scores=True,
                return_dict_in_generate=True,
            )
            probabilities = out.scores[0][0].double().softmax(0)
            recorded["cases"].append({"config": config, "probabilities": probabilities.tolist()})
    text = json.dumps(recorded, indent=1) + "\n"
    (Path(__file__).parent / "generation.json").write_text(text)


if __name__ == "__main__":
    main()
