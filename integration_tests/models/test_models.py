"""The published models give the numbers that transformers and PyTorch gave."""

import doctest
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fetch import FOLDER
from foundation_attn import capture_attention, head_scores
from foundation_data import Tokenizer
from foundation_nn import no_grad
from foundation_seq import generate
from foundation_transformer import load_pretrained
from foundation_transformer.cli import main
from foundation_transformer.pretrained import Pretrained, embed
from samples import COLUMNS, CONVERSATION, PROMPTS, SENTENCES, TEXTS

REFERENCES = np.load(Path(__file__).parent / "references.npz")
SMOLLM2, MINILM = FOLDER / "smollm2.gguf", FOLDER / "minilm"

pytestmark = pytest.mark.skipif(
    not (SMOLLM2.exists() and MINILM.exists()),
    reason=f"the published models are not in {FOLDER}: nox -s models fetches them",
)


@pytest.fixture(scope="module")
def smollm2() -> Pretrained:
    pytest.importorskip("gguf")
    return load_pretrained(SMOLLM2)


@pytest.fixture(scope="module")
def minilm() -> Pretrained:
    return load_pretrained(MINILM)


def tokenizer_of(loaded: Pretrained) -> Tokenizer:
    assert loaded.tokenizer is not None
    return loaded.tokenizer


def test_smollm2_cuts_text_as_the_reference_does(smollm2: Pretrained) -> None:
    tokenizer = tokenizer_of(smollm2)
    for i, text in enumerate(TEXTS):
        ids = tokenizer.encode(text)
        assert ids == REFERENCES[f"smollm2/ids/{i}"].tolist(), text
        assert tokenizer.decode(ids) == text
    conversation = tokenizer.encode(CONVERSATION, allow_special=True)
    assert conversation == REFERENCES["smollm2/conversation"].tolist()


def test_smollm2_has_the_logits_of_the_reference(smollm2: Pretrained) -> None:
    tokenizer = tokenizer_of(smollm2)
    for i, prompt in enumerate(PROMPTS):
        with no_grad():
            logits = smollm2.model(np.array([tokenizer.encode(prompt)])).data[0]
        expected = REFERENCES[f"smollm2/logits/{i}"]
        np.testing.assert_allclose(logits[:, COLUMNS], expected, rtol=0, atol=1e-3)


def test_smollm2_knows_the_capital_of_france(smollm2: Pretrained) -> None:
    ids = REFERENCES["smollm2/conversation"]
    (answer,) = generate(smollm2.model, ids[None], 20, stop_ids=[2])
    assert "Paris" in tokenizer_of(smollm2).decode(answer)
    expected = REFERENCES["smollm2/answer"].tolist()
    assert answer == expected[: expected.index(2)]


def test_compact_smollm2_says_the_same() -> None:
    compact = load_pretrained(SMOLLM2, compact=True)
    ids = REFERENCES["smollm2/conversation"]
    (answer,) = generate(compact.model, ids[None], 20, stop_ids=[2])
    assert "Paris" in tokenizer_of(compact).decode(answer)


def test_minilm_cuts_text_as_the_reference_does(minilm: Pretrained) -> None:
    tokenizer = tokenizer_of(minilm)
    for i, text in enumerate(TEXTS):
        ids = tokenizer.encode(text, add_bos=True, add_eos=True)
        assert ids == REFERENCES[f"minilm/ids/{i}"].tolist(), text


def test_minilm_has_the_vectors_and_the_ranking_of_the_reference(minilm: Pretrained) -> None:
    vectors = embed(minilm, SENTENCES, batch_size=5)
    expected = REFERENCES["minilm/vectors"]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)
    ranking, wanted = (np.argsort(-(v @ v.T), axis=1) for v in (vectors, expected))
    np.testing.assert_array_equal(ranking, wanted)
    assert SENTENCES[ranking[0, 1]] == "A man is eating a piece of bread."


def test_smollm2_has_heads_that_look_back_and_heads_that_continue_patterns(
    smollm2: Pretrained,
) -> None:
    rng = np.random.default_rng(0)
    ids = np.tile(rng.integers(1000, 40000, 25), 2)  # random, then the same again
    with no_grad(), capture_attention(smollm2.model) as maps:
        smollm2.model(ids[None])
    scores = [head_scores(layer.weights[0], ids.tolist()) for layer in maps]
    assert max(layer.previous.max() for layer in scores) > 0.8
    assert max(layer.induction.max() for layer in scores) > 0.8


def test_a_conversation_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gguf")
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("What is the capital of France?\nAnd of Italy?\n")
    )
    assert main(["chat", str(SMOLLM2), "--temperature", "0"]) == 0
    printed = capsys.readouterr()
    paris, rome = printed.out.splitlines()
    assert "Paris" in paris
    assert "Rome" in rome
    assert "tokens/s written" in printed.err


def test_lines_become_vectors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(SENTENCES)))
    assert main(["embed", str(MINILM)]) == 0
    lines = capsys.readouterr().out.splitlines()
    vectors = np.array([line.split() for line in lines], np.float64)
    np.testing.assert_allclose(vectors, REFERENCES["minilm/vectors"], atol=1.1e-5)


def test_the_chapter_tells_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    chapter = Path(__file__).parents[2] / "docs" / "pretrained.md"
    blocks = re.findall(r"^```python\n(.*?)^```", chapter.read_text("utf-8"), re.S | re.M)
    assert len(blocks) > 5
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "models").symlink_to(FOLDER.resolve())
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, chapter.name, None, None)
    said: list[str] = []
    doctest.DocTestRunner().run(test, out=said.append)
    assert not said, "".join(said)
