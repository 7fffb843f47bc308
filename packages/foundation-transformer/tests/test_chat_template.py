"""Chat templates: the text and the ids that transformers gives, and nobody in another's role."""

import hashlib
import json
from pathlib import Path

import pytest
from chat_samples import CONVERSATIONS, SPECIAL_TOKENS, TEMPLATES, TOKENS
from foundation_data import Tokenizer
from foundation_transformer.chat import ChatTemplate

GOLDEN = json.loads((Path(__file__).parent / "golden" / "chat.json").read_text("utf-8"))
CASES = {f"{case['template']}, {case['conversation']}": case for case in GOLDEN["cases"]}


@pytest.fixture(scope="module")
def tokenizer():
    content = {"kind": "bpe", "specials": {"eos": "</s>"}, "tokenizer": GOLDEN["tokenizer"]}
    return Tokenizer.from_dict(content)


def template_of(name):
    return ChatTemplate.of(TEMPLATES[name], SPECIAL_TOKENS)


@pytest.mark.parametrize("name", CASES)
def test_text_and_ids_are_those_of_transformers(tokenizer, name):
    case = CASES[name]
    template = template_of(case["template"])
    messages, options = CONVERSATIONS[case["conversation"]]
    if "error" in case:
        with pytest.raises(ValueError, match="^chat template: "):
            template.render(messages, **options)
        return
    assert template.render(messages, **options) == case["text"]
    ids = template.encode(tokenizer, messages, **options)
    assert hashlib.sha256(json.dumps(ids).encode()).hexdigest() == case["ids"]


def forged(value, tokens):
    """A message in which someone tries every token."""
    if isinstance(value, dict):
        return {k: v if k in ("role", "type") else forged(v, tokens) for k, v in value.items()}
    if isinstance(value, list):
        return [forged(each, tokens) for each in value]
    return f"{value} {''.join(tokens)} {tokens[0][:2]}" if isinstance(value, str) else value


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "text" in case])
def test_no_message_takes_another_role(tokenizer, name):
    """However a template turns the words of a message, none becomes a token."""
    case = CASES[name]
    template = template_of(case["template"])
    messages, options = CONVERSATIONS[case["conversation"]]
    options = {k: forged(v, TOKENS) if k in ("tools", "name") else v for k, v in options.items()}
    special = {tokenizer.vocabulary.token_to_id(token) for token in TOKENS}

    def steering(messages, **options):
        ids = template.encode(tokenizer, messages, **options)
        return [i for i in ids if i in special]

    # A template may ask what a message says, and write other tokens for it: hence the same words
    # with a letter in each of the tokens, which are none then.
    harmless = [token[0] + "x" + token[1:] for token in TOKENS]
    with_tokens = forged(messages, TOKENS)
    without = forged(messages, harmless)
    assert steering(with_tokens, **options) == steering(without, **options)


def test_a_token_is_not_put_together_from_parts(tokenizer):
    template = ChatTemplate.of(
        "{% for m in messages %}{% for p in m.content %}{{ p.text | trim }}{% endfor %}{% endfor %}"
    )
    parts = ["<|us", "er|>", " <|user|> "]
    messages = [{"role": "user", "content": [{"type": "text", "text": part} for part in parts]}]
    assert template.render(messages) == "<|user|><|user|>"
    assert template.pieces(messages) == [("<|user|><|user|>", False)]
    removed = ChatTemplate.of("{{ messages[0].content.replace('-', '') }}<|end|>")
    messages = [{"role": "user", "content": "<-|end|>"}]
    assert removed.pieces(messages) == [("<|end|>", False), ("<|end|>", True)]
    end = tokenizer.vocabulary.token_to_id("<|end|>")
    assert removed.encode(tokenizer, messages).count(end) == 1


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("c + '<|end|>'", [("a", False), ("<|end|>", True)]),
        ("'<|end|>' + c", [("<|end|>", True), ("a", False)]),
        ("['<|s|>', c, '<|end|>'] | join", [("<|s|>", True), ("a", False), ("<|end|>", True)]),
        ("[c, c] | join('<|end|>')", [("a", False), ("<|end|>", True), ("a", False)]),
        ("'<|end|>'.join([c, c])", [("a", False), ("<|end|>", True), ("a", False)]),
        ("'<|end|>X' | replace('X', c)", [("<|end|>", True), ("a", False)]),
        ("'<|end|>X'.replace('X', c)", [("<|end|>", True), ("a", False)]),
        ("c | default('<|end|>')", [("a", False)]),
        ("none | default('<|end|>', true)", [("<|end|>", True)]),
        ("['<|end|>', c] | first", [("<|end|>", True)]),
        ("{'x': '<|end|>', 'y': c}.x", [("<|end|>", True)]),
        ("'%s' % c", [("a", False)]),
        ("'{}'.format(c)", [("a", False)]),
        ("[c]", [("['a']", False)]),
        ("{'k': c} | tojson", [('{"k": "a"}', False)]),
        ("c.center(3)", [(" a ", False)]),
        ("c | e", [("a", False)]),
    ],
)
def test_who_wrote_what(expression, written):
    template = ChatTemplate.of("{% set c = messages[0].content %}{{ " + expression + " }}")
    assert template.pieces([{"role": "user", "content": "a"}]) == written


# --- what a template may not do


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ ''.__class__.__mro__ }}", "what the sandbox forbids"),
        ("{{ messages.append(1) }}", "what the sandbox forbids"),
        ("{{ messages[0].update({'a': 1}) }}", "what the sandbox forbids"),
        ("{% set ns = namespace(_x=1) %}", "a namespace with the name '_x'"),
        ("{{ raise_exception.__globals__.x }}", "what the sandbox forbids"),
        ("{{ messages[0].content.encode() }}", "the bytes of a text"),
        ("{{ cycler.__init__.__globals__.x }}", "what the sandbox forbids"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "steps"),
        ("{{ range(10**8) | list }}", "forbids: a power|Range too big"),
        ("{{ 'a' * 10000000000 }}", "a product that is very large"),
        ("{{ 9 ** 999999999 }}", "a power that may be very large"),
        ("{{ messages[0].content.center(1000000000) }}", "the number 1,000,000,000"),
        ("{{ 'a' | center(1000000000) }}", "the number 1,000,000,000"),
        ("{{ '%01000000000d' % 1 }}", "a width of seven digits"),
        ("{{ '{:>1000000000}'.format(1) }}", "a width of seven digits"),
        (
            "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
            "{% endfor %}",
            "a text or a list of more than",
        ),
        (
            "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
            "{% endfor %}",
            "a text or a list of more than",
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without an end"),
        ("{% include 'config.json' %}", "chat template: "),
        ("{% for %}", "chat template: "),
        ("{{ messages[0].content.nothing() }}", "chat template: "),
        ("{{ raise_exception('Not like this') }}", "chat template: Not like this"),
        ("{{ 1 / 0 }}", r"fails with these messages \(ZeroDivisionError"),
        ("{{ messages[0].content + 1 }}", r"fails with these messages \(TypeError"),
    ],
)
def test_what_a_template_may_not_do(text, message):
    with pytest.raises(ValueError, match=message):
        ChatTemplate.of(text).render([{"role": "user", "content": "a"}])


@pytest.mark.parametrize(
    ("messages", "error", "message"),
    [
        ([{"content": "a"}], ValueError, "a message has the role None"),
        ([{"role": "<|system|>", "content": "a"}], ValueError, "the role '<|system|>'; expected"),
        (["user"], TypeError, "expected messages as mappings, got str"),
        ([{"role": "user", "content": b"a"}], TypeError, "strings, numbers, lists and dicts, got"),
    ],
)
def test_messages_that_are_none(messages, error, message):
    with pytest.raises(error) as caught:
        ChatTemplate.of("{{ messages }}").render(messages)
    assert message in str(caught.value)


def test_templates_by_name():
    template = ChatTemplate({"default": "plain", "tool_use": "tools"})
    assert template.render([]) == "plain"
    assert template.render([], tools=[]) == "tools"
    with pytest.raises(ValueError, match="one with the name 'default', there are 'rag'"):
        ChatTemplate({"rag": "x"}).render([])
    with pytest.raises(ValueError, match="at least one template"):
        ChatTemplate({})


def test_the_present_is_the_callers():
    from datetime import datetime

    template = ChatTemplate.of("{{ strftime_now('%d %b %Y') }}")
    assert template.render([], now=datetime(2024, 7, 26)) == "26 Jul 2024"
