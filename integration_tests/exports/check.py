"""What a tuned model is written as, opened by Hugging Face's own libraries.

    python check.py

Needs ``transformers``, ``peft`` and ``torch``. A small model is tuned by the command and exported:
transformers writes the same greedy text from the folder, id for id, and from the base with the
adapter that peft loads.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from foundation_seq import generate
from foundation_transformer.cli import main
from foundation_transformer.cli._pretrained import load_run
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tuning import write_base, write_colours

MESSAGES = [{"role": "user", "content": "red a"}]


def greedy(model, prompt, count=24):
    """The ids that transformers' model writes."""
    ids = torch.tensor([prompt])
    with torch.no_grad():
        for _ in range(count):
            best = model(ids).logits[:, -1].argmax(dim=-1)
            ids = torch.cat([ids, best[:, None]], dim=1)
    return ids[0, len(prompt) :].tolist()


def check(folder):
    base, run = write_base(folder / "base"), folder / "run"
    data = write_colours(folder / "colours.jsonl")
    options = ["--lora", "2", "--max-len", "64", "--steps", "24", "--lr", "0.02", "--quiet"]
    assert main(["finetune", str(base), "--data", str(data), *options, "--out", str(run)]) == 0
    for kind in ("hf", "peft"):
        assert main(["export", str(run), "--to", kind, "--out", str(folder / kind)]) == 0

    ours = load_run(run)
    tokenizer = AutoTokenizer.from_pretrained(folder / "hf")
    prompt = ours.chat_template.encode(ours.tokenizer, MESSAGES, add_generation_prompt=True)
    theirs = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False)
    assert list(theirs) == prompt, "the chat template gives other ids"
    (expected,) = generate(ours.model, [prompt], 24)
    whole = AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32).eval()
    assert greedy(whole, prompt) == expected, "transformers writes another text"
    for kind, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        place = folder / kind
        command = ["export", str(run), "--to", "hf", "--type", kind, "--out", str(place)]
        assert main(command) == 0
        half = AutoModelForCausalLM.from_pretrained(place)
        assert half.dtype == dtype, "the type of the numbers is another one"
        exact = whole.state_dict()
        for name, value in half.state_dict().items():
            assert torch.equal(value, exact[name].to(dtype)), f"{name} is rounded otherwise"
    assert whole.generation_config.eos_token_id == 2, "the end of a text is another one"
    beneath = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(beneath, folder / "peft").eval()
    assert greedy(adapted, prompt) == expected, "peft writes another text"
    with torch.no_grad():
        logits = adapted(torch.tensor([prompt])).logits.numpy()
    np.testing.assert_allclose(logits, ours.model(np.array([prompt])).data, atol=1e-5)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        check(Path(place))
    sys.stdout.write("transformers and peft write what we write\n")
