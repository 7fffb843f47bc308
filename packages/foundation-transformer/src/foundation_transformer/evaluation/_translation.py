"""How good translations are; BLEU and chrF need the extra ``eval``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest


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
    hypotheses: Sequence[str], references: Sequence[str | Sequence[str]]
) -> TranslationScores:
    """BLEU [1]_, chrF and exact matches over a corpus.

    Parameters
    ----------
    hypotheses : sequence of str
    references : sequence of str, or of sequences of str
        One for each translation, or all that are known to be right; their number may differ.

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
    bleu = BLEU()
    score = bleu.corpus_score(list(hypotheses), streams)
    chrf = CHRF().corpus_score(list(hypotheses), streams)
    equal = sum(h in s for h, s in zip(hypotheses, sets, strict=True))
    return TranslationScores(score.score, chrf.score, equal / len(sets), str(bleu.get_signature()))
