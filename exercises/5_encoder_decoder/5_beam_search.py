"""5.5 Beam search.

Chapter 5, encoder and decoder.

Is the likeliest first word the beginning of the likeliest sentence? Not always. "A" may be
likelier than "B" and yet lead to nothing likely. Beam search therefore follows several beginnings
side by side. A beginning is as likely as all its words together, so their logarithms are added:

    log P(sentence) = sum of log P(each word | those before it), eos included

In each step

1. continue every open beginning by every word,
2. keep the `beam_size` likeliest of all these continuations,
3. those of them that end in eos are finished, the others stay open.

Stop when none is open, or when the open ones have `max_len` words; those count as finished, too.
The answer is the likeliest of all that are finished.

Shapes: `log_probs(tokens)` takes the ids so far, bos in front, and returns an array (V,). The
result is a pair: the ids without bos and eos, and the logarithm of their probability.

Write `beam_search`. A list of pairs (total, tokens) is all you have to keep, and `sorted(pairs,
reverse=True)` puts the likeliest first.
"""


def beam_search(log_probs, bos_id, eos_id, beam_size, max_len):
    """The likeliest ids that the beam has found, and their log-probability."""
    raise NotImplementedError(
        "your turn: carry pairs (total, tokens) along: continue, keep the best, put finished aside"
    )
