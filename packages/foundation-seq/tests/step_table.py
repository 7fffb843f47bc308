"""A step-wise model whose every step is known."""

import numpy as np


class Table:
    """A step-wise model that is a table from the last token to the logits of the next.

    It writes into its state, as a model with a cache does, and notes what it is asked.
    """

    def __init__(self, table):
        self.table = np.asarray(table, float)
        self.calls = []

    def start(self, prompt, lengths, capacity):
        self.calls.append(("start", prompt.shape, lengths.tolist(), capacity))
        history = np.full((len(prompt), capacity), -1)
        history[:, : prompt.shape[1]] = prompt
        state = [history, lengths.copy()]
        return self._logits(state), state

    def step(self, state, tokens):
        history, filled = state
        history[np.arange(len(tokens)), filled] = tokens  # IndexError beyond the capacity
        filled += 1
        return self._logits(state), state

    def select(self, state, rows):
        self.calls.append(("select", rows.tolist()))
        return [part[rows] for part in state]

    def _logits(self, state):
        history, filled = state
        return self.table[history[np.arange(len(history)), filled - 1]]


class Memory(Table):
    """Draws the logits of the next token from a generator seeded with the whole text so far."""

    def __init__(self, seed, size):
        super().__init__(np.empty((size, size)))
        self.seed = seed

    def after(self, text):
        rng = np.random.default_rng([self.seed, *map(int, text)])
        return 2 * rng.standard_normal(len(self.table))

    def _logits(self, state):
        return np.array([self.after(row[:n]) for row, n in zip(*state, strict=True)])
