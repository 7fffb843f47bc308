"""The commands that take published models, on small ones written as these are."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from foundation_data import BPETokenizer, SentencePieceBPETokenizer, WordPieceTokenizer
from foundation_nn import checkpoint
from foundation_seq import generate
from foundation_transformer import (
    CausalLM,
    TextEncoder,
    TransformerConfig,
    load_pretrained,
    save_pretrained,
)
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.cli import main
from foundation_transformer.cli._labels import labels
from foundation_transformer.cli._search import passages
from foundation_transformer.evaluation import surprisal
from foundation_transformer.pretrained import Dense, Pooling
from foundation_transformer.pretrained._gguf_text import tokenizer_of
from foundation_transformer.pretrained._safetensors import read_header, write_safetensors
from pages import page_data
from safetensors.numpy import load_file

TEXTS = ["the cat sat on the mat", "a mask is true where a token is real", "日本"] * 3


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a language model that knows nothing."""
    folder = tmp_path_factory.mktemp("writer")
    tokenizer = BPETokenizer.train(TEXTS, max_size=300)
    config = TransformerConfig.llama(
        vocab_size=len(tokenizer), max_len=40, d_model=24, num_heads=2, num_layers=3, d_ff=29
    )
    model = CausalLM(config, rng=np.random.default_rng(0))
    template = ChatTemplate.of("{% for m in messages %}{{ m.content }}.{% endfor %}")
    save_pretrained(folder / "published", model, tokenizer, template)
    checkpoint.save(folder / "ours", model, tokenizer=tokenizer)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a text encoder that knows nothing."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = WordPieceTokenizer.train(TEXTS, max_size=100)
    config = TransformerConfig.bert(
        vocab_size=len(tokenizer), max_len=40, d_model=24, num_heads=2, num_layers=2, d_ff=29
    )
    model = TextEncoder(config, rng=np.random.default_rng(0))
    save_pretrained(folder, model, tokenizer)
    return folder


# --- labels


def test_tokens_as_people_read_them() -> None:
    tokenizer = BPETokenizer.train(TEXTS[:2] * 3, max_size=300)
    ids = tokenizer.encode("the cat 日é!")
    names = labels(tokenizer, ids)
    assert names[-6:] == ["…", "…", "日", "…", "é", "!"]
    assert "".join(names).replace("…", "") == "the cat 日é!"
    cut = tokenizer.encode("日")[:-1]
    assert labels(tokenizer, cut) == ["…", "…"]
    eos = tokenizer.vocabulary.specials.eos_id
    assert labels(tokenizer, [eos]) == tokenizer.vocabulary.to_tokens([eos])


# --- attention


def test_a_page_shows_every_head_of_a_published_model(
    writer: Path, encoder: Path, tmp_path: Path
) -> None:
    for folder, layers in ((writer / "published", 3), (encoder, 2)):
        page = tmp_path / "page.html"
        assert main(["attention", str(folder), "the cat", "--out", str(page)]) == 0
        data = page_data(page)
        assert len(data) == layers
        assert {len(layer["weights"]) for layer in data} == {2}  # type: ignore[arg-type]
        tokens = data[0]["keys"]
        assert isinstance(tokens, list)
        if folder == encoder:  # reads a text between the tokens it was trained with
            assert len(tokens) >= 4
            assert tokens[0] != "the"
        else:
            assert "".join(tokens) == "the cat"


def test_a_sentence_of_nothing_is_refused(
    writer: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (writer / "published", encoder):
        assert main(["attention", str(folder), ""]) == 1
        assert "nothing to look at; give a sentence" in capsys.readouterr().err


# --- surprisal


def test_bits_of_each_token_are_the_same_for_both_kinds_of_folder(
    writer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["surprisal", str(writer / "published"), "the cat"]) == 0
    table = capsys.readouterr().out
    first, *rest = [line.split("\t") for line in table.splitlines()]
    assert first[:2] == ["–", "–"]
    for bits, p, _ in rest:
        assert float(p) == pytest.approx(2 ** -float(bits), abs=1e-4)
        assert float(bits) == pytest.approx(np.log2(300), abs=1.5)  # it knows nothing
    monkeypatch.setattr(sys, "stdin", io.StringIO("the cat\n"))
    assert main(["surprisal", str(writer / "ours")]) == 0
    assert capsys.readouterr().out == table


def test_a_terminal_gets_colours_and_a_sum(
    writer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["surprisal", str(writer / "ours"), "the cat"]) == 0
    shaded, empty, legend, total = capsys.readouterr().out.splitlines()
    assert "\x1b[30;48;5;" in shaded
    assert not empty
    assert legend.startswith("bits: ")
    assert " bits a token, " in total


def test_surprisal_needs_a_language_model_and_a_text(
    writer: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["surprisal", str(encoder), "the cat"]) == 1
    assert (
        "holds a text encoder (see foundation embed), not a language model"
        in capsys.readouterr().err
    )
    assert main(["surprisal", str(writer / "ours"), ""]) == 1
    assert "nothing to read; give a text" in capsys.readouterr().err
    assert main(["surprisal", str(writer), "the cat"]) == 1
    assert "no trained model there" in capsys.readouterr().err
    assert main(["surprisal", str(writer / "ours"), "the cat " * 40]) == 1
    assert "longer than the model's 40 positions" in capsys.readouterr().err


# --- generate and evaluate


def test_a_published_model_writes_and_is_measured(
    writer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat " * 9, "utf-8")
    said = []
    for folder in (writer / "published", writer / "ours"):
        assert (
            main(["generate", str(folder), "the cat", "--max-new-tokens", "5", "--seed", "1"]) == 0
        )
        assert main(["evaluate", str(folder), "--data", str(tmp_path / "text.txt")]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].startswith("the cat")
    assert "perplexity" in said[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "7"], "expected 0 < top_p <= 1"),
        (["--set", "thinking"], "--set: expected NAME=VALUE, got 'thinking'"),
    ],
)
def test_flags_of_a_conversation_that_cannot_be(
    writer: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["chat", str(writer / "published"), *flags]) == 1
    assert message in capsys.readouterr().err


def test_an_answer_leaves_room_for_the_question(
    writer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("the\n" + "the cat " * 20))
    assert main(["chat", str(writer / "published"), "--temperature", "0", "--system", ""]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") >= 1
    assert "longer than the 20 tokens that there are for it" in err
    assert "tokens/s" in err


def test_a_template_is_obeyed_and_one_that_refuses_says_so_at_once(
    writer: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "chat"
    shutil.copytree(writer / "published", folder)

    def said(template: str, *flags: str) -> str:
        (folder / "chat_template.jinja").write_text(template)
        monkeypatch.setattr(sys, "stdin", io.StringIO("the\n"))
        main(["chat", str(folder), "--temperature", "0", "--max-new-tokens", "5", *flags])
        out, err = capsys.readouterr()
        return out or err

    plain = said("{{ messages[-1].content }}")
    assert said("{{ messages[-1].content }}{{ x | default('') }}") == plain
    assert said("{{ messages[-1].content }}{{ x | default('') }}", "--set", "x= the cat") != plain
    no_system = "{% if messages[0].role == 'system' %}{{ raise_exception('No system') }}{% endif %}"
    assert "chat template: No system" in said(no_system + "the", "--system", "Be kind.")
    assert "what the sandbox forbids" in said("{{ ''.__class__.__mro__ }}")
    (folder / "chat_template.jinja").unlink()
    rewrite(folder / "tokenizer_config.json", chat_template=None)
    assert main(["chat", str(folder)]) == 1
    assert "has no chat template" in capsys.readouterr().err


def rewrite(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(content | changes), "utf-8")


@pytest.fixture
def framed(writer: Path, tmp_path: Path) -> Path:
    """The language model in a folder that says more."""
    folder = tmp_path / "framed"
    shutil.copytree(writer / "published", folder)
    rewrite(folder / "tokenizer_config.json", add_bos_token=True)
    return folder


def test_what_stands_before_every_text_is_read_with_it(
    framed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_pretrained(framed)
    tokenizer = loaded.tokenizer
    assert isinstance(loaded.model, CausalLM)
    assert tokenizer is not None
    ids = [1, *tokenizer.encode("the cat")]
    expected = surprisal(loaded.model, ids)[1:]
    assert main(["surprisal", str(framed), "the cat"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [float(bits) for bits, _, _ in rows] == pytest.approx(expected.tolist(), abs=6e-3)
    arguments = ["generate", str(framed), "the cat", "--temperature", "0", "--max-new-tokens", "9"]
    assert main(arguments) == 0
    (written,) = generate(loaded.model, [ids], 9)
    assert capsys.readouterr().out == tokenizer.decode([*ids, *written]) + "\n"
    assert main([*arguments, "--lookup"]) == 0
    assert capsys.readouterr().out == tokenizer.decode([*ids, *written]) + "\n"
    # Any of the ends that the folder names ends it.
    rewrite(framed / "generation_config.json", eos_token_id=[9999, written[5]])
    assert main(arguments) == 0
    shorter = written[: written.index(written[5])]
    assert capsys.readouterr().out == tokenizer.decode([*ids, *shorter]) + "\n"


def test_sampling_is_the_folders_and_flags_win_and_both_are_told(
    framed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", str(framed), "the cat", "--max-new-tokens", "9", "--seed", "1"]

    def said(*flags: str) -> tuple[str, str]:
        assert main([*arguments, *flags]) == 0
        out, err = capsys.readouterr()
        return out, err

    unsaid = said()
    assert unsaid[1] == ""
    rewrite(framed / "generation_config.json", do_sample=False)
    greedy = said()
    assert "the likeliest token each time (the model's)" in greedy[1]
    rewrite(framed / "generation_config.json", do_sample=True, temperature=3.5, top_k=40)
    drawn, told = said()
    assert "tokens are drawn: temperature 3.5 (the model's), top_k 40 (the model's)\n" in told
    assert drawn == said("--temperature", "3.5", "--top-k", "40")[0]
    assert drawn != unsaid[0]
    _, told = said("--temperature", "0.25")
    assert "tokens are drawn: temperature 0.25 (flag), top_k 40 (the model's)" in told
    assert said("--top-k", "1")[0] == greedy[0]
    rewrite(framed / "generation_config.json", num_beams=4)
    assert "not obeyed: num_beams=4" in said()[1]


# --- heads


def test_heads_are_used_by_their_commands(
    encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "head"
    shutil.copytree(encoder, folder)
    rng = np.random.default_rng(0)
    weights = {
        f"bert.{name}": tensor.read()
        for name, tensor in read_header(encoder / "model.safetensors").items()
    }

    def said(labels: list[str], *arguments: str) -> str:
        head = rng.standard_normal((len(labels), 24)).astype(np.float32)
        more = {"classifier.weight": head, "classifier.bias": np.zeros(len(labels), np.float32)}
        write_safetensors(folder / "model.safetensors", (weights | more).items())
        rewrite(
            folder / "config.json",
            architectures=["BertForSequenceClassification"],
            id2label=dict(enumerate(labels)),
        )
        monkeypatch.setattr(sys, "stdin", io.StringIO("the cat\na mask\nmat\n"))
        assert main([arguments[0], str(folder), *arguments[1:]]) == 0
        return capsys.readouterr().out

    rows = [line.split("\t") for line in said(["bad", "good"], "classify").splitlines()]
    assert [row[2] for row in rows] == ["the cat", "a mask", "mat"]
    assert {row[0] for row in rows} <= {"bad", "good"}
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)
    rows = [line.split("\t") for line in said(["score"], "rerank", "the cat").splitlines()]
    assert sorted(row[1] for row in rows) == ["a mask", "mat", "the cat"]
    scores = [float(row[0]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert main(["embed", str(folder)]) == 1
    assert "a text classifier (see foundation classify and rerank)" in capsys.readouterr().err
    assert main(["classify", str(encoder)]) == 1
    assert "expected one with a head that classifies" in capsys.readouterr().err


# --- search

MARKDOWN = """\
Before any heading,
in two lines.

# Masks and `padding`

A mask is true.

```python
code = "is left out"

# no heading
```
## Tokens
The cat sat.
- on the mat
"""


def test_passages_know_their_lines_and_headings(tmp_path: Path) -> None:
    file = tmp_path / "chapter.md"
    file.write_text(MARKDOWN, "utf-8")
    assert [tuple(p)[1:] for p in passages(file)] == [
        (1, "chapter", "Before any heading,\nin two lines."),
        (6, "Masks and `padding`", "A mask is true."),
        (14, "Tokens", "The cat sat.\n- on the mat"),
    ]


def test_what_was_asked_word_for_word_is_found_first(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "chapter.md"
    file.write_text(MARKDOWN, "utf-8")
    (tmp_path / "other.md").write_text("the cat\n\nis real\n", "utf-8")
    question = "Tokens the cat sat. - on the mat"
    assert main(["search", str(encoder), str(tmp_path), question, "--top-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"1.00  {file}:14  Tokens"
    assert lines[1].strip() == "The cat sat. - on the mat"
    assert len([line for line in lines if "  " in line and ":" in line]) == 2


def test_what_cannot_be_searched_is_said(
    writer: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: object) -> str:
        assert main(["search", *map(str, arguments)]) == 1
        return capsys.readouterr().err

    assert "no .md file in it" in refused(encoder, tmp_path, "what?")
    assert "no such folder" in refused(encoder, tmp_path / "none", "what?")
    (tmp_path / "a.md").write_text("# Only a heading\n", "utf-8")
    assert "hold no text" in refused(encoder, tmp_path, "what?")
    (tmp_path / "a.md").write_text("text", "utf-8")
    assert "ask a question" in refused(encoder, tmp_path, " ")
    assert "no such file or folder" in refused(tmp_path / "none", tmp_path, "what?")
    assert "expected a text encoder" in refused(writer / "published", tmp_path, "what?")
    (tmp_path / "a.md").write_bytes(b"\xff")
    assert "not UTF-8" in refused(encoder, tmp_path, "what?")


# --- inspect


def test_what_is_in_a_published_model_is_told(
    writer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(writer / "published")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    size = (writer / "published" / "model.safetensors").stat().st_size
    assert ["model.safetensors", f"{size:,}", "bytes"] in lines
    assert ["num_layers", "3"] in lines
    assert ["stack.layers.2.linear2.weight", "float32", "24×29"] in lines


def test_what_a_folder_says_beside_the_weights_is_told(
    framed: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(
        framed / "generation_config.json",
        do_sample=True,
        temperature=0.5,
        eos_token_id=[2],
        num_beams=3,
    )
    assert main(["inspect", str(framed)]) == 0
    said = capsys.readouterr().out
    specials = load_pretrained(framed).tokenizer.vocabulary.specials  # type: ignore[union-attr]
    assert f"the model reads\n  {specials.bos} the text\n" in said
    assert f"writing\n  ends with {specials.eos}\n  draws by SamplingConfig(temperature=0.5" in said
    assert "  not obeyed: num_beams=3\n  has chat template\n" in said

    loaded = load_pretrained(encoder)
    assert isinstance(loaded.model, TextEncoder)
    layer = Dense(np.zeros((7, 24), np.float32))
    pooling = Pooling(("cls",), True, 9, {"query": "find: "}, "query", dense=(layer,))
    folder = save_pretrained(tmp_path / "said", loaded.model, loaded.tokenizer, pooling=pooling)
    file = folder / "model.safetensors"
    tensors = {f"bert.{name}": array for name, array in load_file(file).items()}
    extra = {"cls.predictions.bias": np.zeros(3, np.float32)}
    write_safetensors(file, (tensors | extra).items())
    assert main(["inspect", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "the model reads\n  [CLS] the text [SEP]\n" in said
    assert (
        "the vector of a text\n  cls of the tokens' vectors\n"
        "  a dense layer from 24 to 7 numbers, tanh\n  scaled to length one\n"
        "  of at most 9 tokens\n  prompt query (the default): 'find: '\n"
    ) in said
    assert "left out, heads that it has no place for\n  cls.predictions.bias\n" in said


def test_sentencepiece_in_gguf() -> None:
    """Tokens, scores and types of a GGUF file say what SentencePiece's own file says."""
    trained = SentencePieceBPETokenizer.train(TEXTS, max_size=330)
    merged = {first + second: rank for rank, (first, second) in enumerate(trained.merges)}
    specials = trained.vocabulary.specials
    kinds = {specials.unk_id: 2, specials.bos_id: 3, specials.eos_id: 3, specials.pad_id: 3}
    tokens = list(trained.vocabulary)
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": np.array([-merged.get(token, 0) for token in tokens], np.float32),
        "tokenizer.ggml.token_type": np.array(
            [kinds.get(i, 6 if token[:3] == "<0x" else 1) for i, token in enumerate(tokens)]
        ),
        "tokenizer.ggml.bos_token_id": specials.bos_id,
        "tokenizer.ggml.eos_token_id": specials.eos_id,
    }
    tokenizer = tokenizer_of(metadata)
    for text in (*TEXTS, " two  spaces", "ꙮ", "<bos>"):
        # Both put a space before a text; words may be longer, since the file has no cut.
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode("the cat") == trained.encode("the cat")
    # A text begins with BOS unless the file says otherwise.
    assert tokenizer.encode("a", framed=True)[0] == specials.bos_id
    silent = tokenizer_of({**metadata, "tokenizer.ggml.add_bos_token": False})
    assert silent.encode("a", framed=True) == tokenizer.encode("a")
    bare = tokenizer_of({**metadata, "tokenizer.ggml.add_space_prefix": False})
    assert bare.tokenize("the")[0] != "▁the"
    with pytest.raises(ValueError, match=rf"scores and kinds as the {len(tokens)} tokens, got 5"):
        tokenizer_of({**metadata, "tokenizer.ggml.scores": np.zeros(5, np.float32)})
    with pytest.raises(ValueError, match="'bert' is not supported; expected 'gpt2' or 'llama'"):
        tokenizer_of({**metadata, "tokenizer.ggml.model": "bert"})


def test_byte_pairs_in_gguf_have_a_bos_where_their_cut_says_so() -> None:
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": ["<b>", "a", "b", "ab"],
        "tokenizer.ggml.merges": [],
        "tokenizer.ggml.token_type": np.array([3, 1, 1, 1]),
        "tokenizer.ggml.bos_token_id": 0,
    }
    assert tokenizer_of(metadata).encode("ab", framed=True) == [1, 2]
    # Llama 3: a word that is a token needs no merges, and a text begins with BOS.
    llama = tokenizer_of({**metadata, "tokenizer.ggml.pre": "llama-bpe"})
    assert llama.encode("ab", framed=True) == [0, 3]
    qwen = tokenizer_of({**metadata, "tokenizer.ggml.pre": "qwen2"})
    assert qwen.encode("ab", framed=True) == [1, 2]
