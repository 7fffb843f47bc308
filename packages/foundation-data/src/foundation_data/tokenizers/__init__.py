"""From text to ids and back.

In reading order:

* ``_specials``, ``_vocabulary``: the reserved tokens; all tokens and their ids.
* ``_tokenizer``: what every tokenizer can do, with ``_added_tokens`` (tokens that stand in a text
  as they are), ``_frame`` (those that a model reads around it) and ``_tokenizer_files`` (how a
  tokenizer is saved).
* ``_counted_tokenizer``, ``_char_tokenizer``: a vocabulary by counting; characters.
* ``_words``, ``_word_tokenizer``: where words begin and end; words.
* ``pipeline``, a room of its own: how a text is changed and cut before its tokens are found.
* ``subwords``: byte pairs, word pieces, and the pieces of SentencePiece.
* ``sentencepiece``: the files of SentencePiece.
* ``_load_tokenizer``: the files of other programs. ``_fields`` and ``_patterns`` read the values
  and run the regular expressions in them.
"""

from foundation_data.tokenizers._char_tokenizer import CharTokenizer
from foundation_data.tokenizers._counted_tokenizer import CountedTokenizer
from foundation_data.tokenizers._frame import Frame
from foundation_data.tokenizers._load_tokenizer import load_tokenizer
from foundation_data.tokenizers._specials import SpecialTokens
from foundation_data.tokenizers._tokenizer import Tokenizer
from foundation_data.tokenizers._vocabulary import Vocabulary
from foundation_data.tokenizers._word_tokenizer import WordTokenizer
from foundation_data.tokenizers.sentencepiece import (
    MarianTokenizer,
    SentencePieceModel,
    read_sentencepiece,
    tokenizer_of_model,
)
from foundation_data.tokenizers.subwords import (
    BPETokenizer,
    SentencePieceBPETokenizer,
    SentencePieceTokenizer,
    UnigramTokenizer,
    WordPieceTokenizer,
)

__all__ = [
    "SpecialTokens",
    "Vocabulary",
    "Tokenizer",
    "CountedTokenizer",
    "CharTokenizer",
    "WordTokenizer",
    "BPETokenizer",
    "WordPieceTokenizer",
    "SentencePieceTokenizer",
    "SentencePieceBPETokenizer",
    "UnigramTokenizer",
    "MarianTokenizer",
    "Frame",
    "load_tokenizer",
    "SentencePieceModel",
    "read_sentencepiece",
    "tokenizer_of_model",
]
