"""The pictures of the chapter on language models and writing."""

from typing import Any

import numpy as np
from foundation_nn.plotting import COLORS, new_figure
from foundation_seq import SamplingConfig, token_probabilities

#: Of five words, of the probabilities 8, 4, 2, 1 and 1 sixteenth.
_LOGITS = np.log([[8.0, 4.0, 2.0, 1.0, 1.0]])


def sampling() -> Any:
    """What temperatures and filters make of five probabilities."""
    temperatures = {f"T = {t:g}": SamplingConfig(temperature=t) for t in (0.5, 1.0, 2.0)}
    filters = {
        "all": SamplingConfig(),
        "top_k = 3": SamplingConfig(top_k=3),
        "top_p = 0.9": SamplingConfig(top_p=0.9),
        "min_p = 0.3": SamplingConfig(min_p=0.3),
    }
    figure, axes = new_figure(10, 3.6, columns=2)
    for ax, configs, title in (
        (axes[0, 0], temperatures, "Temperature"),
        (axes[0, 1], filters, "Filters"),
    ):
        width = 0.8 / len(configs)
        for i, (name, config) in enumerate(configs.items()):
            p = token_probabilities(_LOGITS, config)[0]
            ax.bar(np.arange(5) + (i + 0.5) * width - 0.4, p, width, color=COLORS[i], label=name)
        ax.set_xticks(range(5), ["the", "a", "my", "his", "no"])
        ax.set(title=title, ylim=(0, 0.8), ylabel="probability")
        ax.grid(alpha=0.25, axis="y")
        ax.legend(frameon=False)
    return figure


def cache() -> Any:
    """How many tokens a layer reads while a text is written, with a cache and without."""
    n = np.arange(1, 101)
    figure, axes = new_figure(6.4, 3.2)
    ax = axes[0, 0]
    ax.plot(n, n * (n + 1) / 2, color=COLORS[1], label="without: 1 + 2 + … + n")
    ax.plot(n, n, color=COLORS[0], label="with a cache: n")
    ax.set(xlabel="tokens written, n", ylabel="tokens read by each layer", ylim=(0, None))
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return figure
