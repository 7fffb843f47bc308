"""From sentences to sentences, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from foundation_transformer._sentence_translator import SentenceTranslator, TextTokenizer
from foundation_transformer._transformer import Transformer


class WithTranslator(Protocol):
    """What :func:`foundation_transformer.load_pretrained` returns for a translator's folder."""

    @property
    def translator(self) -> SentenceTranslator: ...


def translate(
    model: Transformer | WithTranslator,
    sentences: Sequence[str],
    source_tokenizer: TextTokenizer | None = None,
    target_tokenizer: TextTokenizer | None = None,
    *,
    max_new_tokens: int | None = None,
    batch_size: int = 64,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    prefix: str | None = None,
) -> list[str]:
    """Translate sentences.

    Parameters
    ----------
    model : Transformer or Pretrained
        One's own, or what :func:`load_pretrained` returns for the folder of a translator, such as
        an OPUS-MT model or T5. The latter has its tokenizers and says how it is meant to write.
    sentences : sequence of str
    source_tokenizer, target_tokenizer : TextTokenizer
        Those the model was trained with; not for a published one.
    max_new_tokens : int, optional
        The longest translation. By default what the folder of a published model says, or twice
        the source and ten more, within the model's positions.
    batch_size : int
        Sentences at once; does not change the result beyond rounding.
    beam_size : int, optional
        1 takes the likeliest token each time, more is :func:`foundation_seq.beam_search`. By
        default what the folder of a published model says, or 1.
    length_penalty : float, optional
        Of the beam search: by default what the folder says, or 0.6.
    prefix : str, optional
        What is put before each sentence, such as "translate English to French: ", by which T5 is
        told what to do, or ">>fra<< " for an OPUS-MT model of several target languages.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        If a single string is given, or tokenizers are missing or given twice.
    ValueError
        If a sentence is longer than the model's positions, an option is out of its range, or the
        folder holds no translator.
    """
    if isinstance(sentences, str):
        raise TypeError("translate: expected a list of sentences, got one str; wrap it: [sentence]")
    if batch_size < 1:
        raise ValueError(f"translate: expected batch_size >= 1, got {batch_size}")
    if not isinstance(model, Transformer):
        if source_tokenizer is not None or target_tokenizer is not None:
            raise TypeError("translate: a published model has its tokenizers; leave them out")
        translator = model.translator
    elif source_tokenizer is None or target_tokenizer is None:
        raise TypeError(
            "translate: expected the tokenizers that the model was trained with: "
            "translate(model, sentences, source_tokenizer, target_tokenizer)"
        )
    else:
        translator = SentenceTranslator(model, source_tokenizer, target_tokenizer)
    translator = translator.with_options(
        max_new_tokens=max_new_tokens,
        beam_size=beam_size,
        length_penalty=length_penalty,
        prefix=prefix,
    )
    return translator.translate(sentences, batch_size)
