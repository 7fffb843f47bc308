"""Chapter 12: how good a model is."""

from __future__ import annotations

import numpy as np
from checker.steps import Steps
from checker.work import Work
from foundation_data import CharTokenizer
from foundation_transformer import CausalLM, TransformerConfig
from foundation_transformer.evaluation import (
    ChoiceQuestion,
    Rate,
    log_likelihoods,
    normalise_answer,
    score_choices,
    score_text,
)


def small_model(vocab_size: int) -> CausalLM:
    """A language model that nobody has trained."""
    config = TransformerConfig.gpt2(vocab_size=vocab_size, d_model=8, num_heads=2, num_layers=1)
    return CausalLM(config, rng=np.random.default_rng(0))


def choices(work: Work, step: Steps) -> None:
    logits = np.log([[1.0, 1.0, 2.0], [3.0, 2.0, 3.0], [2.0, 5.0, 1.0], [1.0, 1.0, 8.0]])
    ids = np.array([0, 1, 2, 1])  # a question of two tokens, and the answer 2 1
    step.same(
        "a question of two tokens and the answer 2 1, with the probabilities 3/8 and 5/8",
        work.log_likelihood(logits, ids, 2),
        np.log(3 / 8 * 5 / 8),
        "Row 1 foretells the token at place 2, and row 2 that at place 3.",
        {
            "These are the rows at the tokens themselves. What a row says is about the token "
            "behind it: log_p[places - 1].": np.log(1 / 8 * 1 / 10),
            "This is the product of the probabilities. Take the sum of their logarithms.": (
                3 / 8 * 5 / 8
            ),
            "The question was counted, too. Begin with its end, at start.": np.log(
                1 / 4 * 3 / 8 * 5 / 8
            ),
            "These are the logits. Take log_softmax first.": np.log(15.0),
            "The sign is the other way round. A log-likelihood is never above 0.": -np.log(
                3 / 8 * 5 / 8
            ),
            "This is the mean over the tokens. Take the sum.": np.log(3 / 8 * 5 / 8) / 2,
            "The last token of the answer is missing.": np.log(3 / 8),
            "The first token of the answer is missing. It is foretold at the last place of the "
            "question.": np.log(5 / 8),
        },
    )
    model = small_model(11)
    question, answers = [3, 1, 4], [[1, 5, 9], [2]]
    found = log_likelihoods(model, question, answers)
    own = []
    for answer in answers:
        text = np.array(question + answer)
        own.append(work.log_likelihood(model(text[None]).data[0].astype(float), text, 3))
    step.same(
        "two answers, as foundation_transformer.evaluation.log_likelihoods",
        own,
        [each.total for each in found],
        "log softmax of the rows, each at the token that comes after it.",
        tolerance=1e-4,
    )
    step.same(
        "two answers: the shorter one has the larger sum",
        [work.credit([-3.0, -4.0], [1, 1], right) for right in (0, 1)],
        [1.0, 0.0],
        "-3 is more than -4.",
        {"The smallest score was taken. The likeliest answer has the largest.": [0.0, 1.0]},
    )
    step.same(
        "the same two with the sizes 1 and 2: -3 and -2 for each token",
        [work.credit([-3.0, -4.0], [1, 2], right) for right in (0, 1)],
        [0.0, 1.0],
        "Divide each total by its size.",
        {
            "The sizes have no influence. Divide by them.": [1.0, 0.0],
        },
    )
    step.same(
        "three answers of which two are best",
        [work.credit([-2.0, -1.0, -1.0], [1, 1, 1], right) for right in (0, 1, 2)],
        [0.0, 0.5, 0.5],
        "Each of k best ones counts 1 / k.",
        {
            "The first of the best was taken. Then the order of the answers would decide: each of "
            "k best ones counts 1 / k.": [0.0, 1.0, 0.0],
            "Both best ones count fully, so a model that finds all answers alike would always be "
            "right. Each counts 1 / k.": [0.0, 1.0, 1.0],
        },
    )
    tokenizer = CharTokenizer.train(["ice is cold, fire is hot, night is dark"])
    questions = [
        ChoiceQuestion("ice is", ("cold", "hot", "dark"), 0),
        ChoiceQuestion("fire is", ("cold", "hot"), 1),
        ChoiceQuestion("night is", ("ice", "dark"), 1),
    ]
    scores = score_choices(small_model(len(tokenizer)), tokenizer, questions)
    credits = []
    for each, read in zip(questions, scores.choices, strict=True):
        sizes = [len(choice.encode()) for choice in each.choices]
        credits.append(work.credit([choice.total for choice in read], sizes, each.answer))
    step.same(
        "three questions by the byte, as foundation_transformer.evaluation.score_choices",
        np.mean(credits),
        scores.accuracy_per_byte.value,
        "The size of an answer is its number of bytes here.",
    )


def how_sure(work: Work, step: Steps) -> None:
    credits = np.array([1.0, 0.0, 1.0, 1.0])
    step.same(
        "the standard error of the credits 1, 0, 1 and 1",
        work.standard_error(credits),
        1 / 4,
        "The mean is 3/4, s² = (3 · 1/16 + 9/16) / 3 = 1/4, and s / √4 = 1/4.",
        {
            "The squares were divided by n. The mean was estimated from the same credits, so "
            "divide by n - 1.": np.sqrt(3 / 16) / 2,
            "This is the standard deviation of a single credit. Divide it by √n.": 1 / 2,
            "s was divided by n. Divide it by √n.": 1 / 8,
            "This is the square of it. Take the root.": 1 / 16,
        },
    )
    rng = np.random.default_rng(0)
    many = (rng.random(100) < 0.7).astype(float)
    step.same(
        "a hundred credits, as foundation_transformer.evaluation.Rate",
        work.standard_error(many),
        Rate.of(many.tolist()).standard_error,
        "s / √n, with n - 1 in s.",
    )
    z2 = 1.96**2
    step.same(
        "Wilson's interval if all ten answers are right",
        work.wilson(10, 10),
        (10 / (10 + z2), 1.0),
        "p = 1: the middle is (1 + z²/20) / (1 + z²/10), and the half z √(z²/400) / (1 + z²/10).",
        {
            "The interval has no width: z² / 4n² below the root is missing.": (
                (1 + z2 / 20) / (1 + z2 / 10),
                (1 + z2 / 20) / (1 + z2 / 10),
            ),
            "This is p ± z √(p (1 - p) / n), which is sure of itself after ten right answers.": (
                1.0,
                1.0,
            ),
            "Both ends have to be divided by 1 + z² / n.": (1.0, 1 + z2 / 10),
            "The upper end came first.": (1.0, 10 / (10 + z2)),
        },
    )
    step.same(
        "8 of 10",
        work.wilson(8, 10),
        (0.4901568, 0.9433192),
        "Far from certain: between 49 % and 94 %.",
        {
            "The half width lacks the factor z.": (0.6011295, 0.8323465),
            "The half width is not divided by 1 + z² / n.": (0.4030999, 1.0303762),
        },
        tolerance=1e-5,
    )
    rows = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 3], [1, 1, 2, 3], [3, 2, 2, 0]])
    step.same(
        "five drawings of the credits 1, 0, 1 and 1",
        work.bootstrap(credits, rows),
        (0.05, 1.0),
        "Their means are 1, 0, 3/4, 1/2 and 1; 2.5 % lie below 0.05.",
        {
            "These are quantiles of the credits. Take the mean of each drawing first: axis=1.": (
                0.075,
                1.0,
            ),
            "The means go over the drawings. Each drawing, a row, has one mean: axis=1.": tuple(
                np.quantile(credits[rows].mean(axis=0), [0.025, 0.975]).tolist()
            ),
            "5 % of the means are left out at each end. Leave 2.5 %.": (0.1, 1.0),
            "These are the smallest and the largest number of the rows.": (0.0, 3.0),
        },
    )
    rows = rng.integers(100, size=(2000, 100))
    low, high = work.bootstrap(many, rows)
    error = work.standard_error(many)
    step.holds(
        "a hundred questions: the bootstrap agrees with 1.96 standard errors to a hundredth",
        abs(low - (many.mean() - 1.96 * error)) < 0.01
        and abs(high - (many.mean() + 1.96 * error)) < 0.01,
        "The lower and the upper end of what 95 % of the drawings give.",
    )


def bleu(work: Work, step: Steps) -> None:
    reference = ["the", "cat", "sat", "on", "the", "mat"]
    step.same(
        "the words of `the the the the` that are in `the cat sat on the mat`",
        work.precision(["the"] * 4, reference, 1),
        2 / 4,
        "The reference has two of them.",
        {
            "Each word was counted as often as it is in the translation. More than the reference "
            "has do not count: min(...).": 1.0,
            "Each different word was counted once. What the reference has twice may match twice.": (
                1 / 4
            ),
            "The matches were divided by the words of the reference. Divide by those of the "
            "translation.": 2 / 6,
            "The matches were divided by the number of different words. Divide by all of them.": (
                2.0
            ),
        },
    )
    translation = ["the", "cat", "sat", "on", "a", "mat"]
    step.same(
        "`the cat sat on a mat`: precisions of one to four words",
        [work.precision(translation, reference, n) for n in (1, 2, 3, 4)],
        [5 / 6, 3 / 5, 2 / 4, 1 / 3],
        "Six words have five pairs, four triples and three pieces of four.",
        {
            "The matches were divided by the number of words. Divide by the number of n-grams.": [
                5 / 6,
                3 / 6,
                2 / 6,
                1 / 6,
            ],
        },
    )
    step.same(
        "a translation of two words has no piece of three",
        work.precision(["the", "cat"], reference, 3),
        0.0,
        "No n-gram, so 0 matches: give 0 back instead of dividing by 0.",
    )
    step.same(
        "translations of 6, 7 and 3 words, where the reference has 6",
        [work.brevity(6, 6), work.brevity(7, 6), work.brevity(3, 6)],
        [1.0, 1.0, np.exp(-1.0)],
        "exp(1 - 6 / 3).",
        {
            "A translation that is longer than the reference gains something. It should not: 1.": [
                1.0,
                np.exp(1 - 6 / 7),
                np.exp(-1.0),
            ],
            "c and r have changed places: exp(1 - r / c) for c < r.": [1.0, 1.0, np.exp(0.5)],
            "The long translation was punished and not the short one.": [
                1.0,
                np.exp(1 - 6 / 7),
                1.0,
            ],
        },
    )
    product = 5 / 6 * 3 / 5 * 2 / 4 * 1 / 3
    step.same(
        "BLEU of `the cat sat on a mat`, as long as its reference",
        work.bleu(translation, reference),
        100 * product**0.25,
        "100 · (5/6 · 3/5 · 2/4 · 1/3)^(1/4).",
        {
            "BLEU is from 0 to 100.": product**0.25,
            "This is the mean of the precisions. Take the mean of their logarithms, and exp.": (
                100 * (5 / 6 + 3 / 5 + 2 / 4 + 1 / 3) / 4
            ),
            "This is the product of the precisions. Take its fourth root.": 100 * product,
        },
    )
    step.same(
        "`the cat sat on`: all that it has is right, and a third is missing",
        work.bleu(reference[:4], reference),
        100 * np.exp(-0.5),
        "All precisions are 1, and exp(1 - 6/4) = 0.61.",
        {
            "The brevity is missing, so whoever writes little is always right.": 100.0,
        },
    )
    step.same(
        "no piece of four words in common",
        work.bleu(["the", "cat", "sat", "under", "the", "mat"], reference),
        0.0,
        "log 0 is minus infinity, so BLEU is 0.",
        {
            "Precisions of 0 were left out. One of them makes BLEU 0.": (
                100 * (5 / 6 * 3 / 5 * 1 / 4) ** (1 / 3)
            ),
        },
    )
    step.same(
        "two sentences of 13 words each, and the first of them cut, as sacrebleu scores them",
        [work.bleu(GIVEN.split(), WANTED.split()), work.bleu(GIVEN.split()[:10], WANTED.split())],
        SACREBLEU,
        "All parts together.",
    )


GIVEN = "he gave me the book which his brother had left on the table"
WANTED = "he gave me the book that his brother left on the old table"
#: BLEU(smooth_method="none", tokenize="none").sentence_score of sacrebleu 2.6.
SACREBLEU = [43.52771377941511, 34.6064325473461]


def exact_match(work: Work, step: Steps) -> None:
    step.same(
        "` Paris. ` and `paris`",
        [work.normalise(" Paris. "), work.normalise("paris")],
        ["paris", "paris"],
        "Small letters, and neither white space nor punctuation at the ends.",
        {
            "Capital letters are still there: .casefold().": ["Paris", "paris"],
            "The full stop is still there.": ["paris.", "paris"],
            "White space is left at the end. Take off both kinds until neither is there.": [
                "paris. ",
                "paris",
            ],
        },
    )
    step.same(
        "white space within: two spaces, a tab and the end of a line",
        work.normalise("The  Eiffel\tTower\nof Paris"),
        "the eiffel tower of paris",
        "However much white space it is, it becomes one space.",
        {
            "White space was taken out. Words stay apart: one space.": "theeiffeltowerofparis",
            "The two spaces are still two: ' '.join(text.split()).": (
                "the  eiffel\ttower\nof paris"
            ),
        },
    )
    step.same(
        "punctuation within: 3.5, and half-past",
        [work.normalise("3.5"), work.normalise("«half-past»!")],
        ["3.5", "half-past"],
        "Only the ends are cleaned, of every kind of punctuation.",
        {
            "Punctuation was taken out everywhere. 3.5 is not 35.": ["35", "halfpast"],
            "«» are punctuation, too: ask for the category of a character.": [
                "3.5",
                "«half-past»",
            ],
        },
    )
    step.same(
        "`Straße`, and a 2 that stands high",
        [work.normalise("Straße"), work.normalise("x²")],
        ["strasse", "x2"],
        "casefold makes ss of ß, and NFKC makes 2 of ².",
        {
            "lower() leaves ß as it is. casefold() makes ss of it.": ["straße", "x2"],
            "² is still high: unicodedata.normalize('NFKC', text).": ["strasse", "x²"],
        },
    )
    step.same(
        "nothing but punctuation",
        work.normalise(" ... "),
        "",
        "Then nothing is left.",
    )
    texts = ["  The  Eiffel\tTower. ", "«Déjà vu!»", "Ａ１", "¿Qué?", "ﬁve", "(a) b (c)", "- -"]
    step.same(
        "seven texts, as foundation_transformer.evaluation.normalise_answer",
        [work.normalise(text) for text in texts],
        [normalise_answer(text) for text in texts],
        "The four steps in their order.",
    )
    step.same(
        "four questions, of which three are answered",
        work.exact_match(
            ["Rome.", "2", "three", "blue"], [["Rome"], ["two", "2"], ["3", "three"], ["green"]]
        ),
        3 / 4,
        "`Rome.`, `2` and `three` are right, `blue` is not.",
        {
            "Only the first of the right answers was looked at. Each of them is right.": 1 / 4,
            "The texts were compared as they are. Normalise both.": 2 / 4,
            "This is how many. The exact match is the share.": 3.0,
        },
    )
    step.same(
        "a right answer that has capital letters and a full stop itself",
        work.exact_match(["u.s.a"], [["U.S.A."]]),
        1.0,
        "Normalise what is right, too.",
    )
    step.same(
        "`Paris is the capital`, where `Paris` is right",
        work.exact_match(["Paris is the capital"], [["Paris"]]),
        0.0,
        "The texts have to be equal.",
        {"It is not enough that the right answer stands somewhere in the text.": 1.0},
    )


def bits_per_byte(work: Work, step: Steps) -> None:
    letters = np.log(np.full(4, 1 / 2))
    words = np.log(np.array([1 / 16]))
    step.same(
        "the text `abcd`: four letters with 1/2 each, or one word with 1/16",
        [work.perplexity(letters), work.perplexity(words)],
        [2.0, 16.0],
        "exp of the mean of log 2, and exp of log 16.",
        {
            "The sign is missing: exp of minus the mean.": [1 / 2, 1 / 16],
            "This is the loss. The perplexity is its exponential.": [np.log(2), np.log(16)],
            "This is exp of the sum. Take the mean over the tokens.": [16.0, 16.0],
        },
    )
    step.same(
        "bits per byte of both",
        [work.bits_per_byte(letters, "abcd"), work.bits_per_byte(words, "abcd")],
        [1.0, 1.0],
        "Both give the text the probability 1/16, which is 4 bits, and it has 4 bytes.",
        {
            "These are nats. Divide by log 2 to have bits.": [np.log(2), np.log(2)],
            "This is the mean over the tokens. Take the sum, and divide it by the bytes.": [
                1 / 4,
                1.0,
            ],
            "These are the bits of a token. Divide by the bytes of the text.": [1.0, 4.0],
            "These are the bits of the whole text. Divide by its bytes.": [4.0, 4.0],
            "The sign is missing: information is not negative.": [-1.0, -1.0],
        },
    )
    step.same(
        "`né`, which is two letters and three bytes",
        work.bits_per_byte(np.log(np.array([1 / 2, 1 / 4])), "né"),
        1.0,
        "1 + 2 bits for 3 bytes.",
        {
            "These are letters. Bytes are len(text.encode('utf-8')).": 3 / 2,
        },
    )
    step.same(
        "1 bit for a byte, `abcd` cut into 4 tokens, into 2 and into 1",
        [work.perplexity_with(1.0, "abcd", n) for n in (4, 2, 1)],
        [2.0, 4.0, 16.0],
        "4 bits for n tokens: 1, 2 and 4 bits each.",
        {
            "These are bits, and the power has to be one of 2.": [np.e, np.e**2, np.e**4],
            "These are the bits of a token. The perplexity is 2 to that power.": [1.0, 2.0, 4.0],
            "Bytes and tokens have changed places.": [2.0, 2**0.5, 2**0.25],
        },
    )
    text = "Ça va? 👍"
    rng = np.random.default_rng(0)
    model = small_model(7)
    ids = rng.integers(7, size=12).tolist()
    scores = score_text(model, ids, [0])
    log_p = np.full(12, -scores.loss)
    step.same(
        "a model of seven tokens, as foundation_transformer.evaluation.score_text",
        work.perplexity(log_p),
        scores.perplexity,
        "exp(loss).",
        tolerance=1e-5,
    )
    step.same(
        "back to where it came from: 12 tokens of a text with an emoji",
        work.perplexity_with(work.bits_per_byte(log_p, text), text, 12),
        scores.perplexity,
        "The bytes are divided by in one direction, and multiplied by in the other.",
        tolerance=1e-5,
    )
