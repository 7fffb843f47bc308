"""Emoji names."""

from __future__ import annotations

from collections.abc import Iterator

from foundation_data.reading._clean import RawPair, clean_pairs
from foundation_data.reading._report import DropCounter, Pairs

_VARIANT = "variant of a fully qualified emoji"
_COMPONENT = "component, no emoji by itself"
_UNNAMED = "no name in both languages"


def _phrase(name: str) -> str:
    """Turn ``:red_apple:`` into ``red apple``."""
    return name.strip(":").replace("_", " ")


def emoji_pairs(source: str = "en", target: str = "fr") -> Pairs:
    """Return the names of all emoji in two languages: about 4,000 short phrases.

    They come with the package ``emoji`` (BSD licence; the names are Unicode CLDR's, under the
    Unicode licence): ``pip install 'foundation-data[emoji]'``. Each emoji counts once: its variants
    with fewer code points repeat the name. Names that are the same in both languages ("bus") stay:
    they are right.

    Parameters
    ----------
    source, target : str
        Two of the package's languages, such as ``"en"``, ``"fr"``, ``"de"``.

    Returns
    -------
    Pairs
        (source, target) in the order of the package, with the report of what was dropped.

    Raises
    ------
    ModuleNotFoundError
        If the package ``emoji`` is not installed.
    ValueError
        If a language is unknown or the two are the same.
    """
    try:
        import emoji
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "emoji_pairs: the package emoji is missing; pip install 'foundation-data[emoji]'",
            name="emoji",
        ) from error

    for language in (source, target):
        if language not in emoji.LANGUAGES:
            raise ValueError(
                f"expected a language among {', '.join(sorted(emoji.LANGUAGES))}, got {language!r}"
            )
    if source == target:
        raise ValueError(f"emoji_pairs: expected two different languages, got {source!r} twice")
    emoji.config.load_language([source, target])

    counter = DropCounter()

    def raw_pairs() -> Iterator[RawPair]:
        status = emoji.STATUS
        for symbol, entry in emoji.EMOJI_DATA.items():
            name = f"{'-'.join(f'{ord(c):X}' for c in symbol)} {entry['en']}"
            if entry["status"] == status["component"]:
                counter.drop(_COMPONENT, name)
            elif entry["status"] != status["fully_qualified"]:
                counter.drop(_VARIANT, name)
            elif source not in entry or target not in entry:
                counter.drop(_UNNAMED, name)
            else:
                yield RawPair(name, _phrase(entry[source]), _phrase(entry[target]))

    return clean_pairs(
        raw_pairs(), f"emoji names {source}→{target}", counter=counter, drop_copies=False
    )
