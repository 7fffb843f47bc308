"""What heads do, in numbers, in text, in pictures and in a browser."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from foundation_attn import hard_alignment, head_scores
from foundation_attn.plotting import (
    HeatMap,
    LayerMap,
    attention_text,
    plot_alignment,
    plot_heads,
    save_page,
)

# --- numbers


def test_entropy_of_one_key_of_all_and_of_half():
    one, all_, half = np.eye(4), np.full((4, 4), 0.25), np.tile([0.5, 0.5, 1e-300, 1e-300], (4, 1))
    scores = head_scores(np.stack([one, all_, half]))
    np.testing.assert_allclose(scores.entropy, [0, 1, 0.5], atol=1e-12)


def test_entropy_is_relative_to_what_may_be_seen():
    causal = np.tri(5) / np.tri(5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head_scores(causal[None]).entropy, [4 / 5])  # one row has no choice


def test_the_token_before():
    before = np.eye(5, k=-1)
    assert head_scores(before[None]).previous.tolist() == [1]
    assert head_scores(np.eye(5)[None]).previous.tolist() == [0]


def test_induction_looks_behind_the_last_occurrence():
    tokens = list("abcab")
    weights = np.zeros((2, 5, 5))
    weights[0, 3, 1] = weights[0, 4, 2] = 1  # a looks at b, b at c
    weights[1, 3, 0] = weights[1, 4, 1] = 1  # at themselves
    assert head_scores(weights, tokens).induction.tolist() == [1, 0]
    assert np.isnan(head_scores(weights, list("abcde")).induction).all()


def test_hard_alignment():
    weights = np.array([[0.2, 0.7, 0.1], [0, 0, 0], [0.5, 0.1, 0.4]])
    assert hard_alignment(weights).tolist() == [1, -1, 0]


def test_numbers_refuse():
    with pytest.raises(ValueError, match=r"weights of shape \(H, T, S\), got \(3, 3\)"):
        head_scores(np.eye(3))
    with pytest.raises(ValueError, match="expected 3 tokens"):
        head_scores(np.eye(3)[None], list("ab"))


# --- text


def test_text():
    w = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    lines = attention_text(w, ["on", "x"], ["a", "bc", "d"]).splitlines()
    assert lines == ["      b", "    a c d", "on ██", " x   ▒▒▒▒"]
    with pytest.raises(ValueError, match=r"shape \(2, 2\), got \(2, 3\)"):
        attention_text(w, ["a", "b"], ["a", "b"])


# --- pictures


def test_all_heads_and_an_alignment(rng, tmp_path):
    imread = pytest.importorskip("matplotlib.image").imread
    words = ["a", "b", "c"]
    layers = [
        LayerMap(f"layer {i}", rng.dirichlet(np.ones(3), (2 + i, 3)), words, words) for i in (0, 1)
    ]
    plot_heads(layers, tmp_path / "heads.png")
    plot_alignment(HeatMap(np.eye(3), words, words), tmp_path / "alignment.png")
    assert imread(tmp_path / "heads.png")[..., :3].std() > 0.05
    red, _, blue = np.moveaxis(imread(tmp_path / "alignment.png")[..., :3], -1, 0)
    assert (red > blue + 0.5).sum() > 100  # the frames
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_heads([], tmp_path / "x.png")


# --- the page


def layers(rng):
    source, target = ["the", "cat", "</script>", "sat"], ["die", "Katze", "saß"]
    return [
        LayerMap("encoder", rng.dirichlet(np.ones(4), (2, 4)), source, source),
        LayerMap("cross", rng.dirichlet(np.ones(4), (3, 3)), target, source),
    ]


def test_the_page_holds_its_data_and_asks_nobody(rng, tmp_path):
    shown = layers(rng)
    save_page(shown, tmp_path / "page.html", "A < B")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>A &lt; B</title>" in page
    addresses = set(re.findall(r"https?://[^\"' ]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"<(link|img|iframe)|src=|@import|fetch\(|url\(", page)
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page)
    for found, layer in zip(json.loads(data), shown, strict=True):
        np.testing.assert_allclose(np.array(found["weights"]) / 1000, layer.weights, atol=5.1e-4)
        assert (found["keys"], found["queries"]) == (layer.keys, layer.queries)


def test_a_title_is_a_title_whatever_it_says(rng, tmp_path):
    save_page(layers(rng), tmp_path / "page.html", "{{data}} {{title}}")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>{{data}} {{title}}</title>" in page
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page)
    assert len(json.loads(data)) == len(layers(rng))


def test_the_page_refuses(rng, tmp_path):
    with pytest.raises(ValueError, match="nothing to show"):
        save_page([], tmp_path / "page.html")
    bad = layers(rng)[1]._replace(queries=["one"])
    with pytest.raises(ValueError, match=r"shape \(H, 1, 4\) for the tokens of 'cross'"):
        save_page([bad], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


def test_the_page_in_a_browser(rng, tmp_path, browser):
    shown = layers(rng)
    save_page(shown, tmp_path / "page.html")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    command = [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    run = subprocess.run(
        [*command, f"file://{tmp_path / 'page.html'}#1.2.0"],  # layer, head, query
        capture_output=True,
        check=True,
        timeout=120,
    )
    dom = run.stdout.decode()
    assert 'data-ready="yes"' in dom
    assert dom.count('aria-label="head ') == 3
    assert re.search(r'aria-label="head 2" aria-pressed="true"', dom)
    weights = np.rint(shown[1].weights[2, 0] * 1000).astype(int)
    links = re.findall(r'data-weight="(\d+)" data-query="0" data-key="(\d+)"', dom)
    assert {(int(w), int(s)) for w, s in links} == {
        (w, s) for s, w in enumerate(weights.tolist()) if w >= 20
    }
    assert 'data-query="1" data-key' not in dom  # the links of the others are gone
    assert re.search(r"<b>die</b> looks at <b>", dom)
