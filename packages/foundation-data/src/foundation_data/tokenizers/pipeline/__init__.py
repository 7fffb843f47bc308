"""The way of a text to the pieces that become tokens, and the way back.

In reading order:

* ``_normalizer``, ``_cleaning``, ``_charsmap``: what changes a text, from one character that is
  replaced to the table of thousands that SentencePiece has; ``_read_normalizers`` finds them in a
  `tokenizer.json`.
* ``_pre_tokenizer``: what cuts the changed text into pieces.
* ``_decoder``: what makes text of tokens.
* ``_pipeline``: all of them together.
"""
