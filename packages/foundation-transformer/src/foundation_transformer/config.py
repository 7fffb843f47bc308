"""What a transformer is made of, as one validated value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from foundation_nn import did_you_mean, explains_keywords

from foundation_transformer._config_checks import check_config, plain_values
from foundation_transformer._feed_forward import GATED
from foundation_transformer._rotary_scaling import RotaryScaling


def _only_for(model: str, default: Any) -> Any:
    """A field that one kind of model reads; for the others it stays as it is."""
    return field(default=default, metadata={"model": model})


@explains_keywords
@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The shape of a transformer.

    Fields are for all kinds of models unless they name the one that reads them.

    Attributes
    ----------
    vocab_size : int
        V, of the source language.
    target_vocab_size : int or None
        :class:`Transformer`: V of the target language; None: the same.
    max_len : int
        The longest sequence, in tokens.
    d_model : int
        D.
    num_heads : int
        H, a divisor of D unless ``head_width`` is given.
    num_kv_heads : int or None
        Heads of keys and values; None: as many.
    head_width : int or None
        K; None: D / H.
    num_layers : int
        Of the encoder, or of the only stack there is.
    num_decoder_layers : int or None
        :class:`Transformer`: layers of the decoder; None: as many.
    d_ff : int or None
        F; None: 4 D, or for gated activations 8/3 D up to the next multiple of 256, as in Llama.
    dropout : float
    activation : {"relu", "gelu", "gelu_tanh", "silu", "swiglu", "geglu", "geglu_tanh"}
        "gelu_tanh" is GPT-2's approximation; the last three gate one half of the hidden units by
        the other, by SiLU or GELU [1]_.
    norm : {"layer", "rms"}
    norm_eps : float
        ε of the normalisations.
    norm_first : bool
        Normalise what goes into each branch.
    norm_last : bool
        Normalise what a branch returns, before it is added: alone as in OLMo 2 [2]_, together with
        ``norm_first`` as in Gemma 2 [3]_. If both are False, the sum is normalised.
    positions : str
        "sinusoidal", "learned", "rotary", "alibi", "buckets", "learned_and_buckets" or "none". How
        the model is told where a token stands: :class:`SinusoidalPositions`,
        :class:`LearnedPositions`, :class:`Rotary`, :class:`ALiBi`, :class:`RelativeBuckets`; MPNet
        has two of them [13]_.
    first_position : int
        With learned positions: the row of their table that the first token reads. RoBERTa's begin
        after that of padding [14]_.
    sinusoid_pairs : {"neighbours", "halves"}
        With sinusoidal positions: sines and cosines in turns, as in the paper, or all sines before
        all cosines, as in Marian [11]_.
    rotary_base : float
        With rotary positions, see :class:`Rotary`.
    rotary_pairs : {"halves", "neighbours"}
        The same.
    rotary_width : int or None
        How many numbers of a head are turned, the first ones; None: all [4]_.
    rotary_scaling : RotaryScaling or None
        For texts longer than those of the training, see there.
    layer_pattern : tuple of str
        What the layers look at, repeated until there are enough: "global" at the whole text,
        "local" at a window of it, by turns as in Gemma 3 [5]_; "no_positions" at the whole text
        without rotary positions [6]_.
    window : int or None
        Of local layers: they see what is at a distance of less than this, as in Mistral [7]_.
    local_rotary_base : float or None
        ``rotary_base`` of local layers, which are then not scaled [5]_; None: as in the others.
    qk_norm : {"head", "width"} or None
        Normalise queries and keys in each head, or over all heads together [8]_.
    attention_scale : float or None
        What the products of queries and keys are multiplied by; None: 1/√K.
    attention_cap : float or None
        A score s becomes cap · tanh(s / cap) [3]_.
    attention_bias : {"all", "qkv", "none"} or None
        Biases of the attention, if they differ from ``bias``: "qkv" has none after the heads, as in
        Qwen 2 [9]_.
    num_buckets : int
        With positions in buckets, see :class:`RelativeBuckets`.
    max_distance : int
        The same.
    bias : bool
        In all linear layers and layer norms.
    norm_bias : bool or None
        In layer norms, if that differs from ``bias``; None: as in the others.
    scale_embeddings : bool or None
        Multiply embeddings by √D [10]_; None: in :class:`Transformer` alone.
    logit_cap : float or None
        :class:`CausalLM`: a logit x becomes cap · tanh(x / cap) [3]_.
    tie_embeddings : bool
        The output layer is the target embedding.
    share_embeddings : bool or None
        :class:`Transformer`: source and target have one embedding; None: if the output layer is
        tied and there is one vocabulary.
    logit_scale : float
        :class:`Transformer`: what the output layer reads is multiplied by it; T5 [12]_ has 1/√D.
    output_bias : bool
        :class:`Transformer`: the output layer has a bias, as in Marian [11]_.
    num_token_types : int
        :class:`TextEncoder`: kinds of tokens that it tells apart, such as two sentences; 0: it does
        not.
    embedding_norm : bool
        :class:`TextEncoder`: it normalises the sum of its embeddings.
    first_norm : bool
        :class:`TextEncoder`: False leaves out the norm before the first attention, as in ModernBERT
        [15]_, where the embeddings have just been normalised.
    pooler : bool
        :class:`TextEncoder`: it has a layer on top of the first token.
    pooler_activation : {"tanh", "relu"}
        :class:`TextEncoder`: what the pooler ends in; "relu" as in DistilBERT [16]_.

    Raises
    ------
    TypeError
        If a value is of the wrong type.
    ValueError
        If a value is out of range or values do not fit together.

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.
    .. [2] OLMo Team, "2 OLMo 2 Furious", 2024, arXiv:2501.00656.
    .. [3] Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size", 2024,
       arXiv:2408.00118.
    .. [4] S. Black et al., "GPT-NeoX-20B", 2022, arXiv:2204.06745.
    .. [5] Gemma Team, "Gemma 3 Technical Report", 2025, arXiv:2503.19786.
    .. [6] A. Kazemnejad et al., "The Impact of Positional Encoding on Length Generalization in
       Transformers", NeurIPS 2023, arXiv:2305.19466.
    .. [7] A. Jiang et al., "Mistral 7B", 2023, arXiv:2310.06825.
    .. [8] M. Dehghani et al., "Scaling Vision Transformers to 22 Billion Parameters", ICML 2023,
       arXiv:2302.05442.
    .. [9] A. Yang et al., "Qwen2 Technical Report", 2024, arXiv:2407.10671.
    .. [10] A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    .. [11] M. Junczys-Dowmunt et al., "Marian: Fast Neural Machine Translation in C++", ACL 2018,
       arXiv:1804.00344.
    .. [12] C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
       Transformer", JMLR 2020, arXiv:1910.10683.
    .. [13] K. Song et al., "MPNet: Masked and Permuted Pre-training for Language Understanding",
       NeurIPS 2020, arXiv:2004.09297.
    .. [14] Y. Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019,
       arXiv:1907.11692.
    .. [15] B. Warner et al., "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder",
       2024, arXiv:2412.13663.
    .. [16] V. Sanh et al., "DistilBERT, a distilled version of BERT", 2019, arXiv:1910.01108.
    """

    vocab_size: int
    target_vocab_size: int | None = _only_for("Transformer", None)
    max_len: int = 256
    d_model: int = 512
    num_heads: int = 8
    num_kv_heads: int | None = None
    head_width: int | None = None
    num_layers: int = 6
    num_decoder_layers: int | None = _only_for("Transformer", None)
    d_ff: int | None = None
    dropout: float = 0.1
    activation: str = "relu"
    norm: str = "layer"
    norm_eps: float = 1e-5
    norm_first: bool = False
    norm_last: bool = False
    positions: str = "sinusoidal"
    first_position: int = 0
    sinusoid_pairs: str = "neighbours"
    rotary_base: float = 10000.0
    rotary_pairs: str = "halves"
    num_buckets: int = 32
    max_distance: int = 128
    rotary_width: int | None = None
    rotary_scaling: RotaryScaling | None = None
    layer_pattern: tuple[str, ...] = ("global",)
    window: int | None = None
    local_rotary_base: float | None = None
    qk_norm: str | None = None
    attention_scale: float | None = None
    attention_cap: float | None = None
    attention_bias: str | None = None
    bias: bool = True
    norm_bias: bool | None = None
    scale_embeddings: bool | None = None
    logit_cap: float | None = _only_for("CausalLM", None)
    tie_embeddings: bool = True
    share_embeddings: bool | None = _only_for("Transformer", None)
    logit_scale: float = _only_for("Transformer", 1.0)
    output_bias: bool = _only_for("Transformer", False)
    num_token_types: int = _only_for("TextEncoder", 0)
    embedding_norm: bool = _only_for("TextEncoder", False)
    first_norm: bool = _only_for("TextEncoder", True)
    pooler: bool = _only_for("TextEncoder", False)
    pooler_activation: str = _only_for("TextEncoder", "tanh")

    def __post_init__(self) -> None:
        for name, value in plain_values(self).items():
            object.__setattr__(self, name, value)
        check_config(self)

    @property
    def has_length_limit(self) -> bool:
        """Whether no text may be longer than ``max_len``.

        With ALiBi, positions in buckets or no positions at all, any text may.
        """
        return self.positions not in ("alibi", "buckets", "none")

    @property
    def width_of_heads(self) -> int:
        """K."""
        return self.d_model // self.num_heads if self.head_width is None else self.head_width

    @property
    def has_final_norm(self) -> bool:
        """Whether a stack ends in a norm of its own.

        It does with ``norm_first`` or ``norm_last``. With neither, each layer ends in a norm of the
        sum, the last one too, and so the stack needs none.
        """
        return self.norm_first or self.norm_last

    @property
    def has_norm_bias(self) -> bool:
        """Whether layer norms have a bias."""
        return self.bias if self.norm_bias is None else self.norm_bias

    @property
    def layer_kinds(self) -> tuple[str, ...]:
        """What each of ``num_layers`` layers looks at."""
        pattern = self.layer_pattern
        return tuple(pattern[i % len(pattern)] for i in range(self.num_layers))

    @property
    def decoder_vocab_size(self) -> int:
        """V of the target language."""
        return self.vocab_size if self.target_vocab_size is None else self.target_vocab_size

    @property
    def shares_embeddings(self) -> bool:
        """Whether source and target have one embedding."""
        if self.share_embeddings is None:
            return self.tie_embeddings and self.target_vocab_size is None
        return self.share_embeddings

    @property
    def decoder_layers(self) -> int:
        """The number of decoder layers."""
        return self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers

    @property
    def feed_forward_width(self) -> int:
        """F."""
        if self.d_ff is not None:
            return self.d_ff
        if self.activation in GATED:  # three matrices instead of two
            return -(-8 * self.d_model // (3 * 256)) * 256
        return 4 * self.d_model

    @classmethod
    def vaswani_base(cls, **overrides: Any) -> Self:
        """The base model of "Attention Is All You Need", table 3."""
        return cls.from_dict({"d_model": 512, "num_heads": 8, "d_ff": 2048} | overrides)

    @classmethod
    def tiny(cls, **overrides: Any) -> Self:
        """Two layers of width 128, normalised first: trains in a minute or two on a laptop."""
        return cls.from_dict(
            {"d_model": 128, "num_heads": 4, "num_layers": 2, "norm_first": True} | overrides
        )

    @classmethod
    def gpt2(cls, **overrides: Any) -> Self:
        """The smallest GPT-2 [1]_, for :class:`CausalLM`.

        References
        ----------
        .. [1] A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
        """
        return cls.from_dict(
            {
                "vocab_size": 50257,
                "max_len": 1024,
                "d_model": 768,
                "num_heads": 12,
                "num_layers": 12,
                "activation": "gelu_tanh",
                "norm_first": True,
                "positions": "learned",
            }
            | overrides
        )

    @classmethod
    def llama(cls, **overrides: Any) -> Self:
        """The smallest Llama [1]_, for :class:`CausalLM`.

        References
        ----------
        .. [1] H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023,
           arXiv:2302.13971.
        """
        return cls.from_dict(
            {
                "vocab_size": 32000,
                "max_len": 2048,
                "d_model": 4096,
                "num_heads": 32,
                "num_layers": 32,
                "dropout": 0.0,
                "activation": "swiglu",
                "norm": "rms",
                "norm_first": True,
                "positions": "rotary",
                "bias": False,
                "tie_embeddings": False,
            }
            | overrides
        )

    @classmethod
    def bert(cls, **overrides: Any) -> Self:
        """The base model of BERT [1]_, for :class:`TextEncoder`.

        References
        ----------
        .. [1] J. Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for
           Language Understanding", NAACL 2019, arXiv:1810.04805.
        """
        return cls.from_dict(
            {
                "vocab_size": 30522,
                "max_len": 512,
                "d_model": 768,
                "num_heads": 12,
                "num_layers": 12,
                "activation": "gelu",
                "norm_eps": 1e-12,
                "positions": "learned",
                "num_token_types": 2,
                "embedding_norm": True,
                "pooler": True,
            }
            | overrides
        )

    @classmethod
    def marian(cls, **overrides: Any) -> Self:
        """The size of most OPUS-MT translators [1]_, for :class:`Transformer`.

        References
        ----------
        .. [1] J. Tiedemann and S. Thottingal, "OPUS-MT: Building open translation services for the
           World", EAMT 2020.
        """
        return cls.from_dict(
            {
                "vocab_size": 59514,
                "max_len": 512,
                "d_model": 512,
                "num_heads": 8,
                "num_layers": 6,
                "d_ff": 2048,
                "activation": "silu",
                "sinusoid_pairs": "halves",
                "output_bias": True,
            }
            | overrides
        )

    @classmethod
    def t5(cls, **overrides: Any) -> Self:
        """The smallest T5 [1]_, for :class:`Transformer`.

        References
        ----------
        .. [1] C. Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
           Text-to-Text Transformer", JMLR 2020, arXiv:1910.10683.
        """
        return cls.from_dict(
            {
                "vocab_size": 32128,
                "max_len": 512,
                "d_model": 512,
                "num_heads": 8,
                "head_width": 64,
                "num_layers": 6,
                "d_ff": 2048,
                "norm": "rms",
                "norm_eps": 1e-6,
                "norm_first": True,
                "positions": "buckets",
                "attention_scale": 1.0,
                "bias": False,
                "scale_embeddings": False,
                "share_embeddings": True,
                "logit_scale": overrides.get("d_model", 512) ** -0.5,
            }
            | overrides
        )

    def check_model(self, model: str) -> None:
        """Refuse fields that only other kinds of models read, unless they are left as they are.

        Raises
        ------
        ValueError
        """
        for each in fields(self):
            reader = each.metadata.get("model", model)
            value = getattr(self, each.name)
            if reader != model and value != each.default:
                raise ValueError(
                    f"{model} has no use for {each.name}={value!r}, which is {reader}'s; leave it "
                    "out"
                )

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The opposite of :meth:`to_dict`.

        Raises
        ------
        ValueError
            For an unknown field; the message proposes the nearest one.
        """
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                raise ValueError(f"unknown field {name!r}{did_you_mean(name, known)}")
        return cls(**values)
