"""Tokenizers and data sets of one's own: what is asked of them is said."""

import numpy as np
import pytest
from foundation_data import BatchLoader, CountedTokenizer, Tokenizer


class Letters(CountedTokenizer):
    kind = "letters of mine"

    def tokenize(self, text):
        return list(self.normalize(text))

    def detokenize(self, tokens):
        return "".join(tokens)


def test_a_tokenizer_of_ones_own_is_trained_saved_and_loaded(tmp_path):
    tokenizer = Letters.train(["abba"])
    assert tokenizer.decode(tokenizer.encode("baab")) == "baab"
    assert tokenizer.decode(tokenizer.encode("abc")) == "ab<unk>"
    tokenizer.save(tmp_path / "tokenizer.json")
    for loaded in (Letters, Tokenizer):
        same = loaded.load(tmp_path / "tokenizer.json")
        assert type(same) is Letters
        assert same == tokenizer


def test_its_kind_is_asked_for_and_must_be_its_own():
    class Nameless(CountedTokenizer):
        tokenize = Letters.tokenize
        detokenize = Letters.detokenize

    with pytest.raises(TypeError, match='Nameless: the class needs a name .* kind = "nameless"'):
        Nameless.train(["ab"])
    with pytest.raises(TypeError, match="Words: the kind 'word' is that of WordTokenizer.*another"):

        class Words(Letters):
            kind = "word"

    assert Tokenizer._kinds["word"].__name__ == "WordTokenizer"


def test_what_a_data_set_lacks_is_said():
    with pytest.raises(TypeError, match="ndarray has no lengths, fingerprint, batch.*training"):
        BatchLoader(np.zeros((5, 2)), batch_size=2)
