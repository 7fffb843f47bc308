"""Attention, from one query to many heads, on NumPy."""
