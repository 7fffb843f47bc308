"""Translated sentences in the files they are given away in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

from foundation_data.reading._clean import PairFilters
from foundation_data.reading._lines import DEFAULT_LIMITS, ReadLimits, check_file, read_lines
from foundation_data.reading._pair_readers import read_pairs, read_parallel
from foundation_data.reading._report import Pairs


def tatoeba_pairs(
    path: str | os.PathLike[str],
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    **filters: Unpack[PairFilters],
) -> Pairs:
    """Read sentence pairs of the Tatoeba project from either of the two files they come in.

    https://www.manythings.org/anki has a zip archive for each language beside English
    (``fra-eng.zip``: English, French, attribution); https://tatoeba.org/downloads makes a file of
    "sentence pairs" for any two languages (id, sentence, id, translation). Both are Creative
    Commons Attribution 2.0 France.

    Parameters
    ----------
    path : path
        The archive, or the file, gzipped (``.gz``) or not.
    limits : ReadLimits
        How much is read before the file is refused.
    **filters
        Which pairs to drop; see `PairFilters`.

    Returns
    -------
    Pairs
        (source, target) in the order of the file.

    Raises
    ------
    FileNotFoundError, ValueError
        As for `read_pairs`.
    """
    path = Path(path)
    check_file(path)
    first_line = next((line for _, line in read_lines(path, limits)), "")
    cells = first_line.split("\t")
    has_ids = len(cells) == 4 and cells[0].isdecimal() and cells[2].isdecimal()
    columns = (1, 3) if has_ids else (0, 1)
    return read_pairs(path, columns=columns, limits=limits, **filters)


def multi30k_pairs(
    folder: str | os.PathLike[str],
    source: str = "en",
    target: str = "de",
    part: str = "train",
    *,
    limits: ReadLimits = DEFAULT_LIMITS,
    **filters: Unpack[PairFilters],
) -> Pairs:
    """Read captions of images in two languages, or any files that are named like Multi30k's.

    Multi30k [1]_ has 29,000 captions in English, German, French and Czech, and fixed parts to
    validate and test on: ``git clone https://github.com/multi30k/dataset``, folder
    ``data/task1/raw``. The captions are Flickr30k's, for research and education.

    Parameters
    ----------
    folder : path
        Where ``train.en`` and ``train.de`` are, gzipped (``.gz``) or not.
    source, target : str
        The languages: how the names of the files end.
    part : str
        How they begin: ``"train"``, ``"val"`` or ``"test_2016_flickr"``.
    limits : ReadLimits
        How much is read before a file is refused.
    **filters
        Which pairs to drop; see `PairFilters`. From a part to test on, better drop none:
        ``drop_copies=False, drop_duplicates=False``.

    Returns
    -------
    Pairs
        (source, target) in the order of the files.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        As for `read_parallel`.

    References
    ----------
    .. [1] D. Elliott et al., "Multi30K: Multilingual English-German Image Descriptions", 2016,
       arXiv:1605.00459.
    """
    paths: list[Path] = []
    for language in (source, target):
        plain = Path(folder) / f"{part}.{language}"
        packed = plain.with_name(f"{plain.name}.gz")
        if not (plain.exists() or packed.exists()):
            raise FileNotFoundError(f"{plain}: no such file, nor {packed.name}; check the folder")
        paths.append(plain if plain.exists() else packed)
    return read_parallel(paths[0], paths[1], limits=limits, **filters)
