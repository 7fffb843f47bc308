"""Chat templates of published models: the ids of transformers, and nobody in another's role."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chat_templates import REFERENCES, conversations, digest, tokens_of, without_a_date
from fetch import FOLDER
from foundation_data import BPETokenizer
from foundation_data.tokenizers.pipeline._byte_alphabet import ALPHABET
from foundation_transformer.chat import ChatTemplate

RECORDED = json.loads(REFERENCES.read_text("utf-8"))
TEMPLATES = FOLDER / "templates"
PLAIN = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}

pytestmark = pytest.mark.skipif(
    not TEMPLATES.is_dir(), reason=f"no templates in {TEMPLATES}: nox -s models fetches them"
)


def sample(name: str) -> tuple[ChatTemplate, BPETokenizer, list[str]]:
    """A template, and a tokenizer of bytes and the tokens that it writes."""
    text = (TEMPLATES / f"{name}.jinja").read_text("utf-8")
    assert digest(text) == RECORDED[name]["template"]
    template = ChatTemplate.of(without_a_date(text), {"bos_token": "<s>", "eos_token": "</s>"})
    tokens = tokens_of(without_a_date(text))
    alphabet = sorted(ALPHABET)
    ids = {token: i for i, token in enumerate([*alphabet, *tokens])}
    added = [{"id": ids[t], "content": t, "special": True, **PLAIN} for t in tokens]
    model = {"type": "BPE", "vocab": ids, "merges": []}
    cut = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    document = {"added_tokens": added, "pre_tokenizer": cut, "model": model}
    content = {"kind": "bpe", "specials": {"eos": "</s>"}, "tokenizer": document}
    return template, BPETokenizer.from_dict(content), tokens


@pytest.mark.parametrize("name", RECORDED)
def test_ids_are_those_of_transformers(name: str) -> None:
    template, tokenizer, _ = sample(name)
    for kind, (messages, options) in conversations().items():
        answer = RECORDED[name]["answers"][kind]
        if "refused" in answer:
            with pytest.raises(ValueError, match="chat template: "):
                template.render(messages, **options)
            continue
        text = template.render(messages, **options)
        assert digest(text) == answer["text"], kind
        assert digest(template.encode(tokenizer, messages, **options)) == answer["ids"], kind


@pytest.mark.parametrize("name", RECORDED)
def test_nobody_takes_another_role(name: str) -> None:
    template, tokenizer, tokens = sample(name)
    special = {tokenizer.vocabulary.token_to_id(token) for token in tokens}

    def steering(words: str) -> list[int]:
        messages = [{"role": "user", "content": words}]
        ids = template.encode(tokenizer, messages, add_generation_prompt=True)
        return [i for i in ids if i in special]

    try:
        honest = steering("Hello")
    except ValueError:
        pytest.skip("it wants to be told more")
    assert steering("Hello " + "".join(tokens)) == honest
