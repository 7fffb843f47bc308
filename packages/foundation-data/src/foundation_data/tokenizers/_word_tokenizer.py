"""Words and punctuation as tokens."""

from __future__ import annotations

from collections.abc import Iterable

from foundation_data.tokenizers._counted_tokenizer import CountedTokenizer
from foundation_data.tokenizers._words import GLUE, SPACE, join_tokens, split_text

# The signs that tokens use must not stand in a text. Both are rare enough to be replaced.
_REPLACED = str.maketrans({GLUE: "_", SPACE: " "})


class WordTokenizer(CountedTokenizer):
    """Words, punctuation marks and clitics (``l'``, ``'t``) as tokens, for any language.

    Tokens carry the sign ``‿`` on a side where no space belongs, so that `decode` restores the
    spacing of the text exactly, in English as in French; scripts without spaces are cut into
    letters. A text is normalised first: NFC, each run of whitespace as one space, no invisible
    characters.

    Examples
    --------
    >>> tokenizer = WordTokenizer.train(["l'homme en vtt : peau mate", "Va !", "Oh, non..."])
    >>> tokenizer.tokenize("l'homme : oh, non!")
    ["l'‿", 'homme', ':', 'oh', '‿,', 'non', '‿!']
    >>> tokenizer.decode(tokenizer.encode("Oh,  l'homme :\\tnon...", add_eos=True))
    "Oh, l'homme : non..."
    >>> tokenizer.decode(tokenizer.encode("Va, Marie !"))
    'Va, <unk> !'
    """

    __slots__ = ()
    kind = "word"

    def normalize(self, text: str) -> str:
        """Return the form of `text` that ``decode(encode(text))`` gives back."""
        text = super().normalize(text)
        if text.isascii() or not (GLUE in text or SPACE in text):
            return text
        return super().normalize(text.translate(_REPLACED))

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into words and punctuation, with the signs that say where no space belongs."""
        return split_text(self.normalize(text))

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Put tokens together again: ``detokenize(tokenize(text)) == normalize(text)``."""
        return join_tokens(tokens)
