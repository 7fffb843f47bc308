"""9.1 A tensor out of a file's bytes.

Chapter 9, published models.

What is in a file of weights? A .safetensors file has three parts, and nothing else:

    8 bytes          how long the header is: a whole number, its lowest byte first
    the header       JSON: for each name a type, a shape, and where its bytes lie
    the numbers      of all tensors, one after the other

An entry of the header looks like this. The two offsets say where the tensor's bytes begin and
end. They are counted from the first byte behind the header:

    {"norm.weight": {"dtype": "F32", "shape": [24], "data_offsets": [0, 96]}, ...}

Two types are asked for here. F32 is a float32 of four bytes, its lowest byte first; NumPy calls
it "<f4". BF16 is the upper half of a float32, two bytes ("<u2"); put 16 zero bits behind it, and it
is one again.

Shapes: data is the whole file, as `bytes`; the result is a float32 array of the shape that the
header says.

Write `read_tensor`. `int.from_bytes(data[:8], "little")` reads a whole number, `json.loads` takes
bytes, `np.frombuffer(part, "<f4")` makes an array of them, `bits << np.uint32(16)` moves bits, and
`bits.view(np.float32)` reads the same bits as float32.
"""

import json

import numpy as np


def read_tensor(data, name):
    """The tensor of this name, in float32."""
    raise NotImplementedError(
        "your turn: the length, the header, the tensor's bytes, and what they mean"
    )
