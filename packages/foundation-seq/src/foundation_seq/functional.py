"""The operations of this package: each a NumPy kernel with its backward beneath it."""

from foundation_seq._lstm import lstm

__all__ = ["lstm"]
