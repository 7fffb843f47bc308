"""The command ``foundation``; needs the extra ``cli``."""

from foundation_transformer.cli._main import main

__all__ = ["main"]
