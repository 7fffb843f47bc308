"""Record what transformers writes with the chat templates of published models.

    python record_chat_templates.py FOLDER     the folder of templates; writes chat_templates.json

Needs ``transformers`` and ``jinja2``.
"""

import json
import sys
from pathlib import Path

import jinja2
from chat_templates import REFERENCES, conversations, digest, tokens_of, without_a_date
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def tokenizer_of(tokens):
    """Bytes, and tokens that steer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens])
    return tokenizer


def main():
    recorded = {}
    for file in sorted(Path(sys.argv[1]).glob("*.jinja")):
        template = without_a_date(file.read_text("utf-8"))
        theirs = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer_of(tokens_of(template)), bos_token="<s>", eos_token="</s>"
        )
        answers = {}
        for name, (messages, options) in conversations().items():
            options = dict(options, chat_template=template, tokenize=False)
            try:
                text = theirs.apply_chat_template(messages, **options)
            except Exception as error:  # noqa: BLE001  (a template refuses in many ways)
                answers[name] = {"refused": isinstance(error, jinja2.TemplateError)}
                continue
            ids = theirs(text, add_special_tokens=False)["input_ids"]
            answers[name] = {"text": digest(text), "ids": digest(ids)}
        recorded[file.stem] = {"template": digest(file.read_text("utf-8")), "answers": answers}
    REFERENCES.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
