"""Recurrent networks and text generation on NumPy."""
