"""From raw text to padded, masked batches.

Read in this order: text is normalised and cut into tokens, tokens get ids from a vocabulary, pairs
are read, split and encoded, and a loader turns them into batches that any sequence model takes.
"""

from foundation_data import corpora, tasks
from foundation_data._batch import Batch, Example, collate
from foundation_data._char_tokenizer import CharTokenizer
from foundation_data._dataset import TranslationDataset
from foundation_data._loader import BatchLoader, BatchSource
from foundation_data._readers import read_pairs
from foundation_data._report import CorpusReport, Dropped, Pairs
from foundation_data._specials import SpecialTokens
from foundation_data._split import split_pairs
from foundation_data._text import normalize
from foundation_data._tokenizer import Tokenizer
from foundation_data._vocabulary import Vocabulary
from foundation_data._word_tokenizer import WordTokenizer

__all__ = [
    "normalize",
    "SpecialTokens",
    "Vocabulary",
    "Tokenizer",
    "WordTokenizer",
    "CharTokenizer",
    "CorpusReport",
    "Dropped",
    "Pairs",
    "read_pairs",
    "split_pairs",
    "corpora",
    "tasks",
    "TranslationDataset",
    "Example",
    "Batch",
    "collate",
    "BatchSource",
    "BatchLoader",
]
