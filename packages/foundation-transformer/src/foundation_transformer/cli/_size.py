"""One number for the size of a model, and what follows from it.

Width, heads, layers, batch and learning rate of a model of depth d:

======================  ==============  ========================================================
layers                  d               of encoder and decoder each, in a translator
width                   64 d            deep and wide models grow together, as GPT-2's do
heads                   width / 64      heads of width 64, as in GPT-2 and the first transformer
sequences in a batch    16 d            the gradient of a better model is noisier beside its size
learning rate           0.384 / width   a step changes what a layer gives by as much, see below
======================  ==============  ========================================================

Depth 12 is the smallest GPT-2: 12 layers, width 768, 12 heads. With Adam every weight moves by
about the learning rate, and a neuron adds up as many of them as the model is wide: what it gives
changes by about rate × width, which the rule holds still [1]_. From the rate of 0.003 that does
well at width 128, it leads to 0.0005, 0.00025 and 0.00019 at widths 768, 1536 and 2048; GPT-3 was
trained with 0.0006, 0.00025 and 0.0002 at these, its table 2.1 [2]_. The useful size of a batch
grows while the loss falls [3]_.

References
----------
.. [1] G. Yang et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot
   Hyperparameter Transfer", NeurIPS 2021, arXiv:2203.03466.
.. [2] T. Brown et al., "Language Models are Few-Shot Learners", NeurIPS 2020, arXiv:2005.14165.
.. [3] S. McCandlish et al., "An Empirical Model of Large-Batch Training", 2018, arXiv:1812.06162.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from foundation_transformer.cli._optimization import LR_FACTORS
from foundation_transformer.cli._settings import Settings

#: With AdamW, for a model of width 128.
LR = 3e-3
#: The same of a model that is tuned: small, so that it forgets little. A change of low rank, which
#: begins at zero, takes a larger one.
LR_OF_ALL_WEIGHTS = 3e-5
LR_OF_A_CHANGE = 5e-4
BATCH_SIZE = 64
_HEAD_WIDTH = 64
_WIDTH_OF_LR = 128


def resolve(settings: Settings) -> Settings:
    """The settings with a value for all that follows from others; what was given stays.

    Examples
    --------
    >>> chosen = Settings(task="language-model", data="x", depth=12, model={"dropout": 0.0})
    >>> found = resolve(chosen)
    >>> found.model
    {'d_model': 768, 'num_heads': 12, 'num_layers': 12, 'dropout': 0.0}
    >>> found.lr, found.batch_size
    (0.0005, 192)
    """
    model = dict(settings.model)
    lr = LR
    if settings.task == "finetune":
        lr = LR_OF_ALL_WEIGHTS if settings.full else LR_OF_A_CHANGE
    batch_size = BATCH_SIZE
    if settings.depth is not None:
        width: Any = model.get("d_model", 64 * settings.depth)
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"model: expected d_model to be a whole number from 1, got {width!r}")
        heads = max(1, width // _HEAD_WIDTH)
        model = {"d_model": width, "num_heads": heads, "num_layers": settings.depth} | model
        lr *= _WIDTH_OF_LR / width
        batch_size = 16 * settings.depth
    lr = float(f"{lr * LR_FACTORS[settings.optimizer]:.3g}")
    return replace(
        settings,
        model=model,
        lr=lr if settings.lr is None else settings.lr,
        batch_size=batch_size if settings.batch_size is None else settings.batch_size,
        date=_today(settings),
    )


def _today(settings: Settings) -> str | None:
    """The day that chat templates are told, which stays when the run is resumed on another one."""
    if settings.task != "finetune" or settings.date is not None:
        return settings.date
    return date.today().isoformat()


def describe_size(settings: Settings, model: Any) -> str:
    """A resolved size in a line."""
    config = model.config
    layers = f"{config.num_layers} layer{'s' if config.num_layers > 1 else ''}"
    heads = f"{config.num_heads} head{'s' if config.num_heads > 1 else ''}"
    size = f"{model.num_parameters():,} parameters"
    return (
        f"depth {settings.depth}: {layers}, width {config.d_model}, {heads}; {settings.batch_size} "
        f"sequences in a batch; learning rate {settings.lr:g}; {size}"
    )


def batch_size_of(settings: Settings) -> int:
    """Sequences in a batch."""
    return settings.batch_size or BATCH_SIZE


def lr_of(settings: Settings) -> float:
    """The learning rate at its peak, of resolved settings."""
    return settings.lr or LR
