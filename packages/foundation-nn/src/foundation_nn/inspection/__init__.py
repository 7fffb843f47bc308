"""Looking inside: checking gradients, tracing, drawing, timing, and finding the first NaN.

Read in this order: ``_gradcheck``, ``_record`` (what is written down about an operation), and those
that use it: ``_trace``, ``_profile``, ``_summary``, ``_finite``, ``_graph``. ``_flops`` counts what
matrix products cost, ``_table`` sets columns in line.
"""
