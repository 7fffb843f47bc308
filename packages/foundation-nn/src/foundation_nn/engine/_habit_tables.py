"""What hands that know other libraries reach for, and what is written here instead.

A name in these tables is no attribute, no argument and no function of ours. Whoever uses it is told
in one sentence what to write; :mod:`foundation_nn.engine._habits` tells it. All such sentences of
this package stand here and nowhere else.
"""

from __future__ import annotations

_ONE_DEVICE = "everything is computed on the CPU, so there is nothing to move: leave it out"
IN_PLACE = "nothing is changed in place, as a backward may need the old numbers: "
#: What PyTorch does in place only, such as ``zero_``, or by another name.
IN_PLACE_ALONE = (
    *("bernoulli", "copy", "div", "fill", "fill_diagonal", "index_add", "index_copy"),
    *("neg", "normal", "resize", "scatter", "scatter_add", "uniform", "zero"),
)
_NO_HOOKS = (
    "to look inside write foundation_nn.trace(...), or call what you want where it is needed"
)
_WEIGHTS = "write with foundation_attn.capture_attention() as seen: around the call"
_REAL = "True means here that a position is real"
_MAY_SEE = (
    "boolean of shape (B, T, S), in which True means that a query may attend to a key (in a layer "
    "of PyTorch it means the opposite)"
)
_CLIPPING = "write clip_grad_norm(optimizer, ...) before step(), or Trainer(clip_norm=...)"
_ONE_WALK = "all parameters lie in one buffer that is walked once, leave it out"

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
    "retain_grad": "only leaves keep a gradient; make one: y = Tensor(y.data, requires_grad=True)",
    "register_hook": _NO_HOOKS,
    "grad_fn": "write foundation_nn.draw_graph(...) to see how a tensor was computed",
    "is_leaf": "a tensor that you made is a leaf, and the result of an operation is not",
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
    "lt": "write x < y",
    "le": "write x <= y",
    "gt": "write x > y",
    "ge": "write x >= y",
    "ne": "write x != y",
    "values": "max(axis) gives the values alone, and argmax(axis) their places: leave it out",
    "indices": "write x.argmax(axis) or x.argsort(axis)",
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

#: Attributes of an optimiser.
OF_AN_OPTIMIZER = {
    "param_groups": "write optimizer.lr = ... for the rate of all, or see optimizer.groups",
    "add_param_group": "pass all groups at first, and freeze what is not to be trained yet",
    "defaults": "the arguments are attributes, such as optimizer.lr",
    "register_step_post_hook": "write a Callback with on_step, or call it after step()",
}

#: Attributes of a trainer.
OF_A_TRAINER = {
    "train": "write trainer.fit(batches, max_epochs=...)",
    "evaluate": "write foundation_nn.training.evaluate(model, loss, batches)",
    "validate": "write foundation_nn.training.evaluate(model, loss, batches)",
    "test": "write foundation_nn.training.evaluate(model, loss, batches)",
    "predict": "write model(x), within foundation_nn.no_grad()",
    "compile": "pass loss and optimizer to Trainer(model, loss, optimizer)",
    "save_model": "write trainer.save(path), or model.save_weights(path) for the weights alone",
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
    "l1": "write l1_loss(x, target)",
    "huber": "write huber_loss(x, target)",
    "mse": "write mse_loss(x, target)",
    "bce_loss": "write binary_cross_entropy_with_logits(x, target), without a sigmoid",
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
    "from_numpy": "write foundation_nn.Tensor.wrap(array), which shares the memory",
    "manual_seed": "pass rng=np.random.default_rng(seed) to whatever draws numbers",
}

#: Names that are looked for in ``foundation_nn`` itself.
OF_THE_PACKAGE = {
    "nn": "layers are in foundation_nn itself, such as foundation_nn.Linear",
    "save": "write foundation_nn.checkpoint.save(path, model), or model.save_weights(path)",
    "load": "write foundation_nn.checkpoint.load(path), or model.load_weights(path)",
    "seed": "pass rng=np.random.default_rng(seed) to whatever draws numbers",
    "device": _ONE_DEVICE,
    "inference_mode": "write foundation_nn.no_grad()",
    "DataLoader": "write foundation_nn.training.batches(X, y, batch_size=32, rng=rng)",
    "Trainer": "write foundation_nn.training.Trainer",
    "batches": "write foundation_nn.training.batches",
    "plotting": "write import foundation_nn.plotting, which needs matplotlib",
    "CrossEntropyLoss": "write foundation_nn.functional.cross_entropy(logits, targets)",
    "MSELoss": "write foundation_nn.functional.mse_loss(x, target)",
    "L1Loss": "write foundation_nn.functional.l1_loss(x, target)",
    "Softmax": "write foundation_nn.functional.softmax(x)",
    "Flatten": "write x.reshape(len(x), -1)",
    "LSTM": "write foundation_seq.LSTM",
    "GRU": "write foundation_seq.GRU",
    "RNN": "write foundation_seq.RNN",
    "MultiheadAttention": "write foundation_attn.MultiHeadAttention",
    "Transformer": "write foundation_transformer.Transformer",
}

_A_SCHEDULE = "schedules are in foundation_nn.schedules, such as schedules.cosine(lr, steps)"
_NOT_HERE = "it is not here: write AdamW(model), or an optimiser of your own"

#: Names that are looked for in ``foundation_nn.optim``.
OF_OPTIM = {
    "lr_scheduler": _A_SCHEDULE,
    "clip_grad_norm_": "write clip_grad_norm(optimizer, max_norm)",
    "clip_grad_value_": "write clip_grad_norm(optimizer, max_norm)",
    "Adadelta": _NOT_HERE,
    "Adamax": _NOT_HERE,
    "NAdam": _NOT_HERE,
    "RAdam": _NOT_HERE,
    "LBFGS": _NOT_HERE,
    "swa_utils": "write EMA(optimizer), an average of the parameters",
}

_DRAWN = "write layer.weight.data = init.{}(rng, layer.weight.shape)"

#: Names that are looked for in ``foundation_nn.init``.
OF_INIT = {
    "xavier_uniform_": _DRAWN.format("xavier_uniform"),
    "xavier_normal_": _DRAWN.format("xavier_normal"),
    "kaiming_uniform_": _DRAWN.format("he_uniform"),
    "kaiming_normal_": _DRAWN.format("he_normal"),
    "kaiming_uniform": "write he_uniform(rng, shape), after its first author",
    "kaiming_normal": "write he_normal(rng, shape), after its first author",
    "orthogonal_": _DRAWN.format("orthogonal"),
    "normal_": "write layer.weight.data = init.normal(rng, layer.weight.shape, std)",
    "uniform_": "write layer.weight.data = init.uniform(rng, layer.weight.shape, bound)",
    "zeros_": "write layer.bias.data = init.zeros(layer.bias.shape)",
    "ones_": "write layer.weight.data = init.ones(layer.weight.shape)",
    "constant_": "write layer.bias.data = np.full(layer.bias.shape, value)",
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
    "inplace": f"{IN_PLACE}leave it out",
    "training": "dropout happens within foundation_nn.train_mode(rng): leave it out",
    "device": _ONE_DEVICE,
    "dtype": "numbers are float32 unless .astype(dtype) says otherwise",
    "out": f"{IN_PLACE}write out = ...",
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
    "summary.input_size": "pass an input, such as summary(model, x), of the shape it will have",
    "tgt": "pass it without a name",
}

#: Keywords of what trains: the trainer, its batches, callbacks and schedules.
TRAINING_KEYWORDS = {
    "shuffle": "write rng=np.random.default_rng(seed), which shuffles; without it nothing is",
    "batches.seed": "write rng=np.random.default_rng(seed)",
    "num_workers": "arrays lie in memory already: leave it out",
    "collate_fn": "a data set of your own is any object with __iter__ that yields batches",
    "T_max": "write steps=",
    "eta_min": "write final=",
    "step_size": "write every=",
    "num_warmup_steps": "write warmup=",
    "warmup_steps": "write warmup=",
    "num_training_steps": "write steps=",
    "total_steps": "write steps=",
    "max_lr": "write lr=",
    "optimizer": "a schedule is a function of the step: pass it to Trainer(schedule=...), or set "
    "optimizer.lr = schedule(step)",
    "monitor": 'write metric=, "loss" or the name of one of the trainer\'s metrics',
    "mode": "write maximize=True where more is better",
    "restore_best_weights": "write Checkpoints(folder), which keeps the best model in a file",
    "save_best_only": "leave it out: the best model is kept beside the last ones",
    "save_top_k": "write keep=, how many of the last ones to keep; the best is kept in any case",
    "period": "write every=",
    "save_freq": "write every=",
    "dirpath": "write folder=",
    "filepath": "write folder=",
    "epochs": "write max_epochs=",
    "validation_data": "write validation=",
    "val_data": "write validation=",
    "fit.batch_size": "write fit(batches(X, y, batch_size=32), ...), with training.batches",
    "fit.callbacks": "write Trainer(model, loss, optimizer, callbacks=[...])",
    "Trainer.epochs": "write trainer.fit(batches, max_epochs=...)",
    "Trainer.max_epochs": "write trainer.fit(batches, max_epochs=...)",
    "Trainer.max_steps": "write trainer.fit(batches, max_steps=...)",
    "Trainer.batch_size": "write trainer.fit(batches(X, y, batch_size=32), ...)",
    "Trainer.scheduler": "write schedule=, a function from the step to the learning rate",
    "Trainer.max_grad_norm": "write clip_norm=",
    "Trainer.gradient_clip_val": "write clip_norm=",
    "Trainer.accumulate_grad_batches": "write accumulate=",
}

#: Keywords of optimisers.
OPTIMIZER_KEYWORDS = {
    "params": "pass the model or its parameters first, without a name",
    "set_to_none": "gradients are always forgotten, not set to zero: leave it out",
    "closure": "compute the loss and call its backward() before step()",
    "learning_rate": "write lr=...",
    "rate": "write lr=...",
    "beta1": "write betas=(beta1, beta2)",
    "beta2": "write betas=(beta1, beta2)",
    "rho": "write alpha=... of RMSprop, or betas=(beta1, beta2) of the others",
    "weight_decay": "a decay would be divided by √v: write AdamW(..., weight_decay=...)",
    "decoupled_weight_decay": "AdamW, Lion, Muon and Adafactor decouple it, the others do not",
    "momentum": "write SGD(momentum=...), or the first of betas=(...) of AdamW",
    "dampening": "the velocity takes the whole gradient, leave it out",
    "nesterov": "momentum is the classical one; of the optimisers here, Muon has Nesterov's",
    "amsgrad": "v̂ is that of Adam, not its maximum: leave it out, or lower the rate by a schedule",
    "centered": "v is the mean of g² alone, leave it out",
    "lr_decay": "write a schedule, such as schedules.linear(lr, steps)",
    "initial_accumulator_value": "the sum of squares begins at 0; a larger eps does the same",
    "maximize": "negate the loss: (-loss).backward()",
    "clip_norm": _CLIPPING,
    "max_grad_norm": _CLIPPING,
    "clipnorm": _CLIPPING,
    "foreach": _ONE_WALK,
    "fused": _ONE_WALK,
    "capturable": _ONE_WALK,
    "differentiable": "gradients are of first order, leave it out",
    "ns_coefficients": "they are those of the paper, leave them out",
    "adjust_lr_fn": 'write scale="original" or scale="match_rms_adamw"',
}

#: Values of ``reduction``.
REDUCTIONS = {
    "batchmean": '; for the mean over N rows write reduction="sum" and divide by N',
    "elementwise_mean": '; write reduction="mean"',
}

#: What is said when a function is given more arguments without a name than it takes.
WITHOUT_A_NAME = {
    "fit": "name the limit, fit(batches, max_epochs=10); of arrays write "
    "fit(batches(X, y, batch_size=32), max_epochs=10), with foundation_nn.training.batches",
    "zero_grad": "gradients are forgotten, not set to zero: write optimizer.zero_grad()",
    "step": "compute the loss and call its backward() before, then write optimizer.step()",
}
