"""How much each token of a text surprises a language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from foundation_nn import functional as F
from foundation_nn import no_grad
from numpy.typing import NDArray

from foundation_transformer._causal_lm import CausalLM


def surprisal(model: CausalLM, ids: Sequence[int]) -> NDArray[np.float64]:
    """The bits of each token: −log₂ p(token | those before it) [1]_.

    0 is what the model was certain of, 1 what it gave one half, 10 one in a thousand. Their sum is
    the length to which the model could compress the text.

    Parameters
    ----------
    model : CausalLM
    ids : sequence of T int

    Returns
    -------
    (T,) array
        NaN for the first token, which nothing foretells.

    Raises
    ------
    ContextLengthError
        If the text is longer than the model's positions.
    ValueError
        If there is no token.

    References
    ----------
    .. [1] C. E. Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal
       27, 1948.
    """
    if not len(ids):
        raise ValueError("surprisal: expected at least one token, got none")
    with no_grad():
        logits = model(np.array([ids])).data[0, :-1].astype(np.float64)
        log_p = F.log_softmax(logits).data  # (T - 1, V)
    nats = -log_p[np.arange(len(log_p)), ids[1:]]
    return np.concatenate([[np.nan], nats / np.log(2)])
