"""The engine: everything about differentiation that is not calculus.

Read in this order: ``_tape`` (what was computed, and from what), ``_walk`` (the way back, and
``_aside``, what is done meanwhile), ``_tensor`` (an array that is part of it), ``_operation`` (from
a NumPy kernel to a function on tensors), ``_parameter`` (leaves that lie side by side in one
buffer), ``_recompute`` (less memory for more time). Beside them stand ``_modes`` (training and
loading as contexts), ``_threads`` and ``_memory`` (how the machine is used), ``_watch`` (who is
told of what runs), ``_operators`` and ``_numpy_calls`` (how ``x + y`` and ``np.exp(x)`` find their
operation).
"""
