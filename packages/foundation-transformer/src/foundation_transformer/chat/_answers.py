"""Which tokens of a conversation are the model's own: what it is to learn, and nothing else.

Whoever trains a model on whole conversations teaches it to ask questions, too. So the loss counts
the tokens of answers alone. Which they are, the chat template says: some mark what the model writes
by ``{% generation %}``. Of the others it is found by rendering:

* an answer begins where the text ends that the model would have been given for it, which is the
  messages before it, rendered with ``add_generation_prompt=True``;
* it ends where the text ends that is rendered of the messages up to it. The token with which the
  template ends a turn is part of it: the model has to learn when to stop.

Some templates write an answer in another way once other messages follow, without its thoughts for
instance. Then a conversation becomes several texts, one for each answer, as the model would read
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from foundation_transformer.chat._template import ChatTemplate, Message
from foundation_transformer.chat._told import generated_spans, is_message, pieces_of, plain

if TYPE_CHECKING:
    from foundation_data import Tokenizer

_TAG = re.compile(r"\{%-?\+?\s*generation\b")
#: How the answers in a text were found.
BY_TEMPLATE = "by {% generation %} in the template"
BY_PREFIXES = "by rendering the messages up to each answer"
ONE_BY_ONE = "by rendering each answer in a text of its own, for the template changes earlier ones"

Span = tuple[int, int]


@dataclass(frozen=True)
class MarkedText:
    """A text as ids, and which of them the model is to learn to write.

    Attributes
    ----------
    ids : list of int
    trained : list of bool
        As long as the ids.
    """

    ids: list[int]
    trained: list[bool]

    def __len__(self) -> int:
        return len(self.ids)


def marks_its_answers(template: ChatTemplate) -> bool:
    """Whether a template says what the model writes."""
    return _TAG.search(template.text()) is not None


def mark_answers(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    now: datetime | None = None,
    **variables: Any,
) -> tuple[list[MarkedText], str]:
    """A conversation for training: its ids, and which of them are answers.

    Parameters
    ----------
    template : ChatTemplate
    tokenizer : Tokenizer
    messages : sequence of mappings
        As for :meth:`ChatTemplate.pieces`; those after the last answer are left out.
    now, **variables
        As there.

    Returns
    -------
    texts : list of MarkedText
        One, or one for each answer if the template writes earlier answers in another way; none if
        there is no answer.
    how : str
        How the answers were found.

    Raises
    ------
    ValueError
        If the template refuses the messages, or writes an answer otherwise than it asks for one.

    Examples
    --------
    >>> from foundation_data import BPETokenizer
    >>> template = ChatTemplate.of(
    ...     "{% for m in messages %}<bos>{{ m.role }}: {{ m.content }}<eos>{% endfor %}"
    ...     "{% if add_generation_prompt %}<bos>assistant: {% endif %}"
    ... )
    >>> tokenizer = BPETokenizer.train(["user assistant Hi Ho"])
    >>> talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    >>> (text,), how = mark_answers(template, tokenizer, talk)
    >>> learnt = [i for i, trained in zip(text.ids, text.trained, strict=True) if trained]
    >>> tokenizer.vocabulary.to_tokens(learnt)
    ['H', 'o', '<eos>']
    >>> how
    'by rendering the messages up to each answer'
    """
    now = now or datetime.now()  # one for all renderings
    answers = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    if not answers:
        return [], BY_TEMPLATE if marks_its_answers(template) else BY_PREFIXES
    whole = template.marked(messages[: answers[-1] + 1], now=now, **variables)
    if marks_its_answers(template):
        return [_encode(tokenizer, whole, generated_spans(whole))], BY_TEMPLATE

    texts = {i: template.marked(messages[: i + 1], now=now, **variables) for i in answers[:-1]} | {
        answers[-1]: whole
    }
    spans: dict[int, Span] = {}
    for i, text in texts.items():
        asked = template.marked(messages[:i], add_generation_prompt=True, now=now, **variables)
        spans[i] = (_start(asked, text), _end(text))
    if all(_goes_on(whole, texts[i], spans[i]) for i in answers):
        return [_encode(tokenizer, whole, list(spans.values()))], BY_PREFIXES
    return [_encode(tokenizer, texts[i], [spans[i]]) for i in answers], ONE_BY_ONE


def _start(asked: str, text: str) -> int:
    """Where the answer at the end of ``text`` begins, which ``asked`` asks for.

    A template may ask with more than it writes itself, such as the beginning of a thought. But all
    that was said before must be the same.

    Raises
    ------
    ValueError
    """
    pairs = zip(plain(asked), plain(text), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if any(is_message(asked)[common:]):
        place = asked[max(0, common - 20) : common + 20]
        raise ValueError(
            "chat template: it writes an answer otherwise than it asks for one, so that nobody "
            f"can tell which tokens are the answer's; the two differ at {place!r}"
        )
    return common


def _end(text: str) -> int:
    """Where the answer at the end of a text ends: after the token that ends a turn.

    White space that the template writes behind that is nothing that the model would write.
    """
    said = is_message(text)
    last = max((i + 1 for i, by_message in enumerate(said) if by_message), default=0)
    behind = text[last:].rstrip()
    return last + len(behind) if behind else len(text)


def _goes_on(whole: str, text: str, span: Span) -> bool:
    """Whether a conversation holds a text up to the end of its answer."""
    return plain(whole).startswith(plain(text)[: span[1]])


def _encode(tokenizer: Tokenizer, text: str, spans: Sequence[Span]) -> MarkedText:
    """The ids of a text, and which of them lie in the spans.

    No token lies across the edge of a span. At nearly all edges that is so by itself, and the ids
    are those of the whole text; where it is not, the parts are encoded apart.
    """
    ids: list[int] = []
    trained: list[bool] = []
    edges = [(0, False)]
    for start, end in spans:
        edges += [(start, True), (end, False)]
    ends = [start for start, _ in edges[1:]] + [len(text)]
    for (start, is_answer), end in zip(edges, ends, strict=True):
        if end == start:
            continue
        up_to = tokenizer.encode_pieces(pieces_of(text[:end]))
        if up_to[: len(ids)] == ids:
            new = up_to[len(ids) :]
        else:
            new = tokenizer.encode_pieces(pieces_of(text[start:end]))
        ids += new
        trained += [is_answer] * len(new)
    return MarkedText(ids, trained)
