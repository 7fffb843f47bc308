"""5.1 Teacher forcing.

Chapter 5, encoder and decoder.

How does a decoder learn all words of a sentence at once, although it writes them one by one?
While it learns, it does not read what it has written itself, which would be nonsense at first. It
reads the right translation, one place late: at each position it sees the words before and has to
say the next one. The sentence begins with a special token, bos, and ends with another, eos:

    words        7     8     9
    target_in    bos   7     8     9        what the decoder reads
    target_out   7     8     9     eos      what it should say at the same place

So the word to be said always stands one place further right in what is read, and the causal mask
hides it there.

Shapes: words is a list of n ids; both results are lists of n + 1 ids.

Write `teacher_forcing`, which returns target_in and target_out.
"""


def teacher_forcing(words, bos_id, eos_id):
    """What the decoder reads, and what it should say."""
    return [bos_id, *words], [*words, eos_id]
