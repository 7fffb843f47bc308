"""Small decoders of Hugging Face's transformers, of each family: what they compute and write.

    python record_decoders.py      writes decoders.npz beside this file

Each has the fields that its family has changed, chosen so that they matter: windows shorter than
the text, caps that are reached, positions that are scaled. Needs ``torch`` and ``transformers``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

HERE = Path(__file__).parent
IDS = np.array([[3, 1, 4, 1, 5, 9, 2, 6, 5, 30, 8, 9], [2, 7, 1, 8, 2, 8, 1, 8, 28, 4, 5, 9]])
NEW_TOKENS = 9
SIZES = {
    "vocab_size": 31,
    "max_position_embeddings": 40,
    "hidden_size": 12,
    "intermediate_size": 7,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 50.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 20,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 100.0,
    "factor": 3.0,
    "original_max_position_embeddings": 100,
    "beta_fast": 20.0,
}
LINEAR = {"rope_type": "linear", "rope_theta": 100.0, "factor": 5.0}
BY_TURNS = ["sliding_attention", "full_attention"]


def small_models():
    """Names, configurations and classes."""
    yield "llama-3", LlamaConfig(**SIZES, head_dim=8, rope_parameters=LLAMA3), LlamaForCausalLM
    yield "llama-linear", LlamaConfig(**SIZES, rope_parameters=LINEAR), LlamaForCausalLM
    yield (
        "llama-biases",
        LlamaConfig(**SIZES, attention_bias=True, tie_word_embeddings=True),
        LlamaForCausalLM,
    )
    yield "mistral", MistralConfig(**SIZES, head_dim=6, sliding_window=4), MistralForCausalLM
    yield (
        "qwen2",
        Qwen2Config(
            **SIZES | {"num_attention_heads": 3, "num_key_value_heads": 1},
            use_sliding_window=True,
            sliding_window=5,
            max_window_layers=1,
            rope_parameters=YARN,
        ),
        Qwen2ForCausalLM,
    )
    yield "qwen3", Qwen3Config(**SIZES, head_dim=4), Qwen3ForCausalLM
    yield (
        "gemma2",
        Gemma2Config(
            **SIZES,
            head_dim=4,
            sliding_window=4,
            query_pre_attn_scalar=3,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
        ),
        Gemma2ForCausalLM,
    )
    yield (
        "gemma3",
        Gemma3TextConfig(
            **SIZES,
            head_dim=4,
            sliding_window=4,
            query_pre_attn_scalar=3,
            layer_types=BY_TURNS,
            rope_parameters={
                "full_attention": LINEAR,
                "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
            },
        ),
        Gemma3ForCausalLM,
    )
    yield (
        "smollm3",
        SmolLM3Config(**SIZES, no_rope_layer_interval=2, rope_theta=100.0),
        SmolLM3ForCausalLM,
    )
    yield (
        "phi3",
        Phi3Config(
            **SIZES | {"num_attention_heads": 3, "num_key_value_heads": 1},
            sliding_window=4,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 100.0,
                "partial_rotary_factor": 0.5,
            },
        ),
        Phi3ForCausalLM,
    )
    yield "olmo2", Olmo2Config(**SIZES), Olmo2ForCausalLM


def main():
    torch.manual_seed(0)
    ids = torch.tensor(IDS)
    arrays = {"ids": IDS}
    for name, config, kind in small_models():
        config._attn_implementation = "eager"  # the only one that has every field
        model = kind(config).eval()
        with torch.no_grad():
            for weight in model.parameters():  # of half precision, so that the file stays small
                weight += 0.3 * torch.randn_like(weight)
                weight.copy_(weight.half().float())
            y = model(ids).logits
            written = model.generate(
                ids[:1],
                attention_mask=torch.ones_like(ids[:1]),
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
                use_cache=True,
                eos_token_id=None,
            )
        arrays[f"{name}/config"] = np.array(json.dumps(model.config.to_dict()))
        arrays[f"{name}/y"] = y.numpy()
        arrays[f"{name}/written"] = written[0, IDS.shape[1] :].numpy()
        for key, value in model.state_dict().items():
            if key != "lm_head.weight" or not model.config.tie_word_embeddings:
                arrays[f"{name}/weights/{key}"] = value.numpy().astype(np.float16)
    np.savez_compressed(HERE / "decoders.npz", **arrays)


if __name__ == "__main__":
    main()
