"""Transformers at work: ``python -m foundation_transformer.examples.…`` runs each module."""
