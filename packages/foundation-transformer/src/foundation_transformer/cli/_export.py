"""``foundation merge`` and ``foundation export``: a tuned model in one piece, or for others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from foundation_nn import checkpoint

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._text_encoder import TextEncoder
from foundation_transformer.adapters import Lora, save_adapter
from foundation_transformer.cli._folder import find_checkpoint
from foundation_transformer.cli._pretrained import is_published, load_base, load_with_tokenizer
from foundation_transformer.pretrained import BaseModel, save_gguf, save_pretrained

#: The types of numbers in the files of others, the usual one first.
_TYPES = {
    "hf": ("f32", "f16", "bf16"),
    "gguf": ("f16", "f32", "bf16", "q8_0"),
    "peft": ("f32",),
}


def merge(options: argparse.Namespace) -> None:
    """Save the base with the change in its weights.

    Raises
    ------
    OSError, ValueError
        If the run holds no change, its base is not there or another one, or something else stands
        at the place for the result.
    """
    _adapter_of(options.folder)
    if options.out.exists():
        raise FileExistsError(f"{options.out}: exists; choose another place with --out")
    loaded, tokenizer = load_with_tokenizer(options.folder, base=options.base)
    extras: dict[str, Any] = {"tokenizer": tokenizer, "generation": loaded.generation}
    if loaded.chat_template is not None:
        extras["chat_template"] = loaded.chat_template
    loaded.model.unfreeze()
    checkpoint.save(options.out, loaded.model, **extras)
    print(f"{options.folder} with its base, in one piece: {options.out}")


def export(options: argparse.Namespace) -> None:
    """Write the files of other programs.

    Raises
    ------
    OSError, ValueError, ImportError
        If there is no such model, these files have no place for it, or a library is missing.
    """
    kind = _kind_of_numbers(options)
    if options.out.exists() and (options.out.is_file() or any(options.out.iterdir())):
        raise FileExistsError(f"{options.out}: exists; choose another place with --out")
    if options.to == "gguf" and options.out.is_dir():
        raise IsADirectoryError(
            f"{options.out}: a folder; --to gguf writes a file, such as "
            f"{options.out / 'model.gguf'}"
        )
    if options.to == "peft":
        _export_adapter(options.folder, options.out, options.base)
    else:
        loaded, tokenizer = load_with_tokenizer(options.folder, base=options.base)
        model = loaded.model
        said = loaded.generation if loaded.generation.content else None
        if options.to == "hf":
            pooling = loaded.pooling if isinstance(model, TextEncoder) else None
            save_pretrained(
                options.out,
                model,
                tokenizer,
                loaded.chat_template,
                said,
                loaded.target_tokenizer,
                pooling,
                kind=kind,
            )
        elif not isinstance(model, CausalLM):
            raise ValueError(f"{options.folder}: no language model, which a .gguf file holds")
        else:
            save_gguf(options.out, model, tokenizer, loaded.chat_template, said, kind=kind)
    print(options.out)


def _kind_of_numbers(options: argparse.Namespace) -> str:
    """The type that the numbers in the file have.

    Raises
    ------
    ValueError
        If these files do not have numbers of the given type.
    """
    kinds = _TYPES[options.to]
    if options.type is None:
        return kinds[0]
    if len(kinds) == 1:
        raise ValueError(f"--type: does nothing with --to {options.to}, which has float32")
    if options.type not in kinds:
        others = [to for to, known in _TYPES.items() if options.type in known]
        raise ValueError(
            f"--type: --to {options.to} has {', '.join(kinds)}; {options.type} is for "
            f"--to {' or '.join(others)}"
        )
    return str(options.type)


def _export_adapter(run: Path, out: Path, base: Path | None) -> None:
    lora, record = _adapter_of(run)
    if lora.head is not None:
        raise ValueError(
            f"{run}: has learnt a head with its change, which an adapter of peft is not written "
            "with; put them into one piece by foundation merge, or write that with --to hf"
        )
    lora.attach(load_base(record.find(base)).model)
    save_adapter(out, lora, record.path if base is None else base)


def _adapter_of(run: Path) -> tuple[Lora, BaseModel]:
    """The change that a run has learnt, and the record of its base.

    Raises
    ------
    OSError, ValueError
        If it has learnt none.
    """
    if is_published(run):
        raise ValueError(f"{run}: a published model; expected a run of: foundation finetune")
    saved = checkpoint.load(find_checkpoint(run))
    if not isinstance(saved.model, Lora):
        raise ValueError(
            f"{run}: holds a whole model, and no change beside one; it is in one piece already"
        )
    return saved.model, saved.extras["base"]
