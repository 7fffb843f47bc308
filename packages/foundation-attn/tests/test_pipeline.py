"""The example, for a few steps."""

import re

import numpy as np
import pytest
from foundation_attn import head_scores
from foundation_attn.examples import copying, pipeline


def test_dates_and_their_ids(rng):
    for source, target in pipeline.dates(rng, 200):
        year, month, day = target.split("-")
        assert year in source
        assert str(int(day)) in source
        assert len(target) == 10
        assert str(int(month)) in source or pipeline.MONTHS.split()[int(month) - 1][:3] in source
    ids, mask = pipeline.pad(["1 may", "2"])
    assert mask.sum(axis=1).tolist() == [5, 1]
    assert "".join(pipeline.CHARACTERS[i - 3] for i in ids[0]) == "1 may"


def test_texts_that_repeat_themselves(rng):
    ids, wanted = copying.rounds(rng, 50)
    assert ids.shape == wanted.shape == (50, 16)
    for row, following in zip(ids.tolist(), wanted.tolist(), strict=True):
        period = len(set(row))
        assert 3 <= period <= 8
        assert following[: period - 1] == [copying.NOT_ASKED] * (period - 1)
        assert following[period - 1 :] == [row[t % period] for t in range(period, 17)]


def test_heads_learn_to_look_behind_the_last_occurrence(rng):
    model = copying.train(rng, 150)
    assert copying.accuracy(model, rng) > 0.95
    first, second = (
        head_scores(layer.weights, layer.keys) for layer in copying.look(model, "numpynumpynumpy")
    )
    assert second.induction.max() > 0.9
    assert first.previous.max() > 0.3  # of equal weights, 0.15
    assert first.induction.max() < 0.5  # one layer alone does not know what stood before


def test_it_runs_and_leaves_a_page_and_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert pipeline.main(["--steps", "20", "--out", str(tmp_path)]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"attention.html", "heads.png", "alignment.png"}
    page = (tmp_path / "attention.html").read_text("utf-8")
    assert all(f'"name":"{n}"' in page for n in ("layer 1", "layer 2", "translator of dates"))
    said = capsys.readouterr().out
    x = np.array([[0.1, 0.0], [1.0, 0.2], [0.3, 1.0], [0.9, 0.6]])
    assert said.count("    ≠ ") == 4  # after twenty steps no date is right, and each is marked
    assert f"  cat    {x[1] @ x[0]:7.2f}{x[1] @ x[1]:7.2f}" in said


def test_dates_begin_to_be_learnt(rng, capsys):
    pipeline.train(rng, 100)
    (loss,) = re.findall(r"loss (\d\.\d+)", capsys.readouterr().out)
    assert float(loss) < 2.0  # guessing among 44 characters: 3.8


def test_copying_alone_says_what_its_heads_do(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert copying.main(["--quick", "--seed", "1", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    (foretold,) = re.findall(r"that are foretold: (\d\.\d+)", printed)
    assert float(foretold) > 0.8
    answers = re.findall(r"  (\w+) …\n    = (\w+)\n(?:    ≠ (\w+)\n)?", printed)
    assert len(answers) == 4
    for word, answer, right in answers:
        expected = (word * 6)[len(word) : len(word) + len(answer)]
        assert (right or answer) == expected
    assert printed.count("layer ") == 2
    assert (tmp_path / "copying_heads.png").read_bytes().startswith(b"\x89PNG")
