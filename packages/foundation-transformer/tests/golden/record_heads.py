"""Record what heads and losses of others compute, as ``heads.npz``.

In an environment with PyTorch and transformers (recorded with 2.13.0 and 5.24, CPU)::

    python packages/foundation-transformer/tests/golden/record_heads.py          # record
    python packages/foundation-transformer/tests/golden/record_heads.py --check  # compare only

GPT-2 with a head that classifies and BERT with its head for hidden tokens, as the library
transformers has them, with their gradients; and the losses of preferences, distillation and
contrastive vectors, written with PyTorch's functions. All numbers are float64.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2ForSequenceClassification,
)

sys.path.append(str(Path(__file__).parents[3]))  # for what the recorders share
from golden_arrays import record_or_check

FILE = Path(__file__).with_name("heads.npz")
V, D, PAD = 17, 12, 0


def drawn(model, rng):
    """The same model in float64 with weights that say something."""
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.tensor(rng.standard_normal(p.shape) * 0.4))
    return model


def weights(model, prefix, name):
    tied = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
    for key, value in model.state_dict().items():
        if key not in tied and "position_ids" not in key:
            yield f"{name}/w/{key.removeprefix(prefix)}", value.numpy()


def classifier(rng):
    config = GPT2Config(
        vocab_size=V,
        n_positions=8,
        n_embd=D,
        n_layer=2,
        n_head=3,
        n_inner=19,
        num_labels=3,
        bos_token_id=None,
        eos_token_id=None,
    )
    config.pad_token_id = PAD
    model = drawn(GPT2ForSequenceClassification(config), rng)
    ids = torch.tensor([[3, 1, 4, 1, 5], [9, 2, PAD, PAD, PAD], [6, 5, 3, PAD, PAD]])
    labels = torch.tensor([2, 0, 1])
    logits = model(ids, attention_mask=(ids != PAD).long()).logits
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    yield from weights(model, "transformer.", "gpt2")
    yield "gpt2/ids", ids.numpy()
    yield "gpt2/labels", labels.numpy()
    yield "gpt2/logits", logits.detach().numpy()
    yield "gpt2/d_embedding", model.transformer.wte.weight.grad.numpy()


def masked(rng):
    config = BertConfig(
        vocab_size=V,
        hidden_size=D,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=19,
        max_position_embeddings=8,
        type_vocab_size=2,
    )
    model = drawn(BertForMaskedLM(config), rng)
    ids = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 7, PAD, PAD]])
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    labels = torch.tensor([[-100, 8, -100, 2, -100], [-100, -100, 6, -100, -100]])
    result = model(ids, attention_mask=real, labels=labels)
    result.loss.backward()
    yield from weights(model, "bert.", "bert")
    yield "bert/ids", ids.numpy()
    yield "bert/real", real.bool().numpy()
    yield "bert/labels", labels.numpy()
    yield "bert/logits", result.logits.detach().numpy()
    yield "bert/loss", result.loss.detach().numpy()
    yield "bert/d_embedding", model.bert.embeddings.word_embeddings.weight.grad.numpy()


def losses(rng):
    def leaf(*shape):
        return torch.tensor(rng.standard_normal(shape), requires_grad=True)

    chosen, rejected = leaf(5), leaf(5)
    known = torch.tensor(rng.standard_normal((2, 5)))
    loss = -F.logsigmoid(0.3 * ((chosen - known[0]) - (rejected - known[1]))).mean()
    loss.backward()
    yield "dpo/inputs", np.stack([*(x.detach() for x in (chosen, rejected)), *known])
    yield "dpo/loss", loss.detach().numpy()
    yield "dpo/gradients", np.stack([chosen.grad, rejected.grad])

    student, teacher, T = leaf(4, V), torch.tensor(rng.standard_normal((4, V))), 2.5
    log_q, log_p = (F.log_softmax(z / T, -1) for z in (student, teacher))
    loss = T**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    loss.backward()
    yield "distillation/logits", np.stack([student.detach(), teacher])
    yield "distillation/loss", loss.detach().numpy()
    yield "distillation/gradient", student.grad.numpy()

    queries, texts = leaf(4, D), leaf(4, D)
    scores = queries @ texts.T / 0.4
    own = torch.arange(4)
    loss = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
    loss.backward()
    yield "info_nce/inputs", np.stack([queries.detach(), texts.detach()])
    yield "info_nce/loss", loss.detach().numpy()
    yield "info_nce/gradients", np.stack([queries.grad, texts.grad])


def record():
    rng = np.random.default_rng(20)
    return dict(pair for part in (classifier, masked, losses) for pair in part(rng))


if __name__ == "__main__":
    record_or_check(record, FILE, __doc__, 1e-10)
