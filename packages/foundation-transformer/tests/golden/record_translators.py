"""Small encoder-decoders of Hugging Face's transformers: weights, logits, and what they write.

    python record_translators.py      writes translators.npz beside this file

Needs ``torch`` and ``transformers``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
)

HERE = Path(__file__).parent
#: Beams as published models have them, and others; how each tells transformers.
SEARCHES = {
    "default": {},
    "never": {"early_stopping": "never", "length_penalty": 0.6},
    "first": {"early_stopping": True, "length_penalty": 2.0},
    "none": {"length_penalty": 0.0},
    "free": {"forced_eos_token_id": None, "bad_words_ids": None},
    "anew": {"renormalize_logits": True},
}


def marian(**options):
    """The fields of opus-mt-en-fr, with small numbers."""
    config = {
        "vocab_size": 23,
        "decoder_vocab_size": 23,
        "max_position_embeddings": 19,
        "d_model": 12,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 3,
        "decoder_attention_heads": 3,
        "encoder_ffn_dim": 17,
        "decoder_ffn_dim": 17,
        "activation_function": "swish",
        "scale_embedding": True,
        "pad_token_id": 22,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "decoder_start_token_id": 22,
        "forced_eos_token_id": 0,
        "share_encoder_decoder_embeddings": True,
    }
    return MarianMTModel(MarianConfig(**(config | options)))


def t5(**options):
    """The fields of t5-small or flan-t5-small, with small numbers."""
    config = {
        "vocab_size": 23,
        "d_model": 12,
        "d_kv": 5,
        "d_ff": 17,
        "num_layers": 1,
        "num_decoder_layers": 2,
        "num_heads": 3,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 11,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }
    return T5ForConditionalGeneration(T5Config(**(config | options)))


def models():
    yield "marian", marian()
    yield "two", marian(share_encoder_decoder_embeddings=False, decoder_vocab_size=19,
                        pad_token_id=18, decoder_start_token_id=18)  # fmt: skip
    yield "t5", t5()
    yield "flan", t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False)


def strong(model, rng):
    """Weights at which everything counts, and with which texts differ and end."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" in name:
                continue
            if weight.ndim > 1:
                is_embedding = "shared" in name or "embed" in name or "lm_head" in name
                weight[:] = (0.4 if is_embedding else 1.0) * torch.randn(
                    weight.shape, generator=rng
                )
            else:
                weight += 0.2 * torch.randn(weight.shape, generator=rng)
        if isinstance(model, MarianMTModel):
            model.final_logits_bias[:] = 0.5 * torch.randn(
                model.final_logits_bias.shape, generator=rng
            )
            model.final_logits_bias[0, model.config.eos_token_id] += 1


def untied(model, rng):
    """An output layer of its own, as Flan-T5 has; transformers 5 ties it in a new model."""
    head = torch.nn.Linear(model.config.d_model, model.config.vocab_size, bias=False)
    with torch.no_grad():
        head.weight[:] = 0.4 * torch.randn(head.weight.shape, generator=rng)
    model.lm_head = head
    model.config.tie_word_embeddings = False


def weights(model):
    """As files have them: what is tied stands there once, under its first name."""
    seen = set()
    for name, value in model.state_dict().items():
        if value.data_ptr() not in seen and "embed_positions" not in name:
            seen.add(value.data_ptr())
            yield name, value.numpy()


def main():
    rng = torch.Generator().manual_seed(0)
    draw = np.random.default_rng(0)
    real = np.arange(11) < np.array([[11], [4], [7], [1]])
    target_real = np.arange(6) < np.array([[6], [5], [3], [6]])
    arrays = {"real": real, "target_real": target_real}
    for name, model in models():
        model.eval()
        strong(model, rng)
        if name == "flan":
            untied(model, rng)
        c = model.config
        start, eos = c.decoder_start_token_id, c.eos_token_id
        source = draw.integers(2, 18, real.shape)
        source[np.arange(4), real.sum(1) - 1] = eos
        source[~real] = c.pad_token_id
        target = draw.integers(2, 18, target_real.shape)
        target[:, 0] = start
        inputs = {
            "input_ids": torch.tensor(source),
            "attention_mask": torch.tensor(real.astype(int)),
        }
        with torch.no_grad():
            output = model(
                **inputs,
                decoder_input_ids=torch.tensor(target),
                decoder_attention_mask=torch.tensor(target_real.astype(int)),
            )
        arrays[f"{name}/source"] = source
        arrays[f"{name}/target"] = target
        arrays[f"{name}/memory"] = output.encoder_last_hidden_state.numpy()
        arrays[f"{name}/logits"] = output.logits.numpy()
        said = {
            "decoder_start_token_id": start,
            "eos_token_id": eos,
            "pad_token_id": c.pad_token_id,
            "max_length": 12,
            "num_beams": 4,
        }
        if name in ("marian", "two"):
            said |= {"forced_eos_token_id": eos, "bad_words_ids": [[c.pad_token_id]]}
        for search, options in {"greedy": {"num_beams": 1}, **SEARCHES}.items():
            generation = {k: v for k, v in {**said, **options}.items() if v is not None}
            beams = generation["num_beams"]
            with torch.no_grad():
                model.generation_config = GenerationConfig(**generation)
                written = model.generate(
                    **inputs, num_return_sequences=beams, output_scores=True,
                    return_dict_in_generate=True, use_cache=False,
                )  # fmt: skip
            arrays[f"{name}/{search}/said"] = np.array(json.dumps(generation))
            arrays[f"{name}/{search}/ids"] = written.sequences.numpy()
            if beams > 1:
                arrays[f"{name}/{search}/scores"] = written.sequences_scores.numpy()
        described = model.config.to_dict()
        if name in ("t5", "flan"):  # which transformers 5 keeps elsewhere
            described["tie_word_embeddings"] = name == "t5"
        arrays[f"{name}/config"] = np.array(json.dumps(described))
        for key, value in weights(model):
            arrays[f"{name}/weights/{key}"] = value
    np.savez_compressed(HERE / "translators.npz", **arrays)


if __name__ == "__main__":
    main()
