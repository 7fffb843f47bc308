"""What hands that know PyTorch reach for, and what is written here instead.

A name in these tables is no attribute, no argument and no function of ours. Whoever uses it is told
in one sentence what to write. What belongs to tensors, layers and functions stands here and nowhere
else; :mod:`foundation_nn.optim` has such a table for optimisers.

Nothing of this is looked at until something has failed: Python itself finds that an attribute is
missing or a keyword unknown, and only then is its error given a better message.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from foundation_nn._arguments import did_you_mean
from foundation_nn.engine._operators import operators

C = TypeVar("C", bound=Callable[..., Any])

_ONE_DEVICE = "everything is computed on the CPU, so there is nothing to move: leave it out"
_IN_PLACE = "nothing is changed in place, as a backward may need the old numbers: "
_NO_HOOKS = (
    "to look inside write foundation_nn.trace(...), or call what you want where it is needed"
)
_WEIGHTS = "write with foundation_attn.capture_attention() as seen: around the call"
_REAL = "True means here that a position is real"
_MAY_SEE = (
    "boolean of shape (B, T, S), in which True means that a query may attend to a key (in a layer "
    "of PyTorch it means the opposite)"
)

#: Attributes of a tensor. Names of operations, such as ``softmax``, need no line.
OF_A_TENSOR = {
    "view": "write x.reshape(...)",
    "permute": "write x.transpose(...), which names all axes in their new order, as NumPy's does",
    "t": "write x.T",
    "masked_fill": "write foundation_nn.functional.where(mask, value, x)",
    "clone": "write x * 1 for a copy with a gradient, or x.numpy() for an array",
    "contiguous": "the operations see to that: leave it out",
    "dim": "write x.ndim",
    "requires_grad_": "write x.requires_grad = True or False",
    "numel": "write x.size",
    "float": "write x.astype(np.float32)",
    "double": "write x.astype(np.float64)",
    "half": "half precision is not computed in: leave it out",
    "long": "write x.astype(np.int64)",
    "int": "write x.astype(np.int32), or int(x) for a Python number",
    "bool": "write x.data.astype(bool) for an array, or bool(x) for a Python value",
    "to": f"write x.astype(dtype) for another dtype; {_ONE_DEVICE}",
    "type": "write x.astype(dtype)",
    "cuda": _ONE_DEVICE,
    "cpu": _ONE_DEVICE,
    "device": _ONE_DEVICE,
    "retain_grad": "only leaves keep a gradient: make the tensor one, with requires_grad=True",
    "register_hook": _NO_HOOKS,
    "grad_fn": "write foundation_nn.draw_graph(...) to see how a tensor was computed",
    "is_leaf": "a tensor that you made is a leaf, and the result of an operation is none",
    "expand": "write foundation_nn.functional.broadcast_to(x, shape)",
    "expand_as": "write foundation_nn.functional.broadcast_to(x, y.shape)",
    "type_as": "write x.astype(y.dtype)",
    "pow": "write x ** exponent",
    "eq": "write x == y",
    "sort": "write foundation_nn.functional.take_along_axis(x, x.argsort())",
    "nonzero": "write np.argwhere(x.data)",
    "prod": "write foundation_nn.functional.exp(x.log().sum()) for positive numbers",
    "round": "write x.data.round(), an array: rounding has no useful gradient",
    "dot": "write x @ y",
}

#: Attributes of a module.
OF_A_MODULE = {
    "train": "training is a context, and off by default: with foundation_nn.train_mode(rng): ...",
    "eval": "a model is in evaluation unless it is called within foundation_nn.train_mode(rng)",
    "training": "a model is trained while it is called within foundation_nn.train_mode(rng)",
    "to": f"write model.astype(dtype) for another dtype; {_ONE_DEVICE}",
    "float": "write model.astype(np.float32)",
    "double": "write model.astype(np.float64)",
    "half": "half precision is not computed in: leave it out",
    "cuda": _ONE_DEVICE,
    "cpu": _ONE_DEVICE,
    "zero_grad": "write optimizer.zero_grad()",
    "requires_grad_": "write model.freeze() or model.unfreeze()",
    "modules": "write model.named_modules(), which gives pairs of a name and a module",
    "children": "write model.named_modules(), which gives pairs of a name and a module",
    "apply": "write a loop: for name, module in model.named_modules(): ...",
    "register_buffer": "set an attribute: self.name = foundation_nn.Buffer(array)",
    "register_parameter": "set an attribute: self.name = foundation_nn.Parameter(array)",
    "add_module": "set an attribute: self.name = module",
    "register_module": "set an attribute: self.name = module",
    "register_forward_hook": _NO_HOOKS,
}

#: Functions of ``torch`` and ``torch.nn.functional``.
OF_FUNCTIONS = {
    "cat": "write concat([x, y], axis)",
    "unsqueeze": "write foundation_nn.functional.expand_dims(x, axis), or x[:, None]",
    "gather": "write foundation_nn.functional.take_along_axis(x, indices, axis)",
    "index_select": "write x[:, indices]",
    "masked_select": "write x[mask]",
    "chunk": "write foundation_nn.functional.split(x, parts, axis)",
    "unbind": "write a loop over x, or x[:, i]",
    "tile": "write foundation_nn.functional.concat([x] * n, axis)",
    "repeat_interleave": "write foundation_nn.functional.repeat(x, n, axis)",
    "amax": "write x.max(axis)",
    "amin": "write x.min(axis)",
    "clamp": "write foundation_nn.functional.clip(x, min, max)",
    "mm": "write x @ y",
    "bmm": "write x @ y",
    "mul": "write x * y",
    "sub": "write x - y",
    "div": "write x / y",
    "rsqrt": "write 1 / x.sqrt()",
    "square": "write x * x",
    "logsigmoid": "write log_sigmoid(x)",
    "smooth_l1_loss": "write huber_loss(x, target, delta=beta) / beta",
    "nll_loss": "write cross_entropy(logits, targets), which computes the log_softmax, too",
    "binary_cross_entropy": "write binary_cross_entropy_with_logits(x, target), without a sigmoid",
    "normalize": "write x / foundation_nn.functional.norm(x, axis=-1, keepdims=True)",
    "one_hot": "write np.eye(num_classes, dtype=np.float32)[ids]",
    "scaled_dot_product_attention": "write foundation_attn.attention(q, k, v, mask)",
    "swish": "write silu(x)",
    "tensor": "write foundation_nn.Tensor(data)",
    "zeros": "write foundation_nn.Tensor(np.zeros(shape, np.float32))",
    "ones": "write foundation_nn.Tensor(np.ones(shape, np.float32))",
    "arange": "write np.arange(n)",
    "randn": "write foundation_nn.Tensor(rng.standard_normal(shape, np.float32))",
    "manual_seed": "pass rng=np.random.default_rng(seed) to whatever draws numbers",
}

#: Keywords of functions, methods, layers and their calls; "attention.attn_mask" of one alone.
KEYWORDS = {
    "dim": "an axis is named as in NumPy, write axis=",
    "dims": "axes are named as in NumPy, write axis=",
    "keepdim": "it is named as in NumPy, write keepdims=",
    "unbiased": "write ddof=1, as in NumPy, to divide by n - 1",
    "correction": "write ddof=1, as in NumPy, to divide by n - 1",
    "diagonal": "it is named as in NumPy, write k=",
    "descending": "write (-x).argsort()",
    "largest": "of the smallest write (-x).topk(k)",
    "sorted": "the largest comes first: leave it out",
    "norm.p": "it is named as in NumPy, write ord=",
    "pad.pad": "write pad_width=, with a pair (before, after) for each axis, the first axis first",
    "pad.value": "write constant_values=",
    "split_size_or_sections": "write indices_or_sections=, how many parts or where to cut",
    "start_dim": "write x.reshape(...) to keep some of the axes",
    "end_dim": "write x.reshape(...) to keep some of the axes",
    "rounding_mode": "write (x / y).data and round that array",
    "alpha": "write x + alpha * y",
    "softplus.beta": "write softplus(beta * x) / beta",
    "softplus.threshold": "nothing overflows without it: leave it out",
    "input": "pass it first, without a name",
    "other": "pass it second, without a name",
    "tensors": "pass them first, without a name",
    "inplace": f"{_IN_PLACE}leave it out",
    "training": "dropout happens within foundation_nn.train_mode(rng): leave it out",
    "device": _ONE_DEVICE,
    "dtype": "numbers are float32 unless .astype(dtype) says otherwise",
    "out": f"{_IN_PLACE}write out = ...",
    "retain_graph": "a graph is walked once: compute the loss again, or add up the losses before",
    "create_graph": "gradients are of first order",
    "size_average": 'write reduction="mean" or reduction="sum"',
    "reduce": 'write reduction="mean" or reduction="none"',
    "normalized_shape": "write the width of the last axis, first and without a name",
    "elementwise_affine": "for a norm without weights write foundation_nn.functional.layer_norm(x)",
    "track_running_stats": "running statistics are always kept: leave it out",
    "padding_idx": "no id is special in the table: what stands at padding is left out by a mask",
    "max_norm": "rows are not rescaled",
    "sparse": "gradients are dense: leave it out",
    "batch_first": "batch comes first, always: leave it out",
    "hx": "write state=",
    "embed_dim": "write d_model=",
    "nhead": "write num_heads=",
    "dim_feedforward": "write d_ff=",
    "layer_norm_eps": "write norm_eps=",
    "num_encoder_layers": "write num_layers=",
    "encoder_layer": "write the sizes: TransformerEncoder(num_layers, d_model, num_heads, d_ff)",
    "decoder_layer": "write the sizes: TransformerDecoder(num_layers, d_model, num_heads, d_ff)",
    "kdim": "query, key and value have the width d_model",
    "vdim": "query, key and value have the width d_model",
    "is_causal": "write causal=True",
    "need_weights": _WEIGHTS,
    "average_attn_weights": _WEIGHTS,
    "key_padding_mask": f"write key_mask=~key_padding_mask; {_REAL}",
    "src_key_padding_mask": f"write key_mask=~src_key_padding_mask; {_REAL}",
    "tgt_key_padding_mask": f"write key_mask=~tgt_key_padding_mask; {_REAL}",
    "memory_key_padding_mask": f"write memory_key_mask=~memory_key_padding_mask; {_REAL}",
    "attn_mask": f"write mask=, {_MAY_SEE}",
    "attention_mask": f"write key_mask=attention_mask.astype(bool); {_REAL}",
    "src_mask": f"write mask=, {_MAY_SEE}",
    "tgt_mask": "a decoder is causal by itself; for another pattern write mask=",
    "memory_mask": "the source is masked by memory_key_mask=, as a whole",
    "attention.attn_mask": "write mask=, boolean of shape (B, T, S) or (B, H, T, S)",
    "attention.dropout_p": "write dropout=",
    "enable_gqa": "heads are shared where k and v have fewer of them: leave it out",
    "src": "pass it first, without a name",
    "tgt": "pass it without a name",
}

#: Values of ``reduction``.
REDUCTIONS = {
    "batchmean": '; for the mean over N rows write reduction="sum" and divide by N',
    "elementwise_mean": '; write reduction="mean"',
}


def missing(owner: Any, name: str, habits: dict[str, str]) -> AttributeError:
    """The error for an attribute that does not exist, with what to write if it is a known habit."""
    kind = type(owner).__name__
    message = f"{kind!r} object has no attribute {name!r}"
    if name in habits:
        message = f"{kind} has no {name}(): {habits[name]}"
    return AttributeError(message, name=name, obj=owner)


def missing_of_a_tensor(tensor: Any, name: str) -> AttributeError:
    """The same for a tensor, whose methods PyTorch has many of: every operation is one."""
    habits = dict(OF_A_TENSOR)
    if name in vars(operators):
        habits[name] = f"write foundation_nn.functional.{name}(x, ...)"
    elif name.endswith("_") and not name.startswith("_"):
        habits.setdefault(name, f"{_IN_PLACE}write x = x + 1 and the like, or x.data = value")
    return missing(tensor, name, OF_FUNCTIONS | habits)


def missing_function(module: str, name: str) -> AttributeError:
    """The error for a function that a module does not have."""
    message = f"module {module!r} has no attribute {name!r}"
    if name in OF_FUNCTIONS:
        message = f"{module} has no {name}(): {OF_FUNCTIONS[name]}"
    return AttributeError(message, name=name)


def explain_keywords(
    error: TypeError, function: Callable[..., Any], name: str, keywords: Iterable[str]
) -> None:
    """If one of the keywords is none of the function, say in its error what to write instead.

    Parameters
    ----------
    error : TypeError
        What a call of the function has raised.
    function : callable
    name : str
        What the caller knows it by.
    keywords : iterable of str
        Those it was called with.
    """
    known = inspect.signature(function).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return
    for keyword in keywords:
        if keyword in known:
            continue
        sentence = KEYWORDS.get(f"{name}.{keyword}", KEYWORDS.get(keyword))
        if sentence is None:
            names = [other for other in known if other != "self"]
            error.args = (f"{name} has no {keyword}={did_you_mean(keyword, names)}",)
        else:
            error.args = (f"{name} has no {keyword}=: {sentence}",)
        return


def explains_keywords(function: C) -> C:
    """Have a function or a class say what to write instead of a keyword argument it does not have.

    A decorator. Of a class, its constructor is meant.

    Examples
    --------
    >>> from foundation_nn import explains_keywords
    >>> @explains_keywords
    ... def total(x, axis=None):
    ...     return x.sum(axis)
    >>> try:
    ...     total([1.0], dim=0)
    ... except TypeError as error:
    ...     print(error)
    total has no dim=: an axis is named as in NumPy, write axis=
    """
    if isinstance(function, type):
        function.__init__ = explains_keywords(function.__init__)  # type: ignore[misc]
        return function
    name = function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if kwargs:
                owner = type(args[0]).__name__ if name == "__init__" else name
                explain_keywords(error, function, owner, kwargs)
            raise

    return cast(C, call)


class Count(int):
    """A number that can also be called, to say that it is one: ``x.size(0)``.

    Examples
    --------
    >>> from foundation_nn import Tensor
    >>> Tensor([[1.0, 2.0]]).size
    2
    """

    __slots__ = ()

    def __call__(self, *_: Any) -> Any:
        raise TypeError(
            "Tensor has no size(): size is the number of elements, as in NumPy; write x.shape, or "
            "x.shape[0] for the length of an axis"
        )
