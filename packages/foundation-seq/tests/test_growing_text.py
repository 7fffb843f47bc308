"""Text that grows token by token beside the whole text decoded anew."""

from foundation_seq.generation._growing_text import GrowingText, StopStrings
from hypothesis import given
from hypothesis import strategies as st

#: Whole characters, parts of characters, a token without text, words that look at their neighbour.
TOKENS = [
    *(b"a", b" ", b"\n", b"ab", "é".encode(), "猫".encode(), b"", b"", b"\xc3", b"\xa9"),
    *(b"\xe7", b"\x8c", b"\xab", b"\x8c\xab", b"\xf0\x9f", b"\x91\x8d", b"\xab\xf0\x9f"),
]
IDS = st.lists(st.integers(0, len(TOKENS) - 1), max_size=60)


def of_bytes(ids):
    return b"".join(TOKENS[i] for i in ids).decode(errors="replace")


def of_words(ids):
    """Words with a space between them, but none before a sign and none at the ends."""
    words = ["one", "two", ",", "", "three", "."]
    text = ""
    for i in ids:
        word = words[i % len(words)]
        text += word if word in (",", ".", "") or not text else f" {word}"
    return text


@given(IDS, st.sampled_from([of_bytes, of_words]))
def test_the_text_is_that_of_all_tokens(ids, decode):
    growing = GrowingText(decode)
    for n, token in enumerate(ids, 1):
        growing.append(token)
        assert growing.text == decode(ids[:n])


@given(IDS, st.data())
def test_what_was_taken_and_what_is_left_are_the_text(ids, data):
    growing = GrowingText(of_bytes)
    taken = ""
    for token in ids:
        growing.append(token)
        certain = StopStrings([]).length_certain(growing.text)
        taken += growing.take(data.draw(st.integers(0, certain)))
    assert taken + growing.text == of_bytes(ids)


def test_few_tokens_are_decoded_with_each_new_one():
    lengths = []

    def decode(ids):
        lengths.append(len(ids))
        return of_bytes(ids)

    growing = GrowingText(decode)
    for _ in range(1000):
        growing.append(0)
    assert growing.text == "a" * 1000
    assert max(lengths) <= 2 * GrowingText.CONTEXT + 1


def test_stop_strings():
    strings = StopStrings(["##", "#a", "xyz"])
    assert strings.find("ab#axyz##") == 2
    assert strings.find("ab#xy") is None
    assert strings.length_certain("ab#") == 2
    assert strings.length_certain("abxy") == 2
    assert strings.length_certain("abxz") == 4
    assert strings.length_certain("abx\ufffd\ufffd") == 2
    assert StopStrings([]).find("") is None
    assert StopStrings([]).length_certain("a") == 1
