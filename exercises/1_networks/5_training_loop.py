"""1.5 The training loop.

Chapter 1, networks and backpropagation.

What happens in one step of training? Always the same five things:

    1. the model answers              predictions = model(x)
    2. the loss judges the answers    loss = F.mse_loss(predictions, y)
    3. old gradients are cleared      optimizer.zero_grad()
    4. gradients are computed         loss.backward()
    5. the weights move against them  optimizer.step()

Gradients add up until somebody clears them (exercise 1.4 says why they add up). A loop that
forgets the third line does not stop with an error; it learns the wrong thing.

Shapes: x is (N, I), y and the predictions are (N, O), the loss is a single number.

Write `train`. It does `steps` steps and returns the losses as a list of floats, one for each
step; `loss.item()` is the number in a tensor.
"""

from foundation_nn import functional as F


def train(model, optimizer, x, y, steps):
    """The loss of each step; the model has learnt afterwards."""
    raise NotImplementedError(
        "your turn: write the loop with its five lines, and collect the losses"
    )
