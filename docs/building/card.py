"""The picture that is shown where somebody shares a link to the site, and what goes with it."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
from foundation_nn.plotting import COLORS, save_figure

DESCRIPTION = (
    "A language model that you can read: five small Python packages with NumPy as the only array "
    "engine, and a course that builds every part of it."
)
CARD = "social-card.png"


def draw_card(path: Path) -> None:
    """Draw the card, 1200 by 630 pixels: the name, what it is, and a causal attention pattern."""
    from matplotlib.figure import Figure

    figure = Figure((8, 4.2), facecolor="#10212F")  # of 150 dots an inch
    figure.text(0.06, 0.66, "Foundation", color="white", fontsize=44, fontweight="bold")
    figure.text(0.06, 0.51, "a language model that you can read", color="#BFD4E4", fontsize=19)
    line = "tensors · backpropagation · RNN · attention · transformers"
    figure.text(0.06, 0.2, line, color="#8FAFC6", fontsize=13)
    figure.text(0.06, 0.12, "small Python packages on NumPy", color="#8FAFC6", fontsize=13)
    size = 9
    scores = np.random.default_rng(4).normal(0, 1.3, (size, size))
    weights = np.exp(scores) * np.tri(size)
    weights /= weights.sum(axis=1, keepdims=True)
    ax = figure.add_axes((0.68, 0.33, 0.27, 0.52))
    ax.set_axis_off()
    ax.set_aspect("equal")
    for row in range(size):
        for column in range(row + 1):
            alpha = 0.15 + 0.85 * weights[row, column] ** 0.5
            ax.scatter(column, -row, s=170, marker="s", color=COLORS[1], alpha=alpha, linewidth=0)
    save_figure(figure, path)


def describe_page(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Put the title, a description and the card of a page where other sites look for them."""
    base = app.config.html_baseurl.rstrip("/")
    image = f"{base}/{CARD}" if base else context["pathto"](CARD, 1)
    title = "Foundation" if page == "index" else f"{context.get('title', '')} · Foundation"
    tags = {
        "og:type": "website",
        "og:site_name": "Foundation",
        "og:title": title,
        "og:description": DESCRIPTION,
        "og:image": image,
        "og:image:width": "1200",
        "og:image:height": "630",
    }
    if base:
        tags["og:url"] = f"{base}/{page}.html"
    lines = [
        f'<meta property="{name}" content="{_attribute(value)}">' for name, value in tags.items()
    ]
    lines.append(f'<meta name="description" content="{_attribute(DESCRIPTION)}">')
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    context["metatags"] = context.get("metatags", "") + "\n".join(lines)


def _attribute(text: str) -> str:
    """Text of a heading, perhaps with tags, as the value of an attribute."""
    return html.escape(html.unescape(re.sub(r"<[^>]+>", "", text)), quote=True)
