"""Transformers that can be read, trained and run, on NumPy."""
