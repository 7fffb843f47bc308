"""What is held out is cut off before anything is learnt from the text."""

from functools import partial
from pathlib import Path

import pytest
from foundation_data import CharTokenizer, TextFiles, encode_blocks, encode_files
from foundation_data.reading import _text_files, read_blocks
from hypothesis import given
from hypothesis import strategies as st

texts = st.lists(st.text(alphabet="ab \n\r\té👍", max_size=40), min_size=1, max_size=4)


def joined(part: TextFiles) -> str:
    return "".join(block.text for block in part.blocks())


def written(folder: Path, contents: list[str]) -> list[Path]:
    files = [folder / f"{number}.txt" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content.encode())
    return files


@given(contents=texts, share=st.sampled_from([0.01, 0.1, 0.5, 0.9]), at_most=st.integers(0, 50))
def test_two_parts_are_the_whole(
    contents: list[str], share: float, at_most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = TextFiles(written(tmp_path_factory.mktemp("texts"), contents))
    text = "".join(contents)
    assert joined(whole) == text
    train, held_out = whole.split(share, at_most)
    assert joined(train) + joined(held_out) == text
    wanted = min(round(len(text) * share), at_most)
    assert len(joined(held_out)) >= wanted
    if joined(train):
        blocks = [*train.blocks(), *held_out.blocks()]
        assert sum(block.ends for block in blocks) == len(contents)


@given(contents=texts, block_bytes=st.integers(1, 9))
def test_the_cut_does_not_depend_on_what_is_read_at_once(
    contents: list[str], block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = TextFiles(written(tmp_path_factory.mktemp("texts"), contents))
    with pytest.MonkeyPatch.context() as patch:
        parts = [joined(part) for part in files.split(0.3)]
        patch.setattr(_text_files, "read_blocks", partial(read_blocks, block_bytes=block_bytes))
        assert [joined(part) for part in files.split(0.3)] == parts


def test_where_it_is_cut(tmp_path: Path) -> None:
    lines = written(tmp_path, ["one two\n" * 10])
    train, held_out = TextFiles(lines).split(0.25)  # 20 of 80 characters, and up to a line end
    assert joined(held_out) == "\n" + "one two\n" * 3 == "\n" + joined(TextFiles(lines))[-24:]
    assert [block.ends for block in train.blocks()] == [False]
    long_lines = written(tmp_path, ["字" * 30])
    assert joined(TextFiles(long_lines).split(0.1)[1]) == "字" * 3
    assert joined(TextFiles(long_lines).split(0.5, at_most=4)[1]) == "字" * 4


def test_whole_texts_are_held_out_if_one_ends_near_by(tmp_path: Path) -> None:
    files = written(tmp_path, ["a\n" * 60, "b\n" * 25, "c\n" * 15])
    train, held_out = TextFiles(files).split(0.2)  # 40 of 200 characters: the last has 30
    assert joined(held_out) == "\n" + "b\n" * 5 + "c\n" * 15  # the second begins 40 earlier
    train, held_out = TextFiles(files).split(0.3)  # 60: 20 more are the last two
    assert joined(held_out) == "b\n" * 25 + "c\n" * 15
    assert joined(train) == "a\n" * 60


def test_lines_of_json(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(f'{{"body": "{n}{n}"}}\n' for n in range(10)), "utf-8")
    train, held_out = TextFiles([file], "body").split(0.15)
    assert joined(train) == "".join(f"{n}{n}" for n in range(8))
    assert [block.text for block in held_out.blocks()] == ["88", "99"]


def test_ids_of_the_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    files = written(tmp_path, ["to be, or not\n" * 5, "to be\n" * 20])
    tokenizer = CharTokenizer.train(["to be, or not\n"])
    whole = encode_files(files, tokenizer)
    parts = [encode_blocks(part.blocks(), tokenizer) for part in TextFiles(files).split(0.2)]
    ids = [part.read(0, len(part)).tolist() for part in parts]
    assert ids[0] + ids[1] == whole.read(0, len(whole)).tolist()
    assert [part.num_documents for part in parts] == [2, 1]  # the second one is in both


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_is_between_0_and_1(share: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"TextFiles.split: expected a share between 0 and 1"):
        TextFiles(written(tmp_path, ["ab"])).split(share)
