"""Names of attention layers for people, from their paths in the model."""

from __future__ import annotations

_LOOKS_AT = {"self": "self-attention", "cross": "attention to the source"}


def layer_title(path: str, kind: str) -> str:
    """What a picture calls a layer; layers are counted from 1.

    Parameters
    ----------
    path : str
        As :meth:`foundation_nn.Module.named_modules` has it.
    kind : {"self", "cross"}
        What the layer attends to.

    Examples
    --------
    >>> layer_title("decoder.layers.1.multihead_attn", "cross")
    'decoder layer 2, attention to the source'
    >>> layer_title("encoder.layers.0.self_attn", "self")
    'encoder layer 1, self-attention'

    Where there is only one kind of attention in the model, its kind need not be said:

    >>> layer_title("stack.layers.11.self_attn", "self")
    'layer 12'
    """
    parts = path.split(".")
    side = next((part for part in parts if part in ("encoder", "decoder")), "")
    numbers = [i for i, part in enumerate(parts) if part.isdecimal()]
    if not side and not numbers:
        return path.replace("_", " ") or _LOOKS_AT[kind]
    words = [side] if side else []
    for i in numbers:
        # "layers.1" is layer 2, and "blocks.1" is block 2.
        of_what = parts[i - 1].removesuffix("s").replace("_", " ") if i else "layer"
        words += [of_what, str(int(parts[i]) + 1)]
    place = " ".join(words)
    return place if kind == "self" and not side else f"{place}, {_LOOKS_AT[kind]}"
