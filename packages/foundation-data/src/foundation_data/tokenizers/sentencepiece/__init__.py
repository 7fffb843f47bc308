"""The files of SentencePiece: ``tokenizer.model`` of Llama, ``.spm`` of Marian.

In reading order:

* ``_wire``: the format of protocol buffers, in which they are written.
* ``_model_file``: what such a file says.
* ``_from_model``: the tokenizer for it, of one of the two kinds in ``subwords``.
"""

from foundation_data.tokenizers.sentencepiece._from_model import tokenizer_of_model
from foundation_data.tokenizers.sentencepiece._model_file import (
    Piece,
    SentencePieceModel,
    read_sentencepiece,
)

__all__ = ["Piece", "SentencePieceModel", "read_sentencepiece", "tokenizer_of_model"]
