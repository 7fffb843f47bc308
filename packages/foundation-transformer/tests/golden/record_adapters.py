"""Adapters of Hugging Face's peft around the models of ``record_pretrained.py``.

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
#: The matrices that each model has an adapter for, and whether α is divided by √r.
CASES = {
    "llama": (["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], False),
    "tied": (["q_proj", "v_proj", "up_proj"], True),
    "gpt2": (["c_attn", "c_proj", "c_fc"], False),
    "bert": (["query", "key", "value", "dense"], False),
}


def base_model(name):
    config = transformers.AutoConfig.for_model(**json.loads(str(MODELS[f"{name}/config"])))
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    model = kind.from_config(config)
    prefix = f"{name}/weights/"
    state = {k.removeprefix(prefix): torch.tensor(MODELS[k]) for k in MODELS if prefix in k}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    return model.eval()


def main():
    torch.manual_seed(1)
    ids = torch.tensor(MODELS["ids"][:1])
    arrays = {}
    for name, (targets, rslora) in CASES.items():
        if name == "bert":  # not the layer behind the network, which is no part of the stack
            targets = r"encoder\..*\.(query|key|value|dense)"
        config = LoraConfig(r=3, lora_alpha=5, target_modules=targets, use_rslora=rslora)
        model = get_peft_model(base_model(name), config).eval()
        for key, value in model.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(value, std=0.5)
        output = model(ids)
        y = output.logits if hasattr(output, "logits") else output.last_hidden_state
        g = torch.randn_like(y)
        (y * g).sum().backward()
        arrays[f"{name}/y"], arrays[f"{name}/g"] = y.detach().numpy(), g.numpy()
        for key, value in model.named_parameters():
            if value.requires_grad:
                arrays[f"{name}/grads/{key.replace('.default', '')}"] = value.grad.numpy()
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            text = Path(folder, "adapter_config.json").read_text()
            arrays[f"{name}/config"] = np.array(text)
            for key, value in load_file(Path(folder, "adapter_model.safetensors")).items():
                arrays[f"{name}/weights/{key}"] = value
    np.savez_compressed(HERE / "adapters.npz", **arrays)


if __name__ == "__main__":
    main()
