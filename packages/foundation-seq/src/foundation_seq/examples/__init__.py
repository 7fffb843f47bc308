"""Programs to run and to read: ``python -m foundation_seq.examples.NAME``."""
