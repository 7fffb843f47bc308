"""From raw text to padded, masked batches.

Read in this order: text is normalised and cut into tokens, tokens get ids from a vocabulary, pairs
are read, split and encoded, and a loader turns them into batches that any sequence model takes.
"""

from foundation_data import corpora, tasks
from foundation_data._batch import Batch, Example, collate
from foundation_data._bpe_tokenizer import BPETokenizer
from foundation_data._char_tokenizer import CharTokenizer
from foundation_data._clean import PairFilters
from foundation_data._dataset import TranslationDataset
from foundation_data._load_tokenizer import load_tokenizer
from foundation_data._loader import BatchLoader, BatchSource
from foundation_data._pair_readers import read_pairs, read_parallel
from foundation_data._report import CorpusReport, Dropped, Pairs, Texts
from foundation_data._shards import open_shards, write_shards
from foundation_data._specials import SpecialTokens
from foundation_data._split import split_pairs
from foundation_data._stream import TokenStream
from foundation_data._text import normalize
from foundation_data._text_batch import TextBatch
from foundation_data._text_dataset import TextDataset
from foundation_data._text_readers import read_texts, stream_texts
from foundation_data._tokenizer import Tokenizer
from foundation_data._vocabulary import Vocabulary
from foundation_data._word_tokenizer import WordTokenizer
from foundation_data._wordpiece_tokenizer import WordPieceTokenizer

__all__ = [
    "normalize",
    "SpecialTokens",
    "Vocabulary",
    "Tokenizer",
    "WordTokenizer",
    "CharTokenizer",
    "BPETokenizer",
    "WordPieceTokenizer",
    "load_tokenizer",
    "CorpusReport",
    "Dropped",
    "Pairs",
    "Texts",
    "PairFilters",
    "read_pairs",
    "read_parallel",
    "read_texts",
    "stream_texts",
    "split_pairs",
    "corpora",
    "tasks",
    "TranslationDataset",
    "Example",
    "Batch",
    "collate",
    "TokenStream",
    "write_shards",
    "open_shards",
    "TextDataset",
    "TextBatch",
    "BatchSource",
    "BatchLoader",
]
