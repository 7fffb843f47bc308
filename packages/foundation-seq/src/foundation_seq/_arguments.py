"""What the constructors of layers and models refuse."""

from __future__ import annotations


def require_sizes(owner: str, **sizes: int) -> None:
    """Refuse sizes below one; `owner` is the class that was called.

    Raises
    ------
    ValueError
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{owner}: expected {name} >= 1, got {value}")


def require_dropout(owner: str, dropout: float) -> None:
    """Refuse a dropout that is no probability, or is one and would drop everything.

    Raises
    ------
    ValueError
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"{owner}: expected 0 <= dropout < 1, got {dropout}")
