"""Run PyTorch's own samples through PyTorch and through us, and compare values and gradients.

    nox -s peers                                everything; a minute or two
    nox -s peers -- softmax nn.LSTM optim.SGD   some rows of the table

Each sample runs in float32 and float64 and in four memory layouts. The run fails if anything
differs, or is refused, that ``differences.py`` does not explain, and if that explains something
which no longer happens.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from compare import compare
from functions import FUNCTIONS
from large import large_samples
from modules import MODULES, module_samples
from operations import OPERATIONS
from optimisers import compare_averages, compare_clipping, compare_optimisers
from recurrent import RECURRENT
from report import Report
from samples import operator_samples
from schedules import compare_plateau, compare_schedules
from shapes import SHAPES
from transformers import TRANSFORMERS

OPERATORS = {
    "arithmetic, products, reductions": OPERATIONS,
    "shapes and indexing": SHAPES,
    "functions": FUNCTIONS,
}
PAIRS = {
    "modules": MODULES,
    "recurrent layers": RECURRENT,
    "attention and transformers": TRANSFORMERS,
}


def run(report: Report, dtype: str) -> None:
    """Compare everything that the report wants and that has a dtype."""
    theirs = getattr(torch, dtype)
    rng = np.random.default_rng(0)
    for group, operators in OPERATORS.items():
        report.begin(group)
        wanted = {name: adapter for name, adapter in operators.items() if report.wants(name)}
        for sample in operator_samples(wanted, theirs):
            compare(sample, report, rng)
    for group, modules in PAIRS.items():
        report.begin(group)
        pairs = {k: pair for k, pair in modules.items() if report.wants(f"nn.{k.__name__}")}
        for sample in module_samples(pairs, theirs):
            compare(sample, report, rng)
    report.begin("in several blocks")
    for sample in large_samples(theirs):
        if report.wants(sample.operation):
            compare(sample, report, rng)
    report.begin("optimisers, clipping, averages")
    compare_optimisers(report, dtype)
    compare_clipping(report, dtype)
    compare_averages(report, dtype)


def main() -> None:
    warnings.simplefilter("ignore")  # PyTorch's, about its own samples
    torch.set_num_threads(1)
    report = Report(sys.argv[1:])
    for dtype in ("float32", "float64"):
        run(report, dtype)
    report.begin("schedules")
    compare_schedules(report)
    compare_plateau(report)
    report.print_counts()
    if report.print_faults():
        sys.exit("\nnot as PyTorch has it, and no reason is written down")


if __name__ == "__main__":
    main()
