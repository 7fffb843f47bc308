"""How good translations are; BLEU and chrF need the extra ``eval``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TranslationScores:
    """Scores of translations against one reference each.

    Attributes
    ----------
    bleu, chrf : float
        From 0 to 100, by sacrebleu.
    exact : float
        The share of translations equal to their reference, from 0 to 1.
    signature : str
        Tells how BLEU was computed, so that others can compare.
    """

    bleu: float
    chrf: float
    exact: float
    signature: str


def score_translations(hypotheses: Sequence[str], references: Sequence[str]) -> TranslationScores:
    """BLEU [1]_, chrF and exact matches over a corpus.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    ValueError
        If there is nothing to score, or the lengths differ.

    References
    ----------
    .. [1] M. Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018, arXiv:1804.08771.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"expected one reference for each translation, got {len(hypotheses)} translations "
            f"and {len(references)} references"
        )
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise ImportError("scores need sacrebleu: install foundation-transformer[eval]") from None
    bleu = BLEU()
    score = bleu.corpus_score(list(hypotheses), [list(references)])
    chrf = CHRF().corpus_score(list(hypotheses), [list(references)])
    equal = sum(h == r for h, r in zip(hypotheses, references, strict=True))
    return TranslationScores(
        score.score, chrf.score, equal / len(references), str(bleu.get_signature())
    )
