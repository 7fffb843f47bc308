"""What heads do, in numbers, in text, in pictures and in a browser."""

import errno
import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from foundation_attn import hard_alignment, head_scores
from foundation_attn._measures import information
from foundation_attn._page import most_telling
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


def page_data(path):
    page = path.read_text("utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page)
    return json.loads(data)


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


def test_a_source_that_was_copied_is_a_source(tmp_path):
    tokens = list("abab")
    copied = LayerMap("cross", np.eye(4)[None], tokens, tokens, "cross")
    assert np.isnan(copied.scores().induction).all()
    assert copied._replace(kind=None).scores().induction.tolist() == [0]
    later = LayerMap("self", np.eye(4)[None, 2:], tokens[2:], tokens, "self")  # from a cache
    assert (copied.is_self, later.is_self) == (False, True)
    save_page([copied, later], tmp_path / "page.html")
    first, second = page_data(tmp_path / "page.html")
    assert (first["itself"], second["itself"]) == (False, True)


def test_a_title_is_a_title_whatever_it_says(rng, tmp_path):
    save_page(layers(rng), tmp_path / "page.html", "{{data}} {{title}} {{start}}")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>{{data}} {{title}} {{start}}</title>" in page
    assert "<h1>{{data}} {{title}} {{start}}</h1>" in page
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page)
    assert len(json.loads(data)) == len(layers(rng))


def test_the_page_refuses(rng, tmp_path):
    with pytest.raises(ValueError, match="nothing to show"):
        save_page([], tmp_path / "page.html")
    bad = layers(rng)[1]._replace(queries=["one"])
    with pytest.raises(ValueError, match=r"shape \(H, 1, 4\) for the tokens of 'cross'"):
        save_page([bad], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


def test_a_page_is_written_whole_or_not_at_all(rng, tmp_path, monkeypatch):
    save_page(layers(rng), tmp_path / "page.html", "older")
    older = (tmp_path / "page.html").read_bytes()

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"page\.html"):
        save_page(layers(rng), tmp_path / "page.html", "newer")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_bytes() == older


# What the page opens with.


def test_information_is_the_mutual_information_of_queries_and_keys(rng):
    w = rng.dirichlet(np.ones(5), (3, 7))
    joint, keys = w / 7, w.mean(axis=1, keepdims=True)
    expected = (joint * np.log(w / keys)).sum(axis=(1, 2))
    np.testing.assert_allclose(information(w), expected, rtol=1e-12)
    assert information(np.zeros((2, 0, 3))).tolist() == [0, 0]


def test_it_opens_with_the_source_of_the_last_layer_and_the_head_that_tells_most(rng, tmp_path):
    dull, telling = np.full((4, 4), 0.25), np.eye(4)
    first_key = np.eye(4)[[0, 0, 0, 0]]
    tokens = list("abcd")
    encoder = LayerMap("encoder", np.stack([telling, dull]), tokens, tokens)
    early = LayerMap("decoder 1", np.stack([telling, dull]), tokens, tokens, "cross")
    late = LayerMap("decoder 2", np.stack([dull, first_key, telling]), tokens, tokens, "cross")
    assert most_telling([encoder, early, late]) == (2, 2)
    assert most_telling([encoder, late, early]) == (2, 0)
    assert most_telling([encoder]) == (0, 0)
    assert most_telling([encoder._replace(weights=dull[None]), encoder]) == (1, 0)
    assert most_telling([LayerMap("none", np.zeros((2, 0, 0)), [], [])]) == (0, 0)
    save_page([encoder, early, late], tmp_path / "page.html")
    assert 'data-start="3.3"' in (tmp_path / "page.html").read_text("utf-8")  # from 1


# How it looks.


@pytest.fixture
def style(rng, tmp_path):
    save_page(layers(rng), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    return page[page.index("<style>") : page.index("</style>")]


def luminance(rgb):
    """As WCAG 2.2 defines it, of channels from 0 to 255."""
    channels = np.asarray(rgb) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("screen", [0, 1], ids=["light", "dark"])
def test_letters_and_marks_can_be_told_from_what_is_behind_them(style, screen):
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    color = {
        name: tuple(bytes.fromhex(value))
        for name, value in re.findall(r"--([\w-]+): #(\w{6});", blocks[screen])
    }
    for letters in ("ink", "soft"):
        for behind in ("paper", "card", "chosen"):
            assert contrast(color[letters], color[behind]) >= 4.5, (letters, behind)
    assert contrast(color["warm"], color["paper"]) >= 4.5
    for mark in ("accent", "full", "warm"):
        assert contrast(color[mark], color["card"]) >= 3, mark
    # Each cell mixes two colours, and changes that of its letters where they would fade.
    (turn,) = re.findall(r"--turn: ([\d.]+);", blocks[screen])
    for weight in np.arange(1001) / 1000:
        cell = (1 - weight) * np.array(color["none"]) + weight * np.array(color["full"])
        letters = color["on-full" if weight > float(turn) else "on-none"]
        assert contrast(letters, cell) >= 4.5, weight


def test_no_letter_is_small_and_none_shrinks(style):
    sizes = [float(x) for x in re.findall(r"font(?:-size)?: (\d+(?:\.\d+)?)px", style)]
    assert len(sizes) >= 8
    assert min(sizes) >= 12
    assert not re.search(r"font[^;{}]*\d(em|rem|%|vw)", style)


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


@pytest.fixture
def opened(browser, tmp_path):
    """The page after its script, opened at a place in a window of some width."""
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    command = [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]

    def opened(place="", width=1280):
        run = subprocess.run(
            [*command, f"--window-size={width},900", f"file://{tmp_path / 'page.html'}{place}"],
            capture_output=True,
            check=True,
            timeout=120,
        )
        dom = run.stdout.decode()
        assert 'data-ready="yes"' in dom
        return dom

    return opened


def test_the_page_in_a_browser(rng, tmp_path, opened):
    shown = layers(rng)
    save_page(shown, tmp_path / "page.html")
    dom = opened("#2.3.1")  # layer, head, query, counted from 1
    assert re.findall(r'aria-label="(head \d)"', dom) == ["head 1", "head 2", "head 3"]
    assert re.search(r'aria-label="head 3" aria-pressed="true"', dom)
    assert "cross, head 3</h2>" in dom
    weights = np.rint(shown[1].weights[2, 0] * 1000).astype(int)
    links = re.findall(r'data-weight="(\d+)" data-query="0" data-key="(\d+)"', dom)
    assert {(int(w), int(s)) for w, s in links} == {
        (w, s) for s, w in enumerate(weights.tolist()) if w >= 20
    }
    assert 'data-query="1" data-key' not in dom  # the links of the others are gone
    assert re.search(r"<b>die</b> looks at <b>", dom)
    told = {f"die → {key}: {w / 1000:.3f}" for key, w in zip(shown[1].keys, weights, strict=True)}
    assert told <= set(map(html.unescape, re.findall(r'<td title="([^"]*)"', dom)))


def test_the_page_opens_where_it_was_told_to(rng, tmp_path, opened):
    shown = [*layers(rng), layers(rng)[0]]
    save_page(shown, tmp_path / "page.html")
    dom = opened()
    _, head = most_telling(shown)
    assert f"cross, head {head + 1}</h2>" in dom
    assert "All tokens at once" in dom


def test_special_tokens_and_spaces_can_be_seen(tmp_path, opened):
    tokens = ["<bos>", "a b", "\n", "[CLS]", "<b>&amp;", "x < y"]
    save_page([LayerMap("one", np.eye(6)[None], tokens, tokens)], tmp_path / "page.html", "<i>")
    dom = opened("#1.1")
    body = dom[dom.index("<tbody>") :]
    rows = re.findall(r'<th scope="row" title="[^"]*" class="([^"]*)">([^<]*)</th>', body)
    assert [(html.unescape(text), name) for name, text in rows] == [
        ("<bos>", "special"),
        ("a␣b", ""),
        ("⏎", ""),
        ("[CLS]", "special"),
        ("<b>&amp;", ""),
        ("x␣<␣y", ""),
    ]
    assert "<h1>&lt;i&gt;</h1>" in dom
