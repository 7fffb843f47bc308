"""12.2 How sure a number is.

Chapter 12, how good a model is.

A model answers 8 of 10 questions. How many would it answer of other questions of the same kind?
Each question has a credit, 1 for a right answer and 0 for a wrong one. Three ways to say how far
the mean of n credits may be off, from the quick one to the careful one:

1. The standard error says how far means of n questions lie from each other, roughly:

       s = √( the sum of (credit - mean)² / (n - 1) )        error = s / √n

   In 95 of 100 cases the true mean is at most 1.96 errors away.

2. If all 10 answers are right, that error is 0, as if 10 questions proved anything. Wilson's
   interval does not say so. With p = right / n and z = 1.96:

       middle = (p + z² / 2n) / (1 + z² / n)
       half   = z √( p (1 - p) / n + z² / 4n² ) / (1 + z² / n)

   The interval goes from middle - half to middle + half.

3. The bootstrap asks what would have come of other questions: it draws n of the questions again,
   each as often as chance has it, takes their mean, and does that many times. The interval
   leaves 2.5 % of these means below itself and 2.5 % above.

Shapes: credits (n,), from 0 to 1. rows (R, n) holds the numbers of the questions of R drawings;
`np.quantile(means, [0.025, 0.975])` gives the two ends.

Write `standard_error`, `wilson` and `bootstrap`; the last two return the lower and the upper end.
"""

import numpy as np

Z = 1.96


def standard_error(credits):
    """How far the mean of other questions would be off, roughly."""
    raise NotImplementedError("your turn: the standard deviation, divided by the root of n")


def wilson(right, n):
    """The interval for a share of `right` of n."""
    raise NotImplementedError("your turn: the middle and the half width")


def bootstrap(credits, rows):
    """The interval that holds 95 % of the means of the drawings."""
    raise NotImplementedError("your turn: the mean of each drawing, then the two ends")
