"""What ``apply_chat_template`` of transformers makes of our templates and conversations.

    python record_chat.py      writes chat.json beside this file

Needs ``transformers`` and ``jinja2``.
"""

import hashlib
import json
import sys
from pathlib import Path

import jinja2
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from chat_samples import CONVERSATIONS, SPECIAL_TOKENS, TEMPLATES, TOKENS


def tokenizer_of(tokens):
    """Bytes, and tokens that steer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens])
    return tokenizer


def digest(ids):
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def main():
    backend = tokenizer_of(TOKENS)
    theirs = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)
    cases = []
    for name, template in TEMPLATES.items():
        for kind, (messages, options) in CONVERSATIONS.items():
            case = {"template": name, "conversation": kind}
            options = dict(options, chat_template=template, tokenize=False)
            try:
                case["text"] = theirs.apply_chat_template(messages, **options)
                ids = theirs(case["text"], add_special_tokens=False)["input_ids"]
                case["ids"] = digest(ids)
            except (jinja2.TemplateError, TypeError, AttributeError) as error:
                case["error"] = str(error)
            cases.append(case)
    recorded = {"tokenizer": json.loads(backend.to_str()), "cases": cases}
    text = json.dumps(recorded, ensure_ascii=False, indent=1) + "\n"
    (HERE / "chat.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
