"""What makes an exercise solved: one file a chapter, one function an exercise.

A check has the name of its exercise. It is given the learner's file (``work``) and the comparisons
(``step``), and goes from small numbers, worked out by hand, to shapes, finite differences, the
library's own functions and edge cases. What a typical mistake would give stands beside what is
expected, with the hint that belongs to it.
"""
