"""From texts to vectors, with a text encoder that was made for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from foundation_nn import no_grad, padding_mask
from numpy.typing import NDArray

from foundation_transformer._text_encoder import TextEncoder, mean_pool

if TYPE_CHECKING:
    from foundation_data import Tokenizer


def embed(
    model: TextEncoder,
    texts: Sequence[str],
    tokenizer: Tokenizer,
    batch_size: int = 32,
) -> NDArray[np.float32]:
    """One vector of length one for each text; a product of two is how alike they are [1]_.

    Texts are read in batches of about one length. What is longer than the model's positions is cut
    off.

    Parameters
    ----------
    model : TextEncoder
        Such as MiniLM.
    texts : sequence of str
    tokenizer : foundation_data.Tokenizer
        The model's; its frame is put around each text.
    batch_size : int

    Returns
    -------
    (N, D) array

    Raises
    ------
    TypeError
        If ``texts`` is a single str.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: Sentence Embeddings using Siamese
       BERT-Networks", EMNLP 2019, arXiv:1908.10084.
    """
    if isinstance(texts, str):
        raise TypeError("embed: expected a sequence of texts, got one str; write [text]")
    frame = tokenizer.frame
    room = model.config.max_len - frame.size
    encoded = [frame.around(tokenizer.encode(text)[:room]) for text in texts]
    vectors = np.empty((len(texts), model.config.d_model), np.float32)
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        lengths = np.array([len(encoded[i]) for i in rows])
        mask = padding_mask(lengths, lengths.max())
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.concatenate([encoded[i] for i in rows])
        with no_grad():
            vectors[rows] = mean_pool(model(ids, mask), mask).data
    return vectors
