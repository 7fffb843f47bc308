"""The machinery behind ``check.py``: it runs what a learner wrote and says what to look at.

Read in this order: ``hints`` (what a learner can be told), ``work`` (a learner's file, called with
care), ``steps`` (the comparisons that a check is made of), ``catalogue`` (which exercises there
are), ``report`` (running and printing). The checks themselves are in the folder ``checks``, one
file a chapter.
"""
