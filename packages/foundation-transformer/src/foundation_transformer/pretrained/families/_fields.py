"""``config.json`` as a reader sees it: each field that it asks for is known, all others are not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from foundation_nn import did_you_mean
from foundation_nn.files import field

_IRRELEVANT = """
    _name_or_path architectures auto_map dtype model_type torch_dtype transformers_version
    transformers.js_config _attn_implementation attn_implementation use_bfloat16

    attention_dropout classifier_dropout gradient_checkpointing initializer_range pretraining_tp

    cache_implementation chunk_size_feed_forward output_attentions output_hidden_states output_past
    return_dict torchscript use_cache

    bos_token_id decoder_start_token_id eos_token_id forced_bos_token_id forced_eos_token_id
    pad_token_id sep_token_id unk_token_id

    bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping
    encoder_no_repeat_ngram_size exponential_decay_length_penalty length_penalty max_length
    max_new_tokens min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
    output_scores remove_invalid_values repetition_penalty return_dict_in_generate
    suppress_tokens temperature top_k top_p typical_p

    finetuning_task id2label label2id num_labels prefix problem_type sentence_transformers
    sbert_ce_default_activation_function task_specific_params tokenizer_class
"""
#: Fields that say nothing about what a model computes, in whatever family: names, versions and
#: number types; training; what a call returns; special tokens; how tokens are drawn; tasks.
IRRELEVANT = frozenset(_IRRELEVANT.split())
#: Names of activations there and here.
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


class Fields:
    """The fields of a configuration, which remembers those that were asked for.

    A reader asks for every field that it knows, whether or not it needs it; :meth:`refuse_others`
    then refuses the rest. So a model is never built while something that its configuration says
    was passed over.

    Parameters
    ----------
    content : mapping
        As ``config.json`` has it.
    name : str
        Of the field that holds this object, for messages; empty for the whole.

    Examples
    --------
    >>> fields = Fields({"hidden_size": 8, "hidden_act": "silu", "hidden_sise": 9})
    >>> fields.count("hidden_size"), fields.only("hidden_act", "silu")
    (8, 'silu')
    >>> fields.refuse_others()
    Traceback (most recent call last):
        ...
    ValueError: hidden_sise=9 is not known; did you mean 'hidden_size'?
    """

    def __init__(self, content: Mapping[str, Any], name: str = "") -> None:
        self.content = dict(content)
        self.name = name
        self._known: set[str] = set()
        self._inner: list[Fields] = []

    def get(self, name: str, kind: Any, *default: Any) -> Any:
        """A field of a kind, as :func:`foundation_nn.files.field` reads it."""
        self._known.add(name)
        return field(self.content, name, kind, *default)

    def count(self, name: str, *default: int) -> int:
        """How many there are of something, at least one."""
        count: int = self.get(name, int, *default)
        if count < 1:
            raise ValueError(f"{name}: expected at least 1, got {count}")
        return count

    def number(self, name: str, *default: float) -> float:
        """A number."""
        return float(self.get(name, float, *default))

    def flag(self, name: str, *default: bool) -> bool:
        """Whether something is so."""
        flag: bool = self.get(name, bool, *default)
        return flag

    def only(self, name: str, *supported: Any) -> Any:
        """A field that has to be one of these; the first where it is not given."""
        self._known.add(name)
        value = self.content.get(name, supported[0])
        if not any(type(value) is type(each) and value == each for each in supported):
            expected = " or ".join(map(repr, supported))
            raise ValueError(f"{name}={value!r:.60} is not supported; expected {expected}")
        return value

    def activation(self, name: str, default: str) -> str:
        """An activation of two matrices, by our name."""
        others = [other for other in _ACTIVATIONS if other != default]
        return _ACTIVATIONS[self.only(name, default, *others)]

    def inner(self, name: str) -> Fields:
        """The object that a field holds; an empty one if there is none, or null.

        What is irrelevant in the whole is irrelevant in it, too.
        """
        fields = Fields(self.get(name, dict | None, None) or {}, name)
        self._inner.append(fields)
        return fields

    def refuse_others(self, irrelevant: Collection[str] = ()) -> None:
        """Refuse fields that nobody has asked for, unless they are known not to matter.

        What is null says nothing, and passes.

        Raises
        ------
        ValueError
            Names the first of them, its value, and the field that is nearest in name.
        """
        for name, value in self.content.items():
            if name not in self._known and name not in irrelevant and value is not None:
                place = f"{self.name}: " if self.name else ""
                near = did_you_mean(name, sorted(self._known), or_all=False)
                raise ValueError(f"{place}{name}={value!r:.60} is not known{near}")
        for inner in self._inner:
            inner.refuse_others(irrelevant)


def written_activation(activation: str) -> str:
    """Their name of an activation of ours."""
    return {"gelu_tanh": "gelu_new"}.get(activation, activation)
