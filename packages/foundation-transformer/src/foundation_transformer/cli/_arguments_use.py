"""What one may type after the commands that use a model."""

from __future__ import annotations

from pathlib import Path

from foundation_transformer.cli._parser import Commands, Parser, natural, positive

TRANSLATE = """\
Translate the lines of a file or of standard input, or what one types, with the model of a
checkpoint. A line that is longer than the model can read is left empty and named at the end, where
the exit status is 1 then.
"""
GENERATE = """\
Let a language model go on with a text. Prompt and continuation are printed as the model's tokens
stand for them. Beyond what the model can read at once it goes on from the later half of that.
"""
CHAT = """\
Talk with a published model, such as SmolLM2: a folder as Hugging Face writes it, or a .gguf file.
Lines of standard input are answered one after the other. What the model reads is written by its own
chat template; nobody takes another role by what they type.
"""
EMBED = """\
Write a vector for each line of standard input, with a published text encoder such as MiniLM. The
product of two is how alike their lines are.
"""
SEARCH = """\
Find the passages of a folder's Markdown files that are nearest in meaning to a question, with a
published text encoder such as MiniLM.
"""
RERANK = """\
Put the lines of standard input in the order of how well they answer a question, with a published
cross-encoder, which reads the question and a line together. Each line comes after its score.
"""
CLASSIFY = """\
Write for each line of standard input the likeliest label, its probability and the line, with a
published model that has a head for it.
"""


def add_uses(commands: Commands) -> None:
    """Add the commands that use a model."""
    _add_translate(commands)
    _add_generate(commands)
    chat = commands.add(
        "chat",
        "talk with a published model",
        CHAT,
        ("_chat", "chat"),
        example="foundation chat smollm2.gguf --temperature 0.7",
    )
    chat.add_argument("model", type=Path, metavar="MODEL", help="its folder, or a file .gguf")
    chat.add_argument(
        "--system", metavar="TEXT", help="what the model is told first (default: its own)"
    )
    chat.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="what its template reads besides, such as enable_thinking=false; may be repeated",
    )
    _add_sampling(chat, tokens=512)
    chat.add_argument(
        "--compact", action="store_true", help="weights of one byte: a quarter of the memory"
    )

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
    rerank.add_argument("question", metavar="QUESTION", help="what one wants to know")

    classify = commands.add(
        "classify",
        "the label of each text",
        CLASSIFY,
        ("_classify", "classify_lines"),
        example="foundation classify classifier < lines.txt",
    )
    classify.add_argument(
        "model", type=Path, metavar="MODEL", help="the folder of a model with such a head"
    )


def _add_translate(commands: Commands) -> None:
    translate = commands.add(
        "translate",
        "translate with a trained model",
        TRANSLATE,
        ("_translate", "translate_lines"),
        example='echo "a sentence" | foundation translate runs/mine',
    )
    translate.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the folder of a run, or of a checkpoint"
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
        help="a file for the translations, which is there when all are (default: standard output)",
    )
    translate.add_argument(
        "--batch-size",
        type=positive,
        default=1,
        metavar="N",
        help="lines at once: quicker for a file; 1 answers each line at once (default: 1)",
    )
    translate.add_argument(
        "--beam-size",
        type=positive,
        default=1,
        metavar="N",
        help="translations that are followed at once; 1 takes the likeliest word each time "
        "(default: 1)",
    )
    translate.add_argument(
        "--length-penalty",
        type=float,
        metavar="X",
        help="with a beam: the larger, the longer the translations (default: 0.6)",
    )
    translate.add_argument(
        "--n-best",
        type=positive,
        metavar="N",
        help="print the N best translations of each line, after its number and their scores",
    )


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
        help="the beginning, or several; - is standard input (default: that)",
    )
    generate.add_argument(
        "--file",
        action="append",
        metavar="FILE",
        help="a file with a prompt, instead or besides; may be given several times",
    )
    generate.add_argument(
        "--max-bytes",
        type=positive,
        default=1 << 24,
        metavar="N",
        help="how large a prompt from a file may be (default: 16777216)",
    )
    generate.add_argument(
        "--samples",
        type=positive,
        default=1,
        metavar="N",
        help="continuations of each prompt (default: 1)",
    )
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
        help="draw only from the likeliest tokens, which together have P (default: 0.9)",
    )
    parser.add_argument(
        "--min-p",
        type=float,
        metavar="P",
        help="draw only from tokens P times as likely as the likeliest (default: from all)",
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
