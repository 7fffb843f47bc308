"""Text that is streamed token by token is the text of all tokens, with every tokenizer."""

import numpy as np
import pytest
from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    SentencePieceBPETokenizer,
    UnigramTokenizer,
    WordPieceTokenizer,
    WordTokenizer,
)
from foundation_seq import NewToken, generate, stream_text

TEXTS = [
    'Ask: "Who\'s there?" - "It\'s me," said l\'homme (the man), peut-être.',
    "Où ça ? 猫が好き 。 漢字 漢 字 naïve 👍🏽 किताब",
]
TOKENIZERS = [
    WordTokenizer.train(TEXTS),
    CharTokenizer.train(TEXTS),
    BPETokenizer.train(TEXTS, max_size=290),
    WordPieceTokenizer.train(TEXTS, max_size=90),
    UnigramTokenizer.train(TEXTS, max_size=400),
    SentencePieceBPETokenizer.train(TEXTS, max_size=400),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_pieces_are_the_whole_text(tokenizer):
    rng = np.random.default_rng(0)
    rows = [tokenizer.encode(text, add_eos=True) * 3 for text in TEXTS]
    rows += [rng.integers(0, len(tokenizer), 200).tolist() for _ in range(20)]  # no text at all
    for ids in rows:
        tokens = [NewToken(0, token, 0.0) for token in ids]
        assert "".join(stream_text(tokens, tokenizer.decode)) == tokenizer.decode(ids)


class Reading:
    """A step-wise model that writes given ids."""

    def __init__(self, ids, vocab_size):
        self.ids = ids
        self.vocab_size = vocab_size

    def start(self, prompt, lengths, capacity):  # noqa: ARG002 - it is written whatever is asked
        return self.step(0, prompt[:, 0])

    def step(self, state, tokens):  # noqa: ARG002
        return np.eye(self.vocab_size)[[self.ids[state]]], state + 1


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_stop_strings_end_where_the_whole_text_holds_them_first(tokenizer):
    ids = tokenizer.encode(TEXTS[0]) + tokenizer.encode(TEXTS[1])
    model = Reading(ids, len(tokenizer))
    text = tokenizer.decode(ids)
    for start in range(0, len(text) - 3, 2):
        stop = text[start : start + 3]
        options = {"stop_strings": [stop], "decode": tokenizer.decode}
        (written,) = generate(model, [[0]], len(ids), **options)
        first = next(n for n in range(len(ids) + 1) if stop in tokenizer.decode(ids[:n]))
        assert len(written) == first
