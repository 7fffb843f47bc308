"""The files of SentencePiece: ``tokenizer.model`` of Llama, ``.spm`` of Marian.

In reading order:

* ``_wire``: the format of protocol buffers, in which they are written.
* ``_model_file``: what such a file says.
* ``_from_model``: the tokenizer for it, of one of the two kinds in ``subwords``.
* ``_marian_tokenizer``: a model with a table of numbers beside it, as OPUS-MT has them.
"""

from foundation_data.tokenizers.sentencepiece._from_model import tokenizer_of_model
from foundation_data.tokenizers.sentencepiece._marian_tokenizer import MarianTokenizer
from foundation_data.tokenizers.sentencepiece._model_file import (
    Piece,
    SentencePieceModel,
    read_sentencepiece,
)

__all__ = [
    "MarianTokenizer",
    "Piece",
    "SentencePieceModel",
    "read_sentencepiece",
    "tokenizer_of_model",
]
