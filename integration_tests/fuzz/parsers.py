"""What is fuzzed: for each parser the files of a sound sample, and how it is read and used."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from foundation_data import (
    BPETokenizer,
    CharTokenizer,
    MarianTokenizer,
    SentencePieceBPETokenizer,
    SentencePieceModel,
    Tokenizer,
    UnigramTokenizer,
    Vocabulary,
    WordPieceTokenizer,
    WordTokenizer,
    load_tokenizer,
    open_shards,
    read_examples,
    read_pairs,
    read_parallel,
    read_texts,
    write_shards,
)
from foundation_data._files import digest as digest_of_data
from foundation_nn import MLP, Tensor, checkpoint, image_files, no_grad, optim
from foundation_nn import functional as F
from foundation_nn.checkpoint._folder import _digest as digest_of_checkpoint
from foundation_nn.training import (
    Checkpoints,
    FailedStep,
    JsonLog,
    Trainer,
    checkpoints_of,
    read_history,
    write_report,
)
from foundation_transformer import CausalLM, TextEncoder, TransformerConfig
from foundation_transformer.adapters import Lora, load_adapter, save_adapter
from foundation_transformer.chat import ChatTemplate
from foundation_transformer.cli import main
from foundation_transformer.evaluation import read_questions
from foundation_transformer.pretrained import load_pretrained, save_pretrained
from foundation_transformer.recipes import read_preferences

TEXTS = ["the cat sat on the mat", "l'été à 25 °C", "日本, naïve 👍\n", "low lower lowest"] * 3


@dataclass(frozen=True)
class Parser:
    """One way into the program.

    Attributes
    ----------
    name : str
    write : callable
        Writes a sound sample into a folder.
    files : tuple of str
        Those of it that are damaged, one at a time.
    read : callable
        Reads the folder, and uses what was read. It raises what is documented, or nothing.
    reseal : callable or None
        Brings the checksums in a damaged folder into line, so that what lies behind is reached;
        half of the time.
    names_file : bool
        Whether every refusal names the folder or the file.
    errors : tuple of type
        What is documented.
    sound_is_read : bool
        Whether the sample is read without an error as long as it is not damaged.
    """

    name: str
    write: Callable[[Path], object]
    files: tuple[str, ...]
    read: Callable[[Path], object]
    reseal: Callable[[Path], object] | None = None
    names_file: bool = True
    errors: tuple[type[Exception], ...] = field(default=(ValueError, OSError))
    sound_is_read: bool = True


# --- checkpoints


def write_checkpoint(folder: Path) -> None:
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    tokenizer = WordTokenizer.train(TEXTS)
    checkpoint.save(folder, model, optim.AdamW(model), tokenizer=tokenizer, words=["a", {"b": 1}])


def read_checkpoint(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    optim.AdamW(loaded.model).load_state_dict(loaded.optimizer or {})


def reseal_folder(folder: Path, kind: str = "checkpoint") -> None:
    source = folder / f"{kind}.json"
    content = json.loads(source.read_bytes())
    for name in content["files"]:
        content["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    content["sha256"] = digest_of_checkpoint(content)
    source.write_text(json.dumps(content))


def loss(model: Any, batch: Any) -> tuple[Tensor, int]:
    return F.mse_loss(model(batch), np.zeros((len(batch), 1), np.float32)), len(batch)


def trainer_of(folder: Path) -> Trainer:
    rng = np.random.default_rng(0)
    model = MLP([2, 3, 1], rng=rng)
    callbacks = [JsonLog(folder / "history.jsonl"), Checkpoints(folder)]
    return Trainer(model, loss, optim.AdamW(model), rng=rng, callbacks=callbacks)


ROWS = [np.ones((2, 2), np.float32)] * 4


def write_run(folder: Path) -> None:
    trainer_of(folder).fit(ROWS, validation=ROWS[:1], max_steps=2)


def read_run(folder: Path) -> None:
    trainer = trainer_of(folder)
    trainer.resume(checkpoints_of(folder)[-1])
    trainer.fit(ROWS, validation=ROWS[:1], max_steps=3)


def write_failed_step(folder: Path) -> None:
    model = MLP([2, 3, 1], rng=np.random.default_rng(0))
    batch = {"x": np.ones((2, 2), np.float32), "y": (1, [2.5, "a", None])}
    state = np.random.default_rng(0).bit_generator.state
    FailedStep(1, 0.1, "not finite", batch, model.state_dict(), state, model).save(folder)


# --- published models

SHAPE: dict[str, Any] = {"max_len": 40, "d_model": 24, "num_heads": 2, "num_layers": 2, "d_ff": 29}
_TOKENIZER = BPETokenizer.train(TEXTS, max_size=300)
_WORD_PIECES = WordPieceTokenizer.train(TEXTS, max_size=90)


def write_model(preset: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        pieces = preset == "bert"
        tokenizer: Any = _WORD_PIECES if pieces else _TOKENIZER
        config = getattr(TransformerConfig, preset)(vocab_size=len(tokenizer), **SHAPE)
        rng = np.random.default_rng(0)
        model: Any = TextEncoder(config, rng=rng) if pieces else CausalLM(config, rng=rng)
        save_pretrained(folder, model, tokenizer, ChatTemplate.of("{{ messages }}"))

    return write


def write_parts(folder: Path) -> None:
    """A model whose weights lie in a file that an index names."""
    write_model("llama")(folder)
    whole = folder / "model.safetensors"
    content = whole.read_bytes()
    length = int.from_bytes(content[:8], "little")
    names = [name for name in json.loads(content[8 : 8 + length]) if name != "__metadata__"]
    whole.rename(folder / "part.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "part.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def read_model(place: Path) -> None:
    loaded = load_pretrained(place)
    ids = np.array([[0, 1, 2]])
    with no_grad(), np.errstate(all="ignore"):
        loaded.model(ids)
    if loaded.tokenizer is not None:
        use_tokenizer(loaded.tokenizer)


TUNED = TransformerConfig.llama(vocab_size=5, d_model=8, num_heads=2, num_layers=1, d_ff=6)
EXAMPLES = (
    b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}\n'
    b'{"prompt": "2 + 2 =", "completion": " 4"}\n{"text": "All of this."}\n'
) * 3


def write_adapter(folder: Path) -> None:
    save_adapter(folder, Lora.around(CausalLM(TUNED), rank=2, rng=np.random.default_rng(0)))


def read_adapter(folder: Path) -> None:
    model = CausalLM(TUNED)
    load_adapter(folder, model)
    with no_grad(), np.errstate(all="ignore"):
        model(np.array([[0, 1, 2]]))


def write_gguf(folder: Path) -> None:
    """A small Llama, written by hand, so that the library is not needed for it."""
    tensors = {"token_embd.weight": (5, 8), "output_norm.weight": (8,)}
    for name, shape in (
        *(("attn_norm", (8,)), ("ffn_norm", (8,)), ("ffn_gate", (6, 8)), ("ffn_up", (6, 8))),
        *(("ffn_down", (8, 6)), *((f"attn_{part}", (8, 8)) for part in ("q", "k", "v", "output"))),
    ):
        tensors[f"blk.0.{name}.weight"] = shape

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def array(values: list[str]) -> bytes:
        return struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))

    fields: list[tuple[str, int, bytes]] = [
        ("general.architecture", 8, text("llama")),
        ("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.model", 8, text("gpt2")),
        ("tokenizer.ggml.tokens", 9, array(["<end>", "a", "b", "ab", "<x>"])),
        ("tokenizer.ggml.token_type", 9, struct.pack("<IQ5i", 5, 5, 3, 1, 1, 1, 4)),
        ("tokenizer.ggml.merges", 9, array(["a b"])),
        ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 0)),
    ]
    for name, number in (
        *(("context_length", 64), ("embedding_length", 8), ("block_count", 1)),
        *(("feed_forward_length", 6), ("attention.head_count", 2)),
        ("attention.head_count_kv", 2),
    ):
        fields.append((f"llama.{name}", 4, struct.pack("<I", number)))
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    for name, kind, content in fields:
        header += text(name) + struct.pack("<I", kind) + content
    data = b""
    for name, shape in tensors.items():
        header += text(name) + struct.pack("<I", len(shape))
        header += struct.pack(f"<{len(shape)}QIQ", *reversed(shape), 0, len(data))
        values = np.random.default_rng(len(data)).standard_normal(shape).astype("<f4").tobytes()
        data += values + bytes(-len(values) % 32)
    (folder / "model.gguf").write_bytes(header + bytes(-len(header) % 32) + data)


# --- tokenizers


def use_tokenizer(tokenizer: Any) -> None:
    """Encode and decode. A vocabulary may lack what the text has, which is said."""
    for text in ("the cat", "été <eos> 日\n"):
        with contextlib.suppress(ValueError):
            tokenizer.decode(tokenizer.encode(text))
    tokenizer.to_dict()


def saved(tokenizer: Any, name: str = "tokenizer.json") -> Callable[[Path], None]:
    return lambda folder: tokenizer.save(folder / name)


def foreign(tokenizer: Any) -> Callable[[Path], None]:
    """As another program writes it: without a checksum, and with more steps."""

    def write(folder: Path) -> None:
        document = tokenizer.to_dict()["tokenizer"]
        if tokenizer.kind == "bpe":
            split = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}|[^\s]+|\s"}}
            split |= {"behavior": "Isolated", "invert": False}
            steps = [split, {"type": "Digits", "individual_digits": True}]
            steps.append(document["pre_tokenizer"])
            document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
            document["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
        (folder / "tokenizer.json").write_text(json.dumps(document))
        roles = {"eos_token": {"content": tokenizer.vocabulary.specials.eos}, "bos_token": None}
        (folder / "special_tokens_map.json").write_text(json.dumps(roles))

    return write


def write_gpt2_vocabulary(folder: Path) -> None:
    ids = {token: index for index, token in enumerate(_TOKENIZER.vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    merges = "".join(f"{first} {second}\n" for first, second in _TOKENIZER.merges)
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, "utf-8")


_UNIGRAM = UnigramTokenizer.train(TEXTS, max_size=330)
_PAIRS_OF_CHARACTERS = SentencePieceBPETokenizer.train(TEXTS, max_size=330)


def small_charsmap() -> bytes:
    """A table in which "é", the bytes C3 and A9, becomes "e"; as a tree in an array.

    Each place holds the byte that leads to it, whether an entry ends there, and how to come to its
    children.
    """
    units = [0] * 1024
    first = 256 ^ 0xC3
    second = 512 ^ 0xA9
    units[0] = 256 << 10
    units[first] = (512 ^ first) << 10 | 0xC3
    units[second] = (768 ^ second) << 10 | 1 << 8 | 0xA9
    units[768] = 1 << 31  # and where the text begins, which is 0
    return struct.pack("<I1024I", 4096, *units) + b"e\0"


def sentencepiece_model(algorithm: str) -> SentencePieceModel:
    """A model as another program writes it."""
    letters = ["▁", *"thecasonm", "▁t", "he", "▁the", "at"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(letters)]
    scores = [0.0] * 259 + [-1.0 - i for i in range(len(letters))]
    options = {"algorithm": algorithm, "byte_fallback": True, "charsmap": small_charsmap()}
    return SentencePieceModel.of_table(tokens, scores, kinds, **options)


def write_sentencepiece(algorithm: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = sentencepiece_model(algorithm).to_bytes()
        (folder / "tokenizer.model").write_bytes(content)
        added = {"content": "<x>", "special": True}
        config = {"added_tokens_decoder": {"273": added}, "tokenizer_class": "LlamaTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))

    return write


def write_marian(folder: Path) -> None:
    model = sentencepiece_model("unigram")
    names = ["</s>", *(piece.text for piece in model.pieces if piece.text != "</s>"), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes(model.to_bytes())


def read_marian(folder: Path) -> None:
    for tokenizer in MarianTokenizer.of_folder(folder):
        use_tokenizer(tokenizer)


def foreign_unigram(folder: Path) -> None:
    """As another program writes it: with a table of characters, cut at spaces."""
    document = _UNIGRAM.to_dict()["tokenizer"]
    table = base64.b64encode(small_charsmap()).decode()
    steps: list[Any] = [{"type": "Nmt"}, {"type": "Precompiled", "precompiled_charsmap": table}]
    steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    document["normalizer"] = {"type": "Sequence", "normalizers": steps}
    document["pre_tokenizer"] = document["decoder"] = metaspace
    (folder / "tokenizer.json").write_text(json.dumps(document))


def reseal_tokenizer(folder: Path) -> None:
    source = folder / "tokenizer.json"
    document = json.loads(source.read_bytes())
    ours = document["model"].pop("foundation-data")
    ours["sha256"] = digest_of_data("tokenizer", {**document, "specials": ours["specials"]})
    document["model"]["foundation-data"] = ours
    source.write_text(json.dumps(document))


def reseal_data(name: str, kind: str) -> Callable[[Path], None]:
    def reseal(folder: Path) -> None:
        document = json.loads((folder / name).read_bytes())
        document["sha256"] = digest_of_data(kind, document["content"])
        (folder / name).write_text(json.dumps(document))

    return reseal


_WORDS = WordTokenizer.train(TEXTS)
_CHARACTERS = CharTokenizer.train(TEXTS)


# --- texts and tables

PAIRS = b"Go.\tVa !\nHello\t\"Bonjour\"\nI'm cold.\tJ'ai froid.\n" * 3


def packed(name: str, content: bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        if name.endswith(".gz"):
            (folder / name).write_bytes(gzip.compress(content, mtime=0))
        elif name.endswith(".zip"):
            with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("pairs.tsv", content)
                archive.writestr("_about.txt", "about")
        else:
            (folder / name).write_bytes(content)

    return write


def write_parallel(folder: Path) -> None:
    (folder / "train.en").write_text("Go.\nHello\nI'm cold.\n")
    (folder / "train.fr").write_text("Va !\nBonjour\nJ'ai froid.\n")


JSON_LINES = b'{"source": "Go.", "target": "Va !", "text": "a"}\n{"source": "a", "target": "b"}\n'


CHOICES = b"""{"question": "Grass is", "choices": ["green", "loud"], "answer": 0}
{"question": "Snow is", "choices": ["hot", "cold", "old"], "answer": "cold"}
"""
ANSWERS = b"""{"question": "1 + 1 =", "answer": "2"}
{"question": "2 + 2 =", "answer": ["4", "four"]}
"""
PREFERENCES = b"""{"prompt": "1 + 1 =", "chosen": " 2", "rejected": " 3"}
{"prompt": "2 + 2 =", "chosen": " 4", "rejected": " 5"}
"""


def write_images(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 3)).astype(np.uint8)
    for name, values in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", np.arange(6) % 3)):
        shape = struct.pack(f">{np.ndim(values)}I", *np.shape(values))
        header = bytes([0, 0, 8, np.ndim(values)]) + shape
        (folder / name).write_bytes(header + np.asarray(values, np.uint8).tobytes())


def write_token_shards(folder: Path) -> None:
    write_shards([[1, 5, 2], [1, 6, 7, 2]] * 4, folder / "corpus", vocab_size=10, shard_tokens=9)


def read_token_shards(folder: Path) -> None:
    stream = open_shards(folder / "corpus")
    stream.read(0, len(stream))
    stream.document_lengths.sum()


def reseal_shards(folder: Path) -> None:
    source = folder / "corpus" / "manifest.json"
    document = json.loads(source.read_bytes())
    for entry in document["content"]["shards"]:
        for described in entry.values():
            content = (folder / "corpus" / described["file"]).read_bytes()
            described["sha256"] = hashlib.sha256(content).hexdigest()
    document["sha256"] = digest_of_data("token shards", document["content"])
    source.write_text(json.dumps(document))


# --- the command: one line and a status, never a traceback


class RefusedByCommandError(Exception):
    """The command said in a line why it cannot do what is asked."""


def command(*arguments: str) -> Callable[[Path], None]:
    """Run the command; `FOLDER` stands for the folder."""

    def read(folder: Path) -> None:
        words = [word.replace("FOLDER", str(folder)) for word in arguments]
        told = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
            try:
                status = main(words)
            except SystemExit as end:
                status = int(str(end.code))
        if status not in (0, 1, 2) or len(told.getvalue().splitlines()) > 1:
            raise AssertionError(f"status {status}: {told.getvalue()[-2000:]}")
        if status:
            raise RefusedByCommandError(f"{folder}: {told.getvalue()}")

    return read


HISTORY = (
    b'{"event": "step", "step": 1, "loss": 2.5, "lr": 0.1, "grad_norm": NaN, "tokens": 9, '
    b'"seconds": 0.1, "clipped": false}\n'
    b'{"event": "skip", "step": 2, "message": "not finite"}\n'
    b'{"event": "evaluation", "step": 1, "loss": 2.0, "metrics": {"bleu": 1.5}, "samples": ["a"]}\n'
)

TOML = b"""
task = "translation"
data = "nowhere/pairs.tsv"
columns = "1,2"
vocab_size = 500
lr = 1e-3
epochs = 2
skip_header = true

[model]
d_model = 16
num_heads = 2
"""

MARKDOWN = (
    b"# Title\n\nText of a\nparagraph.\n\n```python\ncode\n```\n\n- a list\n\n## Part\n\nMore.\n"
)


def write_command_run(folder: Path) -> None:
    """The files of a run, as `report` finds them."""
    data = folder / "pairs.tsv"
    lines = "".join(f"{i}\tn{i}\n" for i in range(40))
    data.write_text(lines)
    arguments = ["train", "translation", "--data", str(data), "--out", str(folder / "run")]
    arguments += ["--steps", "1", "--quiet", "--model", "d_model=8", "--model", "num_heads=2"]
    command(*arguments, "--model", "num_layers=1")(folder)


def read_markdown(folder: Path) -> None:
    from foundation_transformer.cli._search import passages

    list(passages(folder / "page.md"))


def history_page(folder: Path) -> None:
    write_report(read_history(folder / "history.jsonl"), folder / "page.html")


WEIGHTS = ("model.safetensors",)
PARSERS = (
    Parser(
        "checkpoint",
        write_checkpoint,
        ("checkpoint.json", "model.safetensors", "optimizer.safetensors"),
        read_checkpoint,
        reseal_folder,
        names_file=False,  # an optimiser does not know where its state lay
    ),
    Parser(
        "checkpoint of a run",
        write_run,
        ("last/step_000002/checkpoint.json", "last/step_000002/optimizer.safetensors"),
        read_run,
        lambda folder: reseal_folder(folder / "last/step_000002"),
        names_file=False,
    ),
    Parser(
        "failed step",
        write_failed_step,
        ("failed_step.json", "model.safetensors", "batch.safetensors"),
        FailedStep.load,
        lambda folder: reseal_folder(folder, "failed_step"),
    ),
    Parser("config.json, GPT-2", write_model("gpt2"), ("config.json",), read_model),
    Parser("config.json, Llama", write_model("llama"), ("config.json",), read_model),
    Parser("config.json, BERT", write_model("bert"), ("config.json",), read_model),
    Parser("model.safetensors", write_model("llama"), WEIGHTS, read_model),
    Parser(
        "several safetensors",
        write_parts,
        ("model.safetensors.index.json", "part.safetensors"),
        read_model,
    ),
    Parser(
        "tokenizer beside a model",
        write_model("llama"),
        ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        read_model,
        names_file=False,  # the tokenizer is made from its content
    ),
    Parser(
        "GGUF",
        write_gguf,
        ("model.gguf",),
        lambda folder: read_model(folder / "model.gguf"),
        names_file=False,  # the tokenizer is made from its content
    ),
    Parser(
        "tokenizer.json, ours",
        saved(_TOKENIZER),
        ("tokenizer.json",),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
        reseal_tokenizer,
    ),
    Parser(
        "tokenizer.json, byte pairs",
        foreign(_TOKENIZER),
        ("tokenizer.json", "special_tokens_map.json"),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "tokenizer.json, WordPiece",
        foreign(_WORD_PIECES),
        ("tokenizer.json", "special_tokens_map.json"),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "tokenizer.json, unigram",
        foreign_unigram,
        ("tokenizer.json",),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "tokenizer.json, characters",
        saved(_PAIRS_OF_CHARACTERS),
        ("tokenizer.json",),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
        reseal_tokenizer,
    ),
    Parser(
        "tokenizer.model, unigram",
        write_sentencepiece("unigram"),
        ("tokenizer.model", "tokenizer_config.json"),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "tokenizer.model, pairs",
        write_sentencepiece("bpe"),
        ("tokenizer.model",),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "tokenizers of a translator",
        write_marian,
        ("source.spm", "target.spm", "vocab.json"),
        read_marian,
    ),
    Parser(
        "vocab.json and merges.txt",
        write_gpt2_vocabulary,
        ("vocab.json", "merges.txt"),
        lambda folder: use_tokenizer(load_tokenizer(folder)),
    ),
    Parser(
        "word tokenizer",
        saved(_WORDS),
        ("tokenizer.json",),
        lambda folder: use_tokenizer(Tokenizer.load(folder / "tokenizer.json")),
        reseal_data("tokenizer.json", "tokenizer"),
    ),
    Parser(
        "character tokenizer",
        saved(_CHARACTERS),
        ("tokenizer.json",),
        lambda folder: use_tokenizer(Tokenizer.load(folder / "tokenizer.json")),
        reseal_data("tokenizer.json", "tokenizer"),
    ),
    Parser(
        "vocabulary",
        lambda folder: _WORDS.vocabulary.save(folder / "vocabulary.json"),
        ("vocabulary.json",),
        lambda folder: Vocabulary.load(folder / "vocabulary.json").coverage(),
        reseal_data("vocabulary.json", "vocabulary"),
    ),
    Parser(
        "shards",
        write_token_shards,
        ("corpus/manifest.json", "corpus/ids-00000.npy", "corpus/lengths-00001.npy"),
        read_token_shards,
        reseal_shards,
    ),
    Parser(
        "history.jsonl",
        packed("history.jsonl", HISTORY),
        ("history.jsonl",),
        history_page,
        names_file=False,  # what has no steps is no page, wherever it comes from
    ),
    Parser(
        "run.json",
        write_command_run,
        ("run/run.json", "run/history.jsonl"),
        command("report", "FOLDER/run"),
        errors=(RefusedByCommandError,),
    ),
    Parser(
        "settings in TOML",
        packed("settings.toml", TOML),
        ("settings.toml",),
        command("train", "FOLDER/settings.toml", "--out", "FOLDER/run"),
        errors=(RefusedByCommandError,),
        sound_is_read=False,  # it names data that are not there, so that nothing is trained
    ),
    Parser(
        "pairs.tsv",
        packed("pairs.tsv", PAIRS),
        ("pairs.tsv",),
        lambda folder: read_pairs(folder / "pairs.tsv"),
    ),
    Parser(
        "pairs.csv",
        packed("pairs.csv", PAIRS.replace(b"\t", b",")),
        ("pairs.csv",),
        lambda folder: read_pairs(folder / "pairs.csv"),
    ),
    Parser(
        "pairs.jsonl",
        packed("pairs.jsonl", JSON_LINES),
        ("pairs.jsonl",),
        lambda folder: read_pairs(folder / "pairs.jsonl"),
    ),
    Parser(
        "questions with choices",
        packed("choices.jsonl", CHOICES),
        ("choices.jsonl",),
        lambda folder: read_questions(folder / "choices.jsonl"),
    ),
    Parser(
        "questions with answers",
        packed("answers.jsonl", ANSWERS),
        ("answers.jsonl",),
        lambda folder: read_questions(folder / "answers.jsonl"),
    ),
    Parser(
        "preferences",
        packed("preferences.jsonl", PREFERENCES),
        ("preferences.jsonl",),
        lambda folder: read_preferences(folder / "preferences.jsonl"),
    ),
    Parser(
        "examples to tune with",
        packed("examples.jsonl", EXAMPLES),
        ("examples.jsonl",),
        lambda folder: [each.key for each in read_examples(folder / "examples.jsonl")],
    ),
    Parser(
        "adapter",
        write_adapter,
        ("adapter_config.json", "adapter_model.safetensors"),
        read_adapter,
    ),
    Parser(
        "pairs.tsv.gz",
        packed("pairs.tsv.gz", PAIRS),
        ("pairs.tsv.gz",),
        lambda folder: read_pairs(folder / "pairs.tsv.gz"),
    ),
    Parser(
        "pairs.zip",
        packed("pairs.zip", PAIRS),
        ("pairs.zip",),
        lambda folder: read_pairs(folder / "pairs.zip"),
    ),
    Parser(
        "parallel files",
        write_parallel,
        ("train.en", "train.fr"),
        lambda folder: read_parallel(folder / "train.en", folder / "train.fr"),
    ),
    Parser(
        "texts",
        packed("texts.txt", PAIRS),
        ("texts.txt",),
        lambda folder: read_texts(folder / "texts.txt"),
    ),
    Parser(
        "images in IDX",
        write_images,
        ("images-idx3-ubyte", "labels-idx1-ubyte"),
        lambda folder: image_files.from_file(folder / "images-idx3-ubyte"),
        names_file=False,
    ),
    Parser(
        "images in CSV",
        packed("digits.csv", b"label,a,b,c,d\n" + b"0,1,2,3,4\n1,5,6,7,8\n2,9,9,9,9\n" * 3),
        ("digits.csv",),
        lambda folder: image_files.from_file(folder / "digits.csv"),
        names_file=False,
    ),
    Parser("Markdown", packed("page.md", MARKDOWN), ("page.md",), read_markdown),
)
