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
    still_open = [(0.0, [bos_id])]
    finished = []
    for _ in range(max_len):
        continued = []
        for total, tokens in still_open:
            for word, log_prob in enumerate(log_probs(tokens)):
                continued.append((total + float(log_prob), [*tokens, word]))
        best = sorted(continued, reverse=True)[:beam_size]
        finished += [(total, tokens[:-1]) for total, tokens in best if tokens[-1] == eos_id]
        still_open = [(total, tokens) for total, tokens in best if tokens[-1] != eos_id]
    total, tokens = max(finished + still_open)
    return tokens[1:], total
