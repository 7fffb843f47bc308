"""1.4 Walking the tape back.

Chapter 1, networks and backpropagation.

How does a computer find the slopes of a formula that it has never seen? While it computes, every
`Value` remembers the values it was made from and the slope towards each of them. Afterwards one
walk back over this record, the tape, hands the gradients on:

    gradient of an input  +=  gradient of the output · slope of the output towards the input

Two things matter.

1. A value that was used twice receives two contributions, and they are added up.
2. A value must have received all its contributions before it hands them on. So the walk goes
   backwards through an order in which every value stands behind its inputs (a topological order).

Write `backward`. It sets `grad` of the last value to 1 and fills in `grad` of all values that it
was made from. All of them have `grad` 0 before.
"""


class Value:
    """A number that remembers how it was made.

    `inputs` are the values it was made from, `slopes` its derivative towards each of them.
    """

    def __init__(self, data, inputs=(), slopes=()):
        self.data = data
        self.inputs = inputs
        self.slopes = slopes
        self.grad = 0.0

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))


def backward(last):
    """Fill in `grad` of everything that `last` depends on."""
    order = []

    def visit(value):
        if value not in order:
            for source in value.inputs:
                visit(source)
            order.append(value)

    visit(last)
    last.grad = 1.0
    for value in reversed(order):
        for source, slope in zip(value.inputs, value.slopes, strict=True):
            source.grad += value.grad * slope
