"""What the scripts that record golden arrays share with the tests that read them."""

import argparse
from pathlib import Path

import numpy as np


def flat(arrays):
    """All numbers of some arrays, one after the other."""
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def described(state):
    """Names and shapes of a state dict, as arrays that a file can hold."""
    return {
        "names": np.array(list(state)),
        "shapes": np.array([",".join(map(str, p.shape)) for p in state.values()]),
    }


def unflatten(golden, numbers, part=""):
    """The arrays that :func:`described` named, from their numbers; those of one part, renamed."""
    shapes = [tuple(map(int, text.split(","))) for text in golden["shapes"].tolist()]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    arrays = np.split(numbers, ends[:-1])
    return {
        name.removeprefix(f"{part}."): array.reshape(shape)
        for name, shape, array in zip(golden["names"].tolist(), shapes, arrays, strict=True)
        if name.startswith(part)
    }


def record_or_check(record, file: Path, about: str, tolerance: float):
    """The command of a script: write what ``record()`` gives, or with ``--check`` compare."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the file")
    options = parser.parse_args()
    data = record()
    if not options.check:
        np.savez_compressed(file, **data)
        print(f"{file.name}: {file.stat().st_size:,} bytes")
        return
    with np.load(file) as stored:
        if set(stored) != set(data):
            raise SystemExit(f"{file.name}: other arrays than recorded now")
        for name, value in data.items():
            if value.dtype.kind == "f":
                np.testing.assert_allclose(stored[name], value, tolerance, tolerance, err_msg=name)
            else:
                np.testing.assert_array_equal(stored[name], value, err_msg=name)
    print(f"{file.name}: as recorded")
