"""Images of digits, or of clothes."""

from __future__ import annotations

import os
from pathlib import Path

from foundation_nn.image_files import Digits, from_file


def idx_images(path: str | os.PathLike[str]) -> Digits:
    """Read MNIST, Fashion-MNIST or other images in IDX files, with the labels beside them.

    MNIST [1]_ is handed on under Creative Commons Attribution-ShareAlike 3.0; Fashion-MNIST, of the
    same shape, is MIT-licensed: https://github.com/zalandoresearch/fashion-mnist, folder
    ``data/fashion``.

    Parameters
    ----------
    path : path
        The images, such as ``train-images-idx3-ubyte``, gzipped or not; the labels are looked for
        under the name that belongs to it, ``train-labels-idx1-ubyte``.

    Returns
    -------
    Digits
        ``images`` (N, height, width) float32 from 0 to 1, ``targets`` (N,), and the ``names`` of
        the classes.

    Raises
    ------
    ValueError
        If a file is missing, broken, or something else.

    References
    ----------
    .. [1] Y. LeCun et al., "Gradient-based learning applied to document recognition", Proceedings
       of the IEEE 86(11), 1998.
    """
    return from_file(Path(path))
