"""Writing text, token by token, with any model that works step by step.

In reading order:

* ``_stepwise``: what generation asks of a model.
* ``_generate``: the loop that writes several rows side by side; ``_request`` checks what is asked.
* ``_drafts``: guessing the next tokens, so that the model reads several at once.
* ``_sampling``, ``_choose``: from logits to probabilities; from probabilities to the next token.
* ``_growing_text``, ``_stream_text``: from tokens that arrive one by one to text; ``_endings``
  finds the strings that end one.
* ``_beam_search``: the likeliest continuation instead of the likeliest next token.
"""

from foundation_seq.generation._beam_search import Hypothesis, beam_search
from foundation_seq.generation._drafts import Draft, DraftReader, PromptLookup
from foundation_seq.generation._generate import NewToken, generate, stream_tokens
from foundation_seq.generation._sampling import SamplingConfig, token_probabilities
from foundation_seq.generation._stepwise import Ids, Logits, StepwiseModel
from foundation_seq.generation._stream_text import stream_text

__all__ = [
    "Ids",
    "Logits",
    "StepwiseModel",
    "SamplingConfig",
    "token_probabilities",
    "generate",
    "Draft",
    "DraftReader",
    "PromptLookup",
    "NewToken",
    "stream_tokens",
    "stream_text",
    "Hypothesis",
    "beam_search",
]
