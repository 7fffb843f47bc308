"""The example, for a few steps."""

import numpy as np
from foundation_attn.examples import pipeline


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


def test_it_runs_and_leaves_a_page(tmp_path, capsys):
    exact = pipeline.main(["--quick", "--output", str(tmp_path)])
    assert 0 <= exact < 0.5  # after ten steps
    assert "dates, trained" in (tmp_path / "attention.html").read_text("utf-8")
    said = capsys.readouterr().out
    x = np.array([[0.1, 0.0], [1.0, 0.2], [0.3, 1.0], [0.9, 0.6]])
    assert f"  cat    {x[1] @ x[0]:7.2f}{x[1] @ x[1]:7.2f}" in said
