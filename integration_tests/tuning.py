"""A small published model, and examples to tune it with."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foundation_nn.training import Progress, checkpoints_of
from foundation_transformer import CausalLM, TransformerConfig, save_pretrained
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.cli import main
from foundation_transformer.pretrained import GenerationDefaults
from foundation_transformer.pretrained._tokenizer import byte_level_bpe

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SIZES = {"d_model": 32, "num_heads": 4, "num_kv_heads": 2, "num_layers": 2, "d_ff": 64}


def tokenizer_of_bytes() -> Any:
    """A token for each byte, one of two, and those that steer."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    alphabet = [chr(b) for b in visible] + [chr(256 + i) for i in range(len(hidden))]
    ids = {token: i for i, token in enumerate([*TOKENS, *alphabet, "re"])}
    roles = {"bos": TOKENS[1], "eos": TOKENS[2], "unk": TOKENS[0], "pad": TOKENS[2]}
    return byte_level_bpe(ids, ["r e"], "smollm", special=TOKENS, added=[], roles=roles)


def write_base(folder: Path, seed: int = 0, template: str | None = TEMPLATE, **sizes: int) -> Path:
    """A small Llama that has learnt nothing, as Hugging Face would publish it."""
    tokenizer = tokenizer_of_bytes()
    config = TransformerConfig.llama(
        vocab_size=len(tokenizer), max_len=128, tie_embeddings=True, **(SIZES | sizes)
    )
    model = CausalLM(config, rng=np.random.default_rng(seed))
    for p in model.parameters():
        if p.ndim == 2:  # as large as those of a model that has learnt something
            p.data = 4 * p.data
    chat = None if template is None else ChatTemplate.of(template, {"eos_token": TOKENS[2]})
    said = GenerationDefaults.from_json({"eos_token_id": 2, "bos_token_id": 1})
    return save_pretrained(folder, model, tokenizer, chat, said)


def write_lines(file: Path, records: Sequence[Any]) -> Path:
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def talk(*texts: str) -> dict[str, Any]:
    """A conversation, the user first."""
    roles = ["user", "assistant"] * len(texts)
    return {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]}


def write_colours(file: Path) -> Path:
    """Forty questions with answers of a letter or two."""
    words = ["red", "blue", "green", "grey", "black", "white", "pink", "brown"]
    return write_lines(
        file, [talk(f"{word} {n}", word[:2]) for word in words for n in ("a", "b", "c", "d", "e")]
    )


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """The status of a command, and what it printed and complained of."""
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def ends_like(
    run: Path,
    command: list[str],
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
    steps: int,
) -> None:
    """A command that is stopped after some step and resumed ends with the bits of ``run``."""
    original = Progress.on_step

    def stopping(self: Progress, trainer: Any, step: Any) -> None:
        original(self, trainer, step)
        if step.step == stop:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Progress, "on_step", stopping)
    assert main([*command, "--out", str(out)]) == 130
    assert checkpoints_of(out)[-1].name == f"step_{stop:06}"
    monkeypatch.undo()
    assert main(["resume", str(out)]) == 0
    for name in ("checkpoint", f"last/step_{steps:06}"):
        for file in sorted((run / name).iterdir()):
            assert (out / name / file.name).read_bytes() == file.read_bytes(), file
