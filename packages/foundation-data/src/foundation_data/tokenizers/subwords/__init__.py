"""Tokenizers whose tokens are parts of words, and the `tokenizer.json` they are kept in.

In reading order:

* ``_plain_bpe``: byte-pair encoding in plain Python, the whole of it. It is here to be read and to
  be compared with; nothing else imports it.
* ``_learn_merges``, ``_apply_merges``: the same, fast.
* ``_subword_tokenizer``: what all kinds share: how a text comes to them, see ``pipeline``.
* ``_bpe_tokenizer``, ``_bpe_model``: byte pairs, as in GPT-2, and their part of the file.
* ``_wordpiece_tokenizer``: word pieces, as in BERT.
* ``_sentencepiece_tokenizer``, ``_training_words``: what the two kinds of SentencePiece share.
* ``_sentencepiece_bpe``: pairs of characters, as in Llama 2.
* ``_viterbi``, ``_learn_pieces``, ``_unigram_tokenizer``: the most probable pieces, as in T5.
"""

from foundation_data.tokenizers.subwords._bpe_tokenizer import BPETokenizer
from foundation_data.tokenizers.subwords._sentencepiece_bpe import SentencePieceBPETokenizer
from foundation_data.tokenizers.subwords._sentencepiece_tokenizer import SentencePieceTokenizer
from foundation_data.tokenizers.subwords._unigram_tokenizer import UnigramTokenizer
from foundation_data.tokenizers.subwords._wordpiece_tokenizer import WordPieceTokenizer

__all__ = [
    "BPETokenizer",
    "SentencePieceBPETokenizer",
    "SentencePieceTokenizer",
    "UnigramTokenizer",
    "WordPieceTokenizer",
]
