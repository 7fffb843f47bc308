"""How a published model is meant to write: where it stops, and how its tokens are drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

from foundation_nn.files import MAX_BYTES, field, read_json
from foundation_seq import SamplingConfig

#: Settings that are obeyed, by the names that both libraries have for them.
_OBEYED: dict[str, Any] = {
    "temperature": float | None,
    "top_k": int | None,
    "top_p": float | None,
    "min_p": float | None,
    "repetition_penalty": float | None,
}
#: What transformers takes for a sampled text where the file says nothing.
_UNSAID = {"top_k": 50}
#: Settings that would change what is written and are not obeyed, with the values that change
#: nothing.
_NOT_OBEYED: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "num_beam_groups": (None, 1),
    "penalty_alpha": (None, 0, 0.0),
    "typical_p": (None, 1, 1.0),
    "epsilon_cutoff": (None, 0, 0.0),
    "eta_cutoff": (None, 0, 0.0),
    "no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "bad_words_ids": (None,),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "exponential_decay_length_penalty": (None,),
    "sequence_bias": (None,),
    "guidance_scale": (None, 1, 1.0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "dola_layers": (None,),
}
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")


@dataclass(frozen=True)
class GenerationDefaults:
    """What the folder of a model says about writing with it.

    Attributes
    ----------
    bos_id, pad_id : int or None
    eos_ids : tuple of int
        Tokens that end a text. A model that holds conversations often has two: the end of a text,
        and the end of an answer.
    do_sample : bool or None
        Whether tokens are drawn, or the likeliest is taken; None: not said.
    settings : mapping of str to float or None
        Fields of :class:`foundation_seq.SamplingConfig`, as far as they are said.
    not_obeyed : tuple of str
        Settings that the folder has, and that would change what is written, such as "num_beams=4".
    content : mapping
        All that was read, to be saved again.

    Examples
    --------
    >>> said = GenerationDefaults.from_json({"eos_token_id": [7, 9], "temperature": 0.6})
    >>> said.eos_ids, said.settings
    ((7, 9), {'temperature': 0.6})
    >>> said.sampling()
    SamplingConfig(temperature=0.6, top_k=50, top_p=None, min_p=None, repetition_penalty=1.0)
    """

    bos_id: int | None = None
    pad_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    do_sample: bool | None = None
    settings: Mapping[str, float | None] = dataclass_field(default_factory=dict)
    not_obeyed: tuple[str, ...] = ()
    content: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @property
    def says_how(self) -> bool:
        """Whether it says how tokens are chosen."""
        return self.do_sample is not None or bool(self.settings)

    def sampling(self) -> SamplingConfig | None:
        """How tokens are chosen; None takes the likeliest, which is also what holds if unsaid.

        Settings without ``do_sample`` count as meant. Where tokens are drawn and nothing is said of
        ``top_k``, it is 50, as in transformers.
        """
        if self.do_sample is False or not self.says_how:
            return None
        return SamplingConfig(**(_UNSAID | dict(self.settings)))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """All that was read, for checkpoints."""
        return {"content": dict(self.content)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> GenerationDefaults:
        """The opposite of :meth:`to_dict`."""
        return cls.from_json(field(content, "content", dict))

    @classmethod
    def from_json(cls, content: Any) -> GenerationDefaults:
        """Read the content of ``generation_config.json``.

        Raises
        ------
        ValueError
            If a field is of the wrong type, or a setting out of its range.
        """
        eos = field(content, "eos_token_id", int | list | None, default=None)
        if isinstance(eos, list):
            eos_ids = tuple(field(content, "eos_token_id", list[int]))
        else:
            eos_ids = () if eos is None else (eos,)
        settings = {
            name: value
            for name, kind in _OBEYED.items()
            if (value := field(content, name, kind, default=None)) is not None
        }
        do_sample = field(content, "do_sample", bool | None, default=None)
        # Nought switches a setting off, and a temperature of nought the drawing.
        if settings.get("temperature") == 0:
            del settings["temperature"]
            do_sample = False
        for name in ("top_k", "min_p"):
            if settings.get(name) == 0:
                settings[name] = None
        try:
            SamplingConfig(**settings)
        except (TypeError, ValueError) as error:
            raise ValueError(str(error).removeprefix("SamplingConfig: ")) from None
        return cls(
            field(content, "bos_token_id", int | None, default=None),
            field(content, "pad_token_id", int | None, default=None),
            eos_ids,
            do_sample,
            settings,
            not_obeyed(content),
            dict(content),
        )


def not_obeyed(content: Mapping[str, Any], obeyed: Collection[str] = ()) -> tuple[str, ...]:
    """The settings that would change what is written, and that are none of those ``obeyed``."""
    return tuple(
        f"{name}={content[name]!r:.60}"
        for name, neutral in _NOT_OBEYED.items()
        if content.get(name) not in neutral and name not in obeyed
    )


def folder_generation(
    folder: Path, config: Mapping[str, Any], max_bytes: int = MAX_BYTES
) -> GenerationDefaults:
    """What ``generation_config.json`` says; without that file, the ids of ``config.json``.

    Raises
    ------
    ValueError
        If one of them is damaged, too large, or has a field of the wrong type.
    """
    source = folder / "generation_config.json"
    found = source.exists()
    if not found:
        source = folder / "config.json"
    content = read_json(source, max_bytes) if found else ids_of(config)
    try:
        return GenerationDefaults.from_json(content)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def ids_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The special ids of a ``config.json``, as far as there are any."""
    return {name: config[name] for name in _IDS if config.get(name) is not None}
