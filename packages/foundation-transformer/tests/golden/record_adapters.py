"""Adapters of Hugging Face's peft around the models of ``record_pretrained.py`` and
``record_translators.py``.

    python record_adapters.py      writes adapters.npz beside this file

Needs ``torch``, ``transformers`` and ``peft``. The files are those that peft writes; the values are
what the adapted models answer, and the gradients of a randomly weighted sum of that.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file

HERE = Path(__file__).parent
MODELS = np.load(HERE / "pretrained.npz")
TRANSLATORS = np.load(HERE / "translators.npz")
#: The matrices that each model has an adapter for, and whether α is divided by √r.
CASES = {
    "llama": (["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], False),
    "tied": (["q_proj", "v_proj", "up_proj"], True),
    "gpt2": (["c_attn", "c_proj", "c_fc"], False),
    "bert": (["query", "key", "value", "dense"], False),
    "marian": (["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"], False),
    "flan": (["q", "v", "wi_0", "wo"], False),
}


def base_model(name):
    arrays = TRANSLATORS if name in ("marian", "flan") else MODELS
    config = transformers.AutoConfig.for_model(**json.loads(str(arrays[f"{name}/config"])))
    kind = transformers.AutoModelForCausalLM
    if name == "bert":
        kind = transformers.AutoModel
    if arrays is TRANSLATORS:
        kind = transformers.AutoModelForSeq2SeqLM
    model = kind.from_config(config)
    if name == "flan":  # transformers 5 ties it in a new model
        model.lm_head = torch.nn.Linear(config.d_model, config.vocab_size, bias=False)
    prefix = f"{name}/weights/"
    state = {k.removeprefix(prefix): torch.tensor(arrays[k]) for k in arrays if prefix in k}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    # What is tied stands in the file once; the positions of Marian are computed.
    assert all("embed_" in name or name == "lm_head.weight" for name in missing), missing
    return model.eval()


def inputs(name):
    """What the model reads: one text, or a source and a target."""
    if name not in ("marian", "flan"):
        return {"input_ids": torch.tensor(MODELS["ids"][:1])}
    source, target = (TRANSLATORS[f"{name}/{side}"][:1] for side in ("source", "target"))
    return {"input_ids": torch.tensor(source), "decoder_input_ids": torch.tensor(target)}


def main():
    torch.manual_seed(1)
    arrays = {}
    for name, (targets, rslora) in CASES.items():
        if name == "bert":  # not the layer behind the network, which is no part of the stack
            targets = r"encoder\..*\.(query|key|value|dense)"
        config = LoraConfig(r=3, lora_alpha=5, target_modules=targets, use_rslora=rslora)
        model = get_peft_model(base_model(name), config).eval()
        if name in ("marian", "flan"):  # whose weights are large, so that float32 is not enough
            model.double()
        for key, value in model.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(value, std=0.5)
        output = model(**inputs(name))
        y = output.logits if hasattr(output, "logits") else output.last_hidden_state
        g = torch.randn_like(y)
        (y * g).sum().backward()
        arrays[f"{name}/y"], arrays[f"{name}/g"] = y.detach().numpy(), g.numpy()
        for key, value in model.named_parameters():
            if value.requires_grad:
                arrays[f"{name}/grads/{key.replace('.default', '')}"] = value.grad.float().numpy()
        with tempfile.TemporaryDirectory() as folder:
            model.float().save_pretrained(folder)
            text = Path(folder, "adapter_config.json").read_text()
            arrays[f"{name}/config"] = np.array(text)
            for key, value in load_file(Path(folder, "adapter_model.safetensors")).items():
                arrays[f"{name}/weights/{key}"] = value
    np.savez_compressed(HERE / "adapters.npz", **arrays)


if __name__ == "__main__":
    main()
