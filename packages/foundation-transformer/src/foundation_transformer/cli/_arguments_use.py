"""What one may type after the commands that use a model."""

from __future__ import annotations

from pathlib import Path

from foundation_transformer.cli._parser import Commands, Parser, add_base, natural, positive

TRANSLATE = """\
Translate the lines of a file or of standard input, or what one types, with the model of a
checkpoint, or with a published one: the folder of an OPUS-MT (Marian) or T5 model, as Hugging Face
writes it. A line that is longer than the model can read is left empty and named at the end, where
the exit status is 1 then.
"""
GENERATE = """\
Let a language model go on with a text. The prompt is printed, too, as the model's tokens spell it.
When the text becomes longer than the model can read at once, the model keeps the later half of what
it has read and goes on from there.
"""
CHAT = """\
Talk with a model: a published one, such as SmolLM2, which is a folder as Hugging Face writes it or
a .gguf file; or one that you have tuned.
Lines of standard input are answered one after the other. What the model reads is written by its own
chat template; nobody takes another role by what they type.
"""
MERGE = """\
Add the change that foundation finetune has learnt to the weights of its base. The new checkpoint
needs the base no more.
"""
EXPORT = """\
Write a model in the files of others: "hf" a folder that Hugging Face's transformers loads, "gguf" a
file for llama.cpp (of the decoders since Llama), "peft" the change alone, as Hugging Face's peft
has it. Tokenizer, chat template and what is said about writing go along.
"""
EMBED = """\
Write a vector for each line of standard input, with a published text encoder such as MiniLM. The
product of two vectors says how alike their lines are: 1 for the same meaning, near 0 for none in
common.
"""
SEARCH = """\
Find the passages of a folder's Markdown files that are nearest in meaning to a question, with a
published text encoder such as MiniLM.
"""
RERANK = """\
Sort the lines of standard input by how well they answer a question, the best one first. This takes
a published cross-encoder, which reads the question and a line together. Before each line stands its
score.
"""
CLASSIFY = """\
For each line of standard input, write the likeliest label, its probability and the line. This takes
a model that was trained to tell labels apart: a published one, or a run of finetune.
"""


def add_uses(commands: Commands) -> None:
    """Add the commands that use a model."""
    _add_translate(commands)
    _add_generate(commands)
    chat = commands.add(
        "chat",
        "talk with a model",
        CHAT,
        ("_chat", "chat"),
        example="foundation chat smollm2.gguf --temperature 0.7",
    )
    chat.add_argument(
        "model", type=Path, metavar="MODEL", help="its folder, a file .gguf, or a run of finetune"
    )
    add_base(chat)
    chat.add_argument(
        "--system",
        metavar="TEXT",
        help="the instructions that the model is given first (default: its own)",
    )
    chat.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="set a variable of the chat template, such as enable_thinking=false; may be repeated",
    )
    _add_sampling(chat, tokens=512)
    chat.add_argument(
        "--compact",
        action="store_true",
        help="keep weights in one byte instead of four: a quarter of the memory",
    )

    _add_merge_and_export(commands)

    embed = commands.add(
        "embed",
        "vectors of texts",
        EMBED,
        ("_embed", "embed_lines"),
        example="foundation embed minilm < lines.txt > vectors.txt",
    )
    embed.add_argument("model", type=Path, metavar="MODEL", help="the folder of a text encoder")

    embed.add_argument(
        "--prompt",
        metavar="NAME",
        help="what the lines are for, such as query or document, if the model has prompts for it",
    )

    search = commands.add(
        "search",
        "nearest passages of .md files",
        SEARCH,
        ("_search", "search"),
        example='foundation search minilm docs "How is a run resumed?" --top-k 5',
    )
    search.add_argument("model", type=Path, metavar="MODEL", help="the folder of a text encoder")
    search.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with .md files")
    search.add_argument("question", metavar="QUESTION", help="what you want to know")
    search.add_argument(
        "--top-k", type=positive, default=3, metavar="K", help="print K passages (default: 3)"
    )

    rerank = commands.add(
        "rerank",
        "texts that answer a question, best first",
        RERANK,
        ("_classify", "rerank_lines"),
        example='foundation rerank cross-encoder "How is a run resumed?" < passages.txt',
    )
    rerank.add_argument("model", type=Path, metavar="MODEL", help="the folder of a cross-encoder")
    rerank.add_argument("question", metavar="QUESTION", help="what you want to know")

    classify = commands.add(
        "classify",
        "the label of each text",
        CLASSIFY,
        ("_classify", "classify_lines"),
        example="foundation classify classifier < lines.txt",
    )
    classify.add_argument(
        "model", type=Path, metavar="MODEL", help="the folder of a model that tells labels apart"
    )
    add_base(classify)


def _add_translate(commands: Commands) -> None:
    translate = commands.add(
        "translate",
        "translate with a trained model",
        TRANSLATE,
        ("_translate", "translate_lines"),
        example='echo "a sentence" | foundation translate runs/mine',
    )
    translate.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="the folder of a run, of a checkpoint, or of a published model",
    )
    translate.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a file with lines to translate (default: standard input)",
    )
    translate.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="FILE",
        help="a file for the translations, written when all are done (default: standard output)",
    )
    translate.add_argument(
        "--batch-size",
        type=positive,
        default=1,
        metavar="N",
        help="translate N lines together, which is quicker for a file; 1 answers each line as "
        "soon as it is read (default: 1)",
    )
    translate.add_argument(
        "--beam-size",
        type=positive,
        metavar="N",
        help="follow the N best translations at the same time; 1 takes the likeliest word each "
        "time (default: what a published model says, or 1)",
    )
    translate.add_argument(
        "--length-penalty",
        type=float,
        metavar="X",
        help="with a beam: larger numbers favour longer translations (default: what a published "
        "model says, or 0.6)",
    )
    translate.add_argument(
        "--prefix",
        metavar="TEXT",
        help="text that is put before each line, such as 'translate English to French: ', by which "
        "T5 is told what to do, or '>>fra<< ' for a model of several target languages",
    )
    translate.add_argument(
        "--n-best",
        type=positive,
        metavar="N",
        help="print the N best translations of each line, after its number and their scores",
    )


def _add_merge_and_export(commands: Commands) -> None:
    merge = commands.add(
        "merge",
        "put a tuned model into one piece",
        MERGE,
        ("_export", "merge"),
        example="foundation merge runs/mine --out models/mine",
    )
    merge.add_argument("folder", type=Path, metavar="RUN", help="the folder of a run of finetune")
    merge.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER", help="the new checkpoint"
    )
    add_base(merge)

    export = commands.add(
        "export",
        "write the files of other programs",
        EXPORT,
        ("_export", "export"),
        example="foundation export runs/mine --to gguf --type q8_0 --out mine.gguf",
    )
    export.add_argument("folder", type=Path, metavar="RUN", help="a run, or a published model")
    export.add_argument(
        "--to", required=True, choices=("hf", "gguf", "peft"), help="whose files to write"
    )
    export.add_argument(
        "--type",
        choices=("f32", "f16", "bf16", "q8_0"),
        help="of the numbers: f32 has four bytes a weight, f16 and bf16 have two, and q8_0, of "
        "gguf alone, has one (default: f32 for hf, f16 for gguf)",
    )
    export.add_argument(
        "-o", "--out", type=Path, required=True, metavar="PLACE", help="a folder, or a file .gguf"
    )
    add_base(export)


def _add_generate(commands: Commands) -> None:
    generate = commands.add(
        "generate",
        "let a language model write",
        GENERATE,
        ("_generate", "generate_text"),
        example='foundation generate runs/writer "Once upon a time" --temperature 0.8',
    )
    generate.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="the folder of a run or of a published model; or a file .gguf",
    )
    generate.add_argument(
        "prompts",
        nargs="*",
        metavar="PROMPT",
        help="the beginning of the text, or several; - is standard input (default: standard input)",
    )
    generate.add_argument(
        "--file",
        action="append",
        metavar="FILE",
        help="read a prompt from this file; may be given several times",
    )
    generate.add_argument(
        "--max-bytes",
        type=positive,
        default=1 << 24,
        metavar="N",
        help="refuse a prompt of more than N bytes from a file (default: 16777216)",
    )
    generate.add_argument(
        "--samples",
        type=positive,
        default=1,
        metavar="N",
        help="write N continuations of each prompt (default: 1)",
    )
    add_base(generate)
    _add_sampling(generate, tokens=200)


def _add_sampling(parser: Parser, tokens: int) -> None:
    """Add the flags of how the next token is chosen: the same for all that write."""
    parser.add_argument(
        "--max-new-tokens",
        type=positive,
        default=tokens,
        metavar="N",
        help=f"write at most N tokens (default: {tokens})",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="0 takes the likeliest token, 1 draws by the model's probabilities (default: 0.5)",
    )
    parser.add_argument(
        "--top-k",
        type=positive,
        metavar="K",
        help="draw from the K likeliest tokens only (default: from all)",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="draw only from the likeliest tokens that together have the probability P "
        "(default: 0.9)",
    )
    parser.add_argument(
        "--min-p",
        type=float,
        metavar="P",
        help="draw only from tokens that are at least P times as likely as the likeliest one "
        "(default: from all)",
    )
    parser.add_argument(
        "--repetition-penalty",
        type=float,
        metavar="X",
        help="above 1: tokens that were written before become less likely (default: 1)",
    )
    parser.add_argument(
        "--lookup",
        action="store_true",
        help="guess the next tokens from earlier text: the same is written, and sooner where the "
        "text repeats itself",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="a number that gives the same text again (default: another text each time)",
    )
