"""The texts and models on which our reading of SentencePiece's files is checked."""

import unicodedata
from typing import Any

from many_scripts import CORPUS, SENTENCES

PROSE = (
    "It was late in the year when the ship came back to the harbour, and nobody was there to see "
    "it. The captain, who had been awake for two days, looked at the lights of the town and said "
    "that the town was smaller than he remembered. Nobody answered him; everybody was tired. "
)
#: What all models are trained on.
TRAINING = [line for text in (*CORPUS, PROSE) for line in text.split("\n") if line] * 3
#: Models by their names, and the options of the trainer.
MODELS: dict[str, dict[str, Any]] = {
    "unigram": {"vocab_size": 470, "character_coverage": 0.999},
    "unigram_bytes": {
        "vocab_size": 700,
        "character_coverage": 0.98,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "user_defined_symbols": ["<sep>", "//"],
        "control_symbols": ["<mask>"],
        "pad_id": 3,
    },
    "unigram_plain": {
        "vocab_size": 520,
        "normalization_rule_name": "identity",
        "user_defined_symbols": ["<sep>", "//"],
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "character_coverage": 0.999,
    },
    # As Llama 2 and Mistral.
    "bpe": {
        "model_type": "bpe",
        "vocab_size": 900,
        "character_coverage": 0.99,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_digits": True,
    },
    # As Gemma.
    "bpe_plain": {
        "model_type": "bpe",
        "vocab_size": 1000,
        "character_coverage": 0.99,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "user_defined_symbols": ["\n", "\n\n", "\t", "▁▁", "▁▁▁", "<sep>", "//"],
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
    },
    # Unknown characters, and a space before the text, with spaces around it dropped.
    "bpe_unknown": {
        "model_type": "bpe",
        "vocab_size": 500,
        "character_coverage": 0.98,
        "normalization_rule_name": "identity",
    },
}
#: What is encoded, and decoded again.
TEXTS = [
    *CORPUS,
    *(unicodedata.normalize("NFD", text) for text in SENTENCES.values()),
    PROSE,
    "①\u0301 \u1112\u1161\u11ab \uff76\uff9e x\u0301\u0323 ﷺ ﬃ ℻ ｱﾊﾟｰﾄ",
    "one  two   three    ",
    "▁already▁escaped ▁",
    "unbekannt: ꙮ𓀀 ꙮ",
    "a//b <sep>c<sep>",
    "the",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
]

#: A translator: the models of both sides, and texts that name a language.
MARIAN = {"source": "unigram", "target": "unigram_bytes"}
MARIAN_TEXTS = [
    *TEXTS,
    ">>fra<< the town",
    ">>fra<<",
    "the >>fra<< town",
    " >>fra<< a",
]


def marian_table(source: list[str], target: list[str]) -> dict[str, int]:
    """The table of a translator, which lacks some pieces of the source."""
    known = [piece for piece in source if not piece.endswith("o")]
    pieces = [piece for piece in (*known, *target) if not piece.startswith("<")]
    names = ["</s>", "<unk>", *reversed(pieces), ">>fra<<", ">>deu<<", "<pad>"]
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


#: What files of the ``tokenizers`` library are tried on: special tokens within texts, too.
LIBRARY_TEXTS = [
    *TEXTS,
    "a <mask>b</s> the town<x> c  <s>d",
    " it is ``late'' in <x>the  year",
    "the town and  the town",
    "\r\nx\r\n y",
]
