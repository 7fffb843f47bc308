"""7.3 A learning rate that rises and falls.

Chapter 7, training.

How large should a step be? At first the averages of Adam know little and the weights are random,
so large steps do harm: the rate rises from 0 in a warm-up. In the end small steps settle into the
valley that was found: the rate falls, along half a cosine.

    step < warmup     lr · step / warmup
    after that        lr · (1 + cos(π · progress)) / 2
                      progress = (step - warmup) / (steps - warmup), from 0 to 1

Behind the last step progress stays 1, so that the rate stays 0.

Shapes: everything is a single number; step counts from 1.

Write `learning_rate`.
"""

import math


def learning_rate(step, lr, warmup, steps):
    """The rate of a step: a rise over `warmup` steps, then half a cosine down to 0."""
    if step < warmup:
        return lr * step / warmup
    progress = min(1.0, (step - warmup) / (steps - warmup))
    return lr * (1 + math.cos(math.pi * progress)) / 2
