"""What a model reads around a text: as the file says, and as the library tokenizers does it."""

import json
from pathlib import Path

import pytest
from foundation_data import BPETokenizer, CharTokenizer, Frame, WordPieceTokenizer, load_tokenizer
from hypothesis import given
from hypothesis import strategies as st

CLS_SEP = {"cls": ["[CLS]", 101], "sep": ["[SEP]", 102]}
#: As Llama 3 has it: a token before each text, in a sequence with what changes no token.
LLAMA3 = {
    "type": "Sequence",
    "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<begin>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": "<begin>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<begin>", "type_id": 1}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<begin>": {"id": "<begin>", "ids": [9], "tokens": ["<begin>"]}},
        },
    ],
}


@pytest.mark.parametrize(
    ("content", "single", "pair", "types", "before"),
    [
        (None, [7, 8], [7, 8, 5], [0, 0, 1], []),
        ({"type": "ByteLevel"}, [7, 8], [7, 8, 5], [0, 0, 1], []),
        (LLAMA3, [9, 7, 8], [9, 7, 8, 9, 5], [0, 0, 0, 1, 1], [9]),
        (
            {"type": "BertProcessing", **CLS_SEP},
            [101, 7, 8, 102],
            [101, 7, 8, 102, 5, 102],
            [0, 0, 0, 0, 1, 1],
            [101],
        ),
        (
            {"type": "RobertaProcessing", **CLS_SEP},
            [101, 7, 8, 102],
            [101, 7, 8, 102, 102, 5, 102],
            [0] * 7,
            [101],
        ),
    ],
)
def test_frames_by_hand(content, single, pair, types, before):
    frame = Frame.from_json(content)
    for each in (frame, Frame.from_json(frame.to_json())):
        assert each.around([7, 8]) == single
        assert each.around_pair([7, 8], [5]) == (pair, types)
        assert each.before == before
        assert (each.size, each.pair_size) == (len(single) - 2, len(pair) - 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "Unknown"}, "type 'Unknown' is not supported; expected TemplateProcessing"),
        ({"type": "BertProcessing", "cls": ["[CLS]"]}, "cls: expected a token and its id"),
        ({"type": "Sequence", "processors": [LLAMA3, LLAMA3]}, "several parts add tokens"),
        ({"type": "TemplateProcessing", "single": [], "pair": []}, "'special_tokens' is missing"),
        (
            {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
            "expected one place for each of ['A'], got []",
        ),
        (
            LLAMA3["processors"][1] | {"special_tokens": {}},
            "'<begin>' is missing",
        ),
        ([], "expected an object"),
    ],
)
def test_what_is_no_frame_is_refused(content, message):
    with pytest.raises(ValueError, match="^post_processor: ") as error:
        Frame.from_json(content)
    assert message in str(error.value)


@pytest.fixture
def tokenizer():
    return BPETokenizer.train(["low lower lowest slow"])


def test_a_frame_is_saved_with_its_tokenizer(tokenizer, tmp_path):
    assert tokenizer.frame == Frame()
    framed = tokenizer.with_ends(bos=True, eos=False)
    text = "low"
    assert framed.encode(text) == tokenizer.encode(text)
    assert framed.encode(text, framed=True) == [1, *tokenizer.encode(text)]
    framed.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path).frame == framed.frame
    assert tokenizer.frame == Frame()
    with pytest.raises(ValueError, match="leave out add_bos and add_eos"):
        framed.encode(text, framed=True, add_bos=True)
    with pytest.raises(ValueError, match=r"'<x>' has the id 264, which is not one of the .* 264"):
        tokenizer.with_frame(Frame.with_ends(("<x>", 264), None))


@pytest.mark.parametrize(
    ("flags", "ends"),
    [
        ({}, (True, True)),  # as in tokenizer.json
        ({"add_bos_token": None}, (True, True)),
        ({"add_bos_token": True}, (True, False)),  # one that is missing is false
        ({"add_bos_token": False}, (False, False)),
        ({"add_bos_token": True, "add_eos_token": True}, (True, True)),
        ({"add_eos_token": True}, (False, True)),
        ({"add_bos_token": True, "bos_token": None}, (False, False)),  # there is no such token
    ],
)
def test_flags_of_the_folder_are_obeyed(tokenizer, tmp_path, flags, ends):
    document = tokenizer.with_ends(bos=True, eos=True).to_dict()["tokenizer"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    named = {"bos_token": "<bos>", "eos_token": {"content": "<eos>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named | flags), "utf-8")
    loaded = load_tokenizer(tmp_path)
    bos, eos = ends
    expected = [1] * bos + tokenizer.encode("low") + [2] * eos
    assert loaded.encode("low", framed=True) == expected
    (tmp_path / "tokenizer_config.json").write_text('{"add_bos_token": "yes"}', "utf-8")
    with pytest.raises(ValueError, match="add_bos_token: expected true or false or null"):
        load_tokenizer(tmp_path)


def test_the_library_frames_texts_and_pairs_alike(tmp_path):
    library = pytest.importorskip("tokenizers", reason="the tokenizers library is not installed")
    texts = ["low lower lowest slow"] * 3
    ours = WordPieceTokenizer.train(texts, max_size=30)
    bpe = BPETokenizer.train(texts)
    for each in (ours, bpe.with_ends(True, False), bpe.with_ends(False, True)):
        each.save(tmp_path / "tokenizer.json")
        theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
        first, second = "lower slow", "slowest"
        assert theirs.encode(first).ids == each.encode(first, framed=True)
        ids, types = each.frame.around_pair(each.encode(first), each.encode(second))
        found = theirs.encode(first, second)
        assert (found.ids, found.type_ids) == (ids, types)


def test_tokenizers_without_a_file_of_the_library_frame_nothing():
    tokenizer = CharTokenizer.train(["ab"])
    assert tokenizer.encode("ab", framed=True) == tokenizer.encode("ab")


# --- pieces of a template, and what stands between them


def test_a_special_token_is_special_where_a_template_wrote_all_of_it(tokenizer):
    def ids(*pieces):
        return tokenizer.encode_pieces(pieces)

    eos = tokenizer.vocabulary.specials.eos_id
    as_text = tokenizer.encode("<eos>")
    assert ids(("<eos>", True)) == [eos]
    assert ids(("<eos>", False)) == as_text
    assert ids(("<", True), ("eos>", False)) == as_text
    assert ids(("<eo", False), ("s>", True)) == as_text
    assert ids(("<e", False), ("os>", False)) == as_text
    assert ids(("<e", True), ("os>", True)) == [eos]
    assert ids(("<<", False), ("eos>", False), ("<eos>", True)) == [
        *tokenizer.encode("<<eos>"),
        eos,
    ]
    assert ids() == []
    with pytest.raises(TypeError, match="encode_pieces"):
        ids((b"<eos>", True))


@given(st.lists(st.tuples(st.sampled_from(["low", " ", "<eos>", "<e", "os>", "s"]), st.booleans())))
def test_pieces_are_one_text(pieces):
    tokenizer = BPETokenizer.train(["low lower lowest slow"])
    ids = tokenizer.encode_pieces(pieces)
    text = "".join(text for text, _ in pieces)
    eos = tokenizer.vocabulary.specials.eos_id
    # Each special token is one that the template wrote, and everything else is the text as it is.
    assert ids.count(eos) <= "".join(t if own else "\0" for t, own in pieces).count("<eos>")
    if eos not in ids:
        assert ids == tokenizer.encode(text)
    if all(own for _, own in pieces):
        assert ids == tokenizer.encode(text, allow_special=True)


def test_white_space_beside_a_special_token_goes_with_it_whoever_wrote_it(tmp_path):
    document = BPETokenizer.train(["a b"]).to_dict()["tokenizer"]
    for token in document["added_tokens"]:
        token["rstrip"] = token["content"] == "<bos>"
    path = Path(tmp_path) / "tokenizer.json"
    path.write_text(json.dumps(document), "utf-8")
    tokenizer = load_tokenizer(path)
    whole = tokenizer.encode("<bos> \n a", allow_special=True)
    assert whole == [1, *tokenizer.encode("a")]
    assert tokenizer.encode_pieces([("<bos>", True), (" \n a", False)]) == whole
