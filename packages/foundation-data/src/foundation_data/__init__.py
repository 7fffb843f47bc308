"""From raw text to padded, masked batches.

The rooms, in reading order; each of them tells the order of its files:

* ``tokenizers``: text is cut into tokens, and tokens get ids from a vocabulary.
* ``reading``: files become pairs or texts, with a report of what was dropped, and are split.
* ``corpora``: real data, from packages and files that people have.
* ``batches``: pairs and texts are encoded, padded and masked, and loaded batch by batch.

``tasks`` makes synthetic examples, ``plotting`` draws vocabularies, padding and masks. ``_text``
says what counts as the same text, and ``_files`` writes JSON files that can be trusted.
"""

from foundation_nn import publish

from foundation_data import corpora, tasks
from foundation_data._text import normalize
from foundation_data.batches import (
    Batch,
    BatchLoader,
    BatchSource,
    Example,
    TextBatch,
    TextDataset,
    TokenStream,
    TranslationDataset,
    are_shards,
    collate,
    encode_blocks,
    encode_files,
    open_shards,
    tokenizer_of_shards,
    write_shards,
)
from foundation_data.reading import (
    CorpusReport,
    Dropped,
    PairFilters,
    Pairs,
    ReadLimits,
    TextBlock,
    TextFiles,
    Texts,
    TuningExample,
    read_blocks,
    read_examples,
    read_pairs,
    read_parallel,
    read_texts,
    split_pairs,
    stream_texts,
)
from foundation_data.tokenizers import (
    BPETokenizer,
    CharTokenizer,
    CountedTokenizer,
    Frame,
    MarianTokenizer,
    SentencePieceBPETokenizer,
    SentencePieceModel,
    SentencePieceTokenizer,
    SpecialTokens,
    Tokenizer,
    UnigramTokenizer,
    Vocabulary,
    WordPieceTokenizer,
    WordTokenizer,
    load_tokenizer,
    read_sentencepiece,
    tokenizer_of_model,
)

__version__: str  # see publish

__all__ = [
    "normalize",
    "SpecialTokens",
    "Vocabulary",
    "Tokenizer",
    "CountedTokenizer",
    "WordTokenizer",
    "CharTokenizer",
    "BPETokenizer",
    "SentencePieceTokenizer",
    "SentencePieceBPETokenizer",
    "UnigramTokenizer",
    "MarianTokenizer",
    "WordPieceTokenizer",
    "Frame",
    "load_tokenizer",
    "SentencePieceModel",
    "read_sentencepiece",
    "tokenizer_of_model",
    "CorpusReport",
    "Dropped",
    "Pairs",
    "Texts",
    "PairFilters",
    "ReadLimits",
    "read_pairs",
    "read_parallel",
    "read_examples",
    "TuningExample",
    "read_texts",
    "stream_texts",
    "TextBlock",
    "read_blocks",
    "TextFiles",
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
    "are_shards",
    "tokenizer_of_shards",
    "encode_files",
    "encode_blocks",
    "TextDataset",
    "TextBatch",
    "BatchSource",
    "BatchLoader",
]

publish(__name__)
