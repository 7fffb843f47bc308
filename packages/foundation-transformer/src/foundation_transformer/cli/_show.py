"""What a trained translator can do: scores, samples, pictures and pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from foundation_attn import capture_attention
from foundation_attn.plotting import HeatMap, plot_attention
from foundation_data import WordTokenizer
from foundation_nn import no_grad
from foundation_nn.plotting import plot_history
from foundation_nn.training import History

from foundation_transformer._positions import SinusoidalPositions
from foundation_transformer._sentence_translator import SentenceTranslator
from foundation_transformer._transformer import Transformer
from foundation_transformer._translate import translate
from foundation_transformer.cli._attention import write_attention
from foundation_transformer.cli._report import write_report_of
from foundation_transformer.cli._translate import written_ids
from foundation_transformer.evaluation import score_translations
from foundation_transformer.plotting import plot_positions

Tokenizers = tuple[WordTokenizer, WordTokenizer]

#: Larger held-out parts are sampled for the scores, so that these take seconds.
MAX_SCORED = 2000
#: More tokens than that make pictures nobody can read.
MAX_DRAWN = 10


def show_translations(
    model: Transformer,
    tokenizers: Tokenizers,
    pairs: list[tuple[str, str]],
    rng: np.random.Generator,
    language: str | None = None,
) -> None:
    """Print the scores over held-out pairs and a dozen translations beside their references."""
    fits = [pair for pair in pairs if len(tokenizers[0].encode(pair[0])) < model.config.max_len]
    chosen = [fits[i] for i in rng.permutation(len(fits))[:MAX_SCORED]]
    sources, references = ([pair[side] for pair in chosen] for side in (0, 1))
    translations = translate(model, sources, *tokenizers)
    scores = score_translations(translations, references, language)
    print(
        f"\nHeld-out pairs: BLEU {scores.bleu:.1f}, chrF {scores.chrf:.1f}, "
        f"exact match {scores.exact:.3f}  ({len(chosen):,} sentences, greedy)\n"
        f"BLEU signature: {scores.signature}\n"
    )
    samples = zip(sources[:12], references, translations, strict=False)
    for source, reference, translation in samples:
        print(f"  {source}\n    = {translation}")
        if translation != reference:
            print(f"    ≠ {reference}")


def draw(
    folder: Path,
    history: History,
    model: Transformer,
    tokenizers: Tokenizers,
    pairs: list[tuple[str, str]],
) -> list[Path]:
    """Write the pictures and the pages of a run and return their paths."""
    written = [folder / "loss.png"]
    plot_history(
        history,
        written[0],
        title="Training the translator (loss with label smoothing)",
    )
    telling = [sentence for sentence, _ in _telling(model, tokenizers, pairs)]
    written.append(folder / "attention.png")
    plot_attention(
        [_cross_attention(model, tokenizers, sentence) for sentence in telling],
        written[-1],
        title="Where the translation looks: cross-attention of the last layer, mean of its heads",
    )
    if isinstance(model.positions, SinusoidalPositions):
        written.append(folder / "positions.png")
        plot_positions(model.positions, written[-1])
    written.append(write_report_of(folder))
    written.append(folder / "attention.html")
    write_attention(folder, telling[0], written[-1])
    return written


def _telling(
    model: Transformer, tokenizers: Tokenizers, pairs: list[tuple[str, str]], count: int = 4
) -> list[tuple[str, str]]:
    """Sentences and their translations worth a picture: readable, of known words, unlike."""
    lengths = {source: len(tokenizers[0].tokenize(source)) for source, _ in pairs}
    candidates = sorted(lengths, key=lambda source: abs(lengths[source] - 6))[:64]
    translations = translate(model, candidates, *tokenizers)
    chosen: list[tuple[str, str]] = []
    seen: set[str] = set()
    for demanding in (True, False):  # second time round, whatever is there will do
        for pair in zip(candidates, translations, strict=True):
            words = tokenizers[0].tokenize(pair[0])
            readable = 0 < len(tokenizers[1].tokenize(pair[1])) <= MAX_DRAWN and all(
                word in tokenizers[0].vocabulary for word in words
            )
            good = readable and seen.isdisjoint(words) if demanding else pair not in chosen
            if good and len(chosen) < count:
                chosen.append(pair)
                seen.update(words)
    return chosen


def _cross_attention(model: Transformer, tokenizers: Tokenizers, sentence: str) -> HeatMap:
    """The weights with which the translation of a sentence was written, at most its beginning."""
    source, target = written_ids(SentenceTranslator(model, *tokenizers), sentence)
    with no_grad(), capture_attention(model) as maps:
        model(np.array([source]), np.array([target[:-1]]))
    cross = [m for m in maps if m.kind == "cross"][-1]
    # The row that reads a token writes the next one; it is named after what it writes.
    drawn = MAX_DRAWN + 1  # and the end of the sentence
    return HeatMap(
        cross.weights[0].mean(axis=0)[:drawn, :drawn],
        tokenizers[0].vocabulary.to_tokens(source[:drawn]),
        tokenizers[1].vocabulary.to_tokens(target[1 : drawn + 1]),
    )
