"""A model for the lm-eval harness, which has the tasks that others report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, Protocol

from foundation_seq import generate

from foundation_transformer._causal_lm import CausalLM
from foundation_transformer._known_tokens import KnownTokens
from foundation_transformer.evaluation._language_model import score_text
from foundation_transformer.evaluation._log_likelihood import encode_after, log_likelihoods
from foundation_transformer.evaluation._questions import EvaluationTokenizer


class HarnessRequest(Protocol):
    """What the harness asks, ``lm_eval.api.instance.Instance``."""

    @property
    def args(self) -> tuple[Any, ...]: ...


class HarnessModel:
    """What the lm-eval harness [1]_ asks of a model, without depending on it.

    A class of one's own adds the harness's base class::

        from lm_eval import simple_evaluate
        from lm_eval.api.model import LM

        class Harness(HarnessModel, LM):
            pass

        simple_evaluate(Harness(model, tokenizer), tasks=["arc_easy"])

    Chat templates of the harness (``apply_chat_template=True``) are not supported.

    Parameters
    ----------
    model : CausalLM
    tokenizer : EvaluationTokenizer
        The model's. What its ``frame`` puts before every text is put before every request.
    prefix_id : int, optional
        The token before a text with nothing else before it, if the frame has none; the end of a
        text, usually.
    stop_ids : collection of int
        Tokens that end a text.

    References
    ----------
    .. [1] L. Gao et al., "A framework for few-shot language model evaluation", 2021,
       https://github.com/EleutherAI/lm-evaluation-harness.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from foundation_data import CharTokenizer
    >>> from foundation_transformer import CausalLM, TransformerConfig
    >>> from foundation_transformer.evaluation import HarnessModel
    >>> tokenizer = CharTokenizer.train(["Grass is green."])
    >>> V = len(tokenizer)
    >>> config = TransformerConfig.gpt2(vocab_size=V, d_model=8, num_heads=2, num_layers=1)
    >>> harness = HarnessModel(CausalLM(config, rng=np.random.default_rng(0)), tokenizer)
    >>> request = SimpleNamespace(args=("Grass is", " green"))
    >>> [(log_p, is_greedy)] = harness.loglikelihood([request])
    >>> log_p < 0
    True
    """

    def __init__(
        self,
        model: CausalLM,
        tokenizer: EvaluationTokenizer,
        *,
        prefix_id: int | None = None,
        stop_ids: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.stop_ids = stop_ids
        self._before = list(tokenizer.frame.before)
        self._prefix = self._before or ([] if prefix_id is None else [prefix_id])

    def loglikelihood(self, requests: Iterable[HarnessRequest]) -> list[tuple[float, bool]]:
        """log p of each (context, continuation), and whether greedy decoding would write it.

        Requests in a row with the same context, as those of multiple choice are, read it once.
        What is longer than the model's positions is cut at its beginning, as the harness does.

        Raises
        ------
        ValueError
            If a context is empty and there is no token to begin with.
        """
        answers: list[tuple[float, bool]] = []
        for context, group in groupby((each.args for each in requests), key=lambda args: args[0]):
            pairs = [self._encoded(context, continuation) for _, continuation in group]
            longest = max(len(after) for _, after in pairs)
            prompt = self._room_for(pairs[0][0], longest)
            found = log_likelihoods(self.model, prompt, [after for _, after in pairs])
            answers += [(each.total, each.is_greedy) for each in found]
        return answers

    def loglikelihood_rolling(self, requests: Iterable[HarnessRequest]) -> list[float]:
        """log p of each text, of any length, read in windows: see :func:`score_text`."""
        found = []
        for each in requests:
            (text,) = each.args
            scores = score_text(self.model, self.tokenizer.encode(text), self._require_prefix())
            found.append(-scores.loss * scores.num_tokens)
        return found

    def generate_until(self, requests: Iterable[HarnessRequest]) -> list[str]:
        """The text that greedy decoding writes after each context, up to what stops it.

        Raises
        ------
        ValueError
            If a request wants text to be drawn, instead of the likeliest.
        """
        return [self._write(*each.args) for each in requests]

    def _write(self, context: str, options: dict[str, Any]) -> str:
        if options.get("do_sample") and options.get("temperature", 1.0) > 0:
            raise ValueError(
                "HarnessModel: a task wants text to be drawn at random (do_sample); only the "
                "likeliest text is written here: set do_sample to false"
            )
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else list(until)
        tokens = int(options.get("max_gen_toks", 256))
        ids = self._room_for(self._before + list(self.tokenizer.encode(context)), tokens)
        (new,) = generate(
            KnownTokens(self.model, len(self.tokenizer)),
            [ids],
            tokens,
            stop_ids=self.stop_ids,
            stop_strings=stops,
            decode=self.tokenizer.decode,
        )
        text = self.tokenizer.decode(ids + new)[len(self.tokenizer.decode(ids)) :]
        for stop in stops:
            text = text.partition(stop)[0]
        return text

    def _encoded(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        if not context:
            return self._require_prefix(), list(self.tokenizer.encode(continuation))
        before, after = encode_after(self.tokenizer.encode, context, continuation)
        return self._before + before, after

    def _require_prefix(self) -> list[int]:
        if not self._prefix:
            raise ValueError(
                "HarnessModel: a text has nothing before it, and the tokenizer puts nothing there; "
                "give prefix_id, such as the id of the end of a text"
            )
        return self._prefix

    def _room_for(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """The end of a prompt that leaves room for so many tokens."""
        config = self.model.config
        if not config.has_length_limit:
            return list(prompt)
        room = config.max_len - tokens
        if room < 1:
            raise ValueError(
                f"HarnessModel: {tokens} tokens leave no room for what stands before them; the "
                f"model reads {config.max_len}"
            )
        return list(prompt)[-room:]
