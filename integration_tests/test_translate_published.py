"""Published translators in the command: the same as one's own, with what their folders say."""

import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from foundation_data import MarianTokenizer, UnigramTokenizer
from foundation_data.tokenizers.sentencepiece import Piece, SentencePieceModel
from foundation_data.tokenizers.subwords._subword_tokenizer import vocabulary_of
from foundation_transformer import (
    Transformer,
    TransformerConfig,
    load_pretrained,
    save_pretrained,
    translate,
)
from foundation_transformer.cli import main
from foundation_transformer.pretrained import GenerationDefaults
from pages import page_data

ENGLISH = ["the house is small", "a small house", "the old man sees a house", "an old house"] * 2
FRENCH = ["la maison est petite", "une petite maison", "le vieil homme voit une maison"] * 2
LINES = ["the old house", "a man", "the small man sees the house"]
LANGUAGES = [">>fra<<", ">>deu<<"]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def pieces_of(texts: list[str]) -> SentencePieceModel:
    """A model of SentencePiece that was trained on these texts."""
    learnt = UnigramTokenizer.train(texts, max_size=90, byte_fallback=False)
    specials = {"<unk>": "unknown", "<s>": "control", "</s>": "control"}
    ours = set(learnt.vocabulary.specials.tokens)
    scores = zip(learnt.vocabulary, learnt.scores, strict=True)
    pieces = [Piece(name, 0.0, kind) for name, kind in specials.items()]
    pieces += [Piece(text, score) for text, score in scores if text not in ours]
    return SentencePieceModel(tuple(pieces))


def marian_tokenizers() -> tuple[MarianTokenizer, MarianTokenizer]:
    models = [pieces_of(ENGLISH), pieces_of(FRENCH)]
    texts = [piece.text for model in models for piece in model.pieces if piece.kind == "normal"]
    tokens = ["</s>", "<unk>", *dict.fromkeys(texts), *LANGUAGES, "<pad>"]
    ids = {token: index for index, token in enumerate(tokens)}
    roles = {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    vocabulary = vocabulary_of(ids, list(roles.values()), roles)
    source, target = (MarianTokenizer(vocabulary, model) for model in models)
    return source, target


def strong(config: TransformerConfig) -> Transformer:
    """Weights with which different sources have different translations."""
    rng = np.random.default_rng(3)
    model = Transformer(config, rng=rng)
    for name, p in model.named_parameters():
        if p.ndim == 1:
            p.data = p.data + rng.normal(0, 0.2, p.shape)
        else:
            p.data = rng.normal(0, 0.3 if "embedding" in name else 1.0, p.shape)
    return model


@pytest.fixture(scope="module")
def opus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = marian_tokenizers()
    pad = len(source) - 1
    config = TransformerConfig.marian(
        vocab_size=len(source), max_len=24, d_model=16, num_heads=4, num_layers=2, d_ff=24
    )
    said = {
        "decoder_start_token_id": pad,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
        "pad_token_id": pad,
        "bad_words_ids": [[pad]],
        "max_length": 20,
        "num_beams": 4,
    }
    folder = tmp_path_factory.mktemp("opus-mt-en-fr")
    generation = GenerationDefaults.from_json(said)
    return save_pretrained(
        folder, strong(config), source, generation=generation, target_tokenizer=target
    )


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = UnigramTokenizer.train([*ENGLISH, *FRENCH], max_size=90, byte_fallback=False)
    config = TransformerConfig.t5(
        vocab_size=len(tokenizer) + 5,  # more rows than tokens, as real ones have
        d_model=16,
        num_heads=4,
        head_width=3,
        num_layers=2,
        d_ff=24,
        activation="geglu_tanh",
        num_buckets=8,
        max_distance=20,
        tie_embeddings=False,
        logit_scale=1.0,
    )
    return save_pretrained(tmp_path_factory.mktemp("flan-t5"), strong(config), tokenizer)


def test_lines_are_translated_as_the_folder_says(
    opus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load_pretrained(opus)
    assert (loaded.tokenizer, loaded.target_tokenizer) == marian_tokenizers()
    assert (loaded.decoding.beam_size, loaded.decoding.max_new_tokens) == (4, 19)
    expected = translate(loaded, LINES)
    assert len(set(expected)) == len(LINES)
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(LINES) + "\n")
    code, out, err = run(capsys, "translate", opus, lines)
    assert (code, out.splitlines(), err) == (0, expected, "")
    code, out, _ = run(capsys, "translate", opus, lines, "--beam-size", 1)
    assert (code, out.splitlines()) == (0, translate(loaded, LINES, beam_size=1))
    code, out, _ = run(capsys, "translate", opus, lines, "--n-best", 4)
    best = [line.split("\t") for line in out.splitlines()]
    assert [number for number, _, _ in best] == [str(n) for n in (1, 2, 3) for _ in range(4)]
    assert [text for _, _, text in best][::4] == expected


def test_what_stands_before_a_line(
    opus: Path, t5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(LINES) + "\n")
    for folder, prefix in ((opus, ">>fra<< "), (t5, "translate English to French: ")):
        loaded = load_pretrained(folder)
        code, out, err = run(capsys, "translate", folder, lines, "--prefix", prefix)
        assert err == ""
        written = out.splitlines()
        assert (code, written) == (0, translate(loaded, LINES, prefix=prefix))
        assert written == translate(loaded, [prefix + line for line in LINES])
        assert written != translate(loaded, LINES)


def test_a_language_that_is_not_known(
    opus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("a man\n>>xyz<< a man\n" + "house " * 30 + "\n")
    code, out, err = run(capsys, "translate", opus, lines)
    assert code == 1
    assert out.splitlines() == [*translate(load_pretrained(opus), ["a man"]), "", ""]
    assert "line 2: MarianTokenizer: the text begins with '>>xyz<<'" in err
    assert "line 3: has 31 tokens, the model reads 24; left empty" in err


def test_a_t5_whose_tokenizer_is_a_file_of_sentencepiece(t5: Path, tmp_path: Path) -> None:
    shutil.copytree(t5, tmp_path / "t5")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / "t5" / name).unlink()
    model = pieces_of([*ENGLISH, *FRENCH])
    (tmp_path / "t5" / "spiece.model").write_bytes(model.to_bytes())
    loaded = load_pretrained(tmp_path / "t5")
    assert loaded.tokenizer is not None
    assert list(loaded.tokenizer.vocabulary) == [piece.text for piece in model.pieces]
    ends = loaded.tokenizer.vocabulary.specials.eos_id
    assert loaded.translator.encode(["a man"])[0][-1] == ends == 2
    assert len(translate(loaded, LINES)) == len(LINES)


def test_a_folder_without_tokenizers(
    opus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(opus, tmp_path / "opus")
    (tmp_path / "opus" / "source.spm").unlink()
    code, _, err = run(capsys, "translate", tmp_path / "opus", "lines.txt")
    assert code == 1
    assert "no tokenizer beside the weights" in err
    assert "source.spm and target.spm" in err
    with pytest.raises(ValueError, match="expected an encoder-decoder with its tokenizers"):
        translate(load_pretrained(opus, tokenizer=False), LINES)


def test_tokens_without_a_text_are_not_written(t5: Path) -> None:
    loaded = load_pretrained(t5)
    tokenizer = loaded.tokenizer
    assert tokenizer is not None
    translator = loaded.translator
    assert set(range(len(tokenizer), len(tokenizer) + 5)) <= set(translator.decoding.forbidden_ids)
    for beam_size in (1, 3):
        written = translator.with_options(beam_size=beam_size).write(translator.encode(LINES))
        assert all(max(each.ids, default=0) < len(tokenizer) for each in written)


def test_evaluate(opus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sacrebleu")
    written = translate(load_pretrained(opus), LINES)
    pairs = tmp_path / "pairs.tsv"
    texts = [*zip(LINES, written, strict=True), ("a man", "another"), ("house " * 30, "too long")]
    pairs.write_text("".join(f"{source}\t{target}\n" for source, target in texts))
    code, out, _ = run(capsys, "evaluate", opus, "--data", pairs, "--json")
    scores = json.loads(out)
    assert (code, scores["sentences"], scores["too_long"]) == (0, 5, 1)
    assert scores["exact_match"] == pytest.approx(3 / 5)


def test_the_page_of_attention(
    opus: Path, t5: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (opus, t5):
        page = tmp_path / "page.html"
        code, _, err = run(capsys, "attention", folder, LINES[0], "--out", page)
        assert (code, err) == (0, "")
        loaded = load_pretrained(folder)
        (written,) = translate(loaded, LINES[:1])
        assert f"{LINES[0]} → {written}" in html.unescape(page.read_text("utf-8"))
        assert len(page_data(page)) == 6  # two of the encoder, and two of each decoder layer


def test_inspect(opus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "inspect", opus)
    assert code == 0
    assert "Transformer, " in out
    assert "source_tokenizer" in out
    assert "MarianTokenizer of " in out
    said = out[out.index("translating\n") :].splitlines()[1:6]
    assert said == [
        "  begins with <pad>",
        "  ends with </s>",
        "  follows 4 translations at the same time, length penalty 1",
        "  of at most 19 tokens",
        "  never writes <pad>",
    ]


def test_a_language_model_is_no_translator(opus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "generate", opus, "a man")
    assert code != 0
    assert "holds a translator (see foundation translate)" in err
