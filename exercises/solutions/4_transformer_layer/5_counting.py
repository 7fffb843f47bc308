"""4.5 How many numbers does it learn?

Chapter 4, the transformer layer.

Where do the millions of parameters of a model lie? One layer, such as that of exercise 4.4, has

    attention       four matrices D × D: queries, keys, values, and the output; each with a bias
    feed-forward    a matrix F × D and one D × F, each with a bias
    normalisation   two of them, each with a scale and a shift for every component

A bias has as many numbers as its matrix has outputs. How many heads there are does not matter:
they share the D components among themselves.

A decoder-only model has an embedding of V × D, N such layers, a last normalisation, and at its
end a matrix V × D that gives a score to each word, without a bias. If this matrix is the
embedding itself, the weights are tied and counted once.

Write `count_layer` and `count_model`.
"""


def count_layer(d_model, d_ff):
    """The parameters of one layer."""
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = d_ff * d_model + d_ff + d_model * d_ff + d_model
    normalisation = 2 * 2 * d_model
    return attention + feed_forward + normalisation


def count_model(vocab_size, num_layers, d_model, d_ff, tied):
    """The parameters of a decoder-only model, with tied weights or without."""
    embeddings = vocab_size * d_model * (1 if tied else 2)
    return embeddings + num_layers * count_layer(d_model, d_ff) + 2 * d_model
