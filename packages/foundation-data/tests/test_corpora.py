"""Emoji names."""

import sys

import pytest
from foundation_data import WordTokenizer, corpora


def test_english_to_french() -> None:
    pytest.importorskip("emoji", reason="the extra emoji is not installed")
    pairs = corpora.emoji_pairs("en", "fr")
    names = dict(pairs)
    assert names["red apple"] == "pomme rouge"
    assert names["woman mountain biking medium-dark skin tone"] == "femme en vtt peau mate"
    assert names["bus"] == "bus"
    assert "medium-dark skin tone" not in names  # a component
    assert len(pairs) == len(set(pairs)) == pairs.report.kept > 3_500
    assert pairs.report.read == pairs.report.kept + pairs.report.num_dropped
    assert pairs.report.dropped["variant of a fully qualified emoji"].count > 1_000
    assert pairs.report.dropped["component, no emoji by itself"].count == 9
    assert not any(":" in phrase or "_" in phrase for pair in pairs for phrase in pair)


@pytest.mark.parametrize("language", ["es", "ja", "ko", "pt", "it", "fr", "de", "fa", "zh", "ru"])
def test_every_name_survives_a_round_trip(language: str) -> None:
    pytest.importorskip("emoji", reason="the extra emoji is not installed")
    targets = [target for _, target in corpora.emoji_pairs("en", language)]
    tokenizer = WordTokenizer.train(targets)
    assert [tokenizer.decode(tokenizer.encode(target)) for target in targets] == targets


def test_languages_that_are_refused() -> None:
    pytest.importorskip("emoji", reason="the extra emoji is not installed")
    with pytest.raises(ValueError, match=r"a language among ar, de, en, .*, zh, got 'tlh'"):
        corpora.emoji_pairs("en", "tlh")
    with pytest.raises(ValueError, match="two different languages, got 'fr' twice"):
        corpora.emoji_pairs("fr", "fr")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "emoji", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'foundation-data\[emoji\]'"):
        corpora.emoji_pairs()
