"""From files to sentences, with an account of what was dropped.

In reading order:

* ``_lines``, ``_records``: lines of text files, plain or packed; columns and fields in them.
* ``_report``, ``_clean``: what was read, kept and dropped; the checks that drop.
* ``_pair_readers``, ``_text_readers``, ``_examples``: what users call.
* ``_blocks``, ``_text_files``: texts of any size, block by block, and the cut for what is held out.
* ``_split``: training, validation and test.
"""

from foundation_data.reading._blocks import TextBlock, read_blocks
from foundation_data.reading._clean import PairFilters
from foundation_data.reading._examples import TuningExample, read_examples
from foundation_data.reading._lines import ReadLimits
from foundation_data.reading._pair_readers import read_pairs, read_parallel
from foundation_data.reading._report import CorpusReport, Dropped, Pairs, Texts
from foundation_data.reading._split import split_pairs
from foundation_data.reading._text_files import TextFiles
from foundation_data.reading._text_readers import read_texts, stream_texts

__all__ = [
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
]
