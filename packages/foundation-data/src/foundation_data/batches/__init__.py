"""From sentences to padded, masked batches.

In reading order:

* ``_batch``: pairs as ids, padded to a rectangle, with the masks that undo it.
* ``_dataset``: what a loader asks of a dataset, and what the datasets share.
* ``_rows``, ``_translation_dataset``: rows of ids end to end in one array; pairs for translation.
* ``_text_batch``, ``_stream``, ``_packing``, ``_text_dataset``: text for language models; documents
  end to end; filling rows with documents; the dataset of both layouts.
* ``_shards``: documents in files, for corpora larger than memory.
* ``_encode``: files of text become such documents, on all cores.
* ``_prefetch``, ``_loader``: batches made ahead; batches of similar lengths, epoch after epoch.
"""

from foundation_data.batches._batch import Batch, Example, collate
from foundation_data.batches._dataset import BatchSource
from foundation_data.batches._encode import encode_blocks, encode_files
from foundation_data.batches._loader import BatchLoader
from foundation_data.batches._shards import (
    are_shards,
    open_shards,
    tokenizer_of_shards,
    write_shards,
)
from foundation_data.batches._stream import TokenStream
from foundation_data.batches._text_batch import TextBatch
from foundation_data.batches._text_dataset import TextDataset
from foundation_data.batches._translation_dataset import TranslationDataset

__all__ = [
    "Example",
    "Batch",
    "collate",
    "TranslationDataset",
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
