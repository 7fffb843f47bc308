"""6.5 Text for a language model.

Chapter 6, data.

Where do the questions and answers come from if there is nothing but text? The text contains both:
after each token comes the next one. So a long text is cut into windows, and the target of each
position is the token behind it:

    text       3 1 4 1 5 9 2
    inputs     3 1 4    1 5 9            two windows of three
    targets    1 4 1    5 9 2            the same, one token later

The windows lie side by side without overlapping, and the last target of a window is the first
input of the next one. What is left at the end and does not fill a window is dropped.

Shapes: ids (M,); inputs and targets are (N, L), with as many windows N as have a target for each
of their positions: the text needs N · L + 1 tokens.

Write `windows`, which returns inputs and targets.
"""


def windows(ids, length):
    """What the model reads, and what comes next, window by window."""
    raise NotImplementedError(
        "your turn: how many windows fit? then cut ids twice, the second time one token later"
    )
