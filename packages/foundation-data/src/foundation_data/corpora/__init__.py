"""Real data, from packages people can install and files they have fetched.

Nothing comes with this package, and nothing is downloaded: each function says where its data can be
had and under which licence.
"""

from foundation_data.corpora._cmudict import cmudict_pairs
from foundation_data.corpora._emoji import emoji_pairs
from foundation_data.corpora._images import idx_images
from foundation_data.corpora._shakespeare import shakespeare_texts
from foundation_data.corpora._translations import multi30k_pairs, tatoeba_pairs

__all__ = [
    "emoji_pairs",
    "cmudict_pairs",
    "shakespeare_texts",
    "tatoeba_pairs",
    "multi30k_pairs",
    "idx_images",
]
