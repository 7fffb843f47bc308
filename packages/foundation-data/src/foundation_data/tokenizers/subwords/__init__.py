"""Tokenizers whose tokens are parts of words, and the `tokenizer.json` they are kept in.

In reading order:

* ``_learn_merges``, ``_apply_merges``: byte-pair encoding, from the plain algorithm to the fast
  one.
* ``_normalizer``, ``_pre_tokenizer``, ``_pipeline``: how a text is changed and cut into pieces
  before that.
* ``_subword_tokenizer``: what the two kinds share.
* ``_byte_alphabet``, ``_bpe_tokenizer``, ``_bpe_model``: bytes as characters; byte pairs, as in
  GPT-2, and their part of the file.
* ``_wordpiece_tokenizer``: word pieces, as in BERT.
"""

from foundation_data.tokenizers.subwords._bpe_tokenizer import BPETokenizer
from foundation_data.tokenizers.subwords._wordpiece_tokenizer import WordPieceTokenizer

__all__ = ["BPETokenizer", "WordPieceTokenizer"]
