"""Scores of translations."""

import sys

import pytest
from foundation_transformer.evaluation import score_translations

pytest.importorskip("sacrebleu")

REFERENCES = ["le chat est sur le tapis .", "il fait beau aujourd'hui à Paris ."]


def test_perfect():
    scores = score_translations(REFERENCES, REFERENCES)
    assert scores.bleu == pytest.approx(100)
    assert scores.chrf == pytest.approx(100)
    assert scores.exact == 1.0


def test_nothing_right():
    scores = score_translations(["x y z w v u", "q w k j h g"], REFERENCES)
    assert scores.bleu == pytest.approx(0, abs=2)
    assert scores.exact == 0.0


def test_by_hand():
    # BLEU is the geometric mean of the shares of words, pairs, triples and quadruples that are
    # right; the lengths are equal, so there is no penalty.
    hypotheses = ["un chat est sur le tapis .", REFERENCES[1]]
    precision = 1.0
    tokenised = [text.split() for text in (*hypotheses, *REFERENCES)]
    for n in range(1, 5):
        right = total = 0
        for h, r in zip(tokenised[:2], tokenised[2:], strict=True):
            grams = [tuple(h[i : i + n]) for i in range(len(h) - n + 1)]
            known = [tuple(r[i : i + n]) for i in range(len(r) - n + 1)]
            total += len(grams)
            for gram in grams:
                if gram in known:
                    known.remove(gram)
                    right += 1
        precision *= right / total
    scores = score_translations(hypotheses, REFERENCES)
    assert scores.bleu == pytest.approx(100 * precision**0.25, rel=1e-6)
    assert scores.exact == 0.5
    assert 80 < scores.chrf < 100


def test_case_and_spelling_count_as_they_are():
    assert score_translations(["Le chat"], ["le chat"]).exact == 0.0


def test_several_references_of_a_sentence():
    hypotheses = ["il fait beau aujourd'hui à Paris .", "le chat dort sur le tapis ."]
    references = [[REFERENCES[1]], [REFERENCES[0], "le chat dort sur le tapis ."]]
    assert score_translations(hypotheses, references).bleu == pytest.approx(100)
    scores = score_translations(hypotheses, [REFERENCES[1], REFERENCES[0]])
    assert scores.exact == 0.5
    assert scores.bleu < 80
    with pytest.raises(ValueError, match="translation 1 has no reference"):
        score_translations(hypotheses, [["x"], []])


def test_the_signature_tells_how():
    signature = score_translations(REFERENCES, REFERENCES).signature
    for part in ("case:mixed", "tok:13a", "smooth:exp", "version:"):
        assert part in signature


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], []), (["a"], ["b", "c"])])
def test_nothing_to_score_or_different_lengths(hypotheses, references):
    message = f"got {len(hypotheses)} translations and references of {len(references)}"
    with pytest.raises(ValueError, match=message):
        score_translations(hypotheses, references)


def test_without_sacrebleu_the_extra_is_named(monkeypatch):
    for name in ["sacrebleu", *(name for name in sys.modules if name.startswith("sacrebleu."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"install foundation-transformer\[eval\]"):
        score_translations(["a"], ["a"])


@pytest.mark.parametrize(
    ("text", "language", "tokenization"),
    [
        ("我喜欢学习中文", None, "char"),
        ("我喜欢学习中文", "zh", "zh"),
        ("ฉันชอบเรียนภาษา", None, "char"),
        ("ฉันชอบเรียนภาษา", "th-TH", "char"),
        ("she likes the word 中", None, "13a"),
        ("we like to learn", "fr", "13a"),
    ],
)
def test_words_are_found_as_the_language_has_them(text, language, tokenization):
    scores = score_translations([text] * 10, [text] * 10, language)
    assert scores.bleu == pytest.approx(100)
    assert f"tok:{tokenization}" in scores.signature


def test_japanese_is_cut_by_mecab_where_it_is_installed(monkeypatch):
    from foundation_transformer.evaluation import _translation

    for installed, expected in ((True, "ja-mecab"), (False, "char")):
        monkeypatch.setattr(_translation, "find_spec", lambda _, there=installed: there or None)
        assert _translation._tokenization("ja", []) == expected
