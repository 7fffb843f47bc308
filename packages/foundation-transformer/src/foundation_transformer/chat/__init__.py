"""Conversations as the text that a model was taught to read.

Read in this order: ``_template`` (what happens), ``_sandbox`` (Jinja, with what a template may not
do), ``_told`` (strings that know who wrote them), ``_conversation`` (one that must fit into the
context of a model) and ``_answers`` (what of one a model learns).
"""

from foundation_nn import publish

from foundation_transformer.chat._answers import MarkedText, mark_answers
from foundation_transformer.chat._conversation import Conversation
from foundation_transformer.chat._template import ChatTemplate

__all__ = ["ChatTemplate", "Conversation", "MarkedText", "mark_answers"]

publish(__name__)
