"""Lessons to run: ``python -m foundation_nn.examples.xor``, and so on."""
