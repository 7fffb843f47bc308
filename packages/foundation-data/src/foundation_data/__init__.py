"""From raw text to padded, masked batches.

Read in this order: text is normalised and cut into tokens, tokens get ids from a vocabulary, pairs
are read, split and encoded, and a loader turns them into batches that any sequence model takes.
"""

from foundation_data import corpora, tasks
from foundation_data._batch import Batch, Example, collate
from foundation_data._dataset import TranslationDataset
from foundation_data._loader import BatchLoader, BatchSource
from foundation_data._shards import open_shards, write_shards
from foundation_data._stream import TokenStream
from foundation_data._text import normalize
from foundation_data._text_batch import TextBatch
from foundation_data._text_dataset import TextDataset
from foundation_data.reading import (
    CorpusReport,
    Dropped,
    PairFilters,
    Pairs,
    Texts,
    read_pairs,
    read_parallel,
    read_texts,
    split_pairs,
    stream_texts,
)
from foundation_data.tokenizers import (
    BPETokenizer,
    CharTokenizer,
    SpecialTokens,
    Tokenizer,
    Vocabulary,
    WordPieceTokenizer,
    WordTokenizer,
    load_tokenizer,
)

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
