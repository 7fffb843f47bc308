"""Lessons to run: ``python -m foundation_data.examples.pipeline``."""
