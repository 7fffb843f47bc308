"""JSON that others have written: what is refused, and with which words."""

import json
import math
import os
from dataclasses import dataclass
from dataclasses import field as field_of

import pytest
from foundation_nn.files import (
    field,
    from_object,
    open_file,
    parse_json,
    read_bytes,
    read_json,
    read_text,
)
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_what_is_json_is_read_as_it_is(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ('{"a": 1', "Expecting ',' delimiter"),
        (b"\xff", "can't decode byte 0xff"),
        ('{"a": {"b": 1, "b": 2}}', "the name 'b' stands twice in one object"),
        ("[1e400]", "the number 1e400 is too large"),
        ("[-1e999]", "the number -1e999 is too large"),
        ("NaN", "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("1" * 301, "a number of 301 digits is too large"),
        ("1" * 5000, "a number of 5000 digits is too large"),
        ("[" * 101 + "]" * 101, "it is nested more than 100 deep"),
        ("[" * 100_000 + "]" * 100_000, "it is nested more than 100 deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "it is nested more than 100 deep"),
    ],
)
def test_what_no_reader_should_take_is_refused(text, reason):
    with pytest.raises(ValueError, match=rf"not valid JSON \(.*{reason}"):
        parse_json(text)


def test_just_within_the_bounds():
    deep = parse_json("[" * 100 + "]" * 100)
    for _ in range(99):
        (deep,) = deep
    assert deep == []
    assert parse_json("9" * 300) == int("9" * 300)
    assert parse_json('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]


def test_losses_may_be_no_numbers():
    nan, infinite = parse_json("[NaN, -Infinity]", allow_nan=True)
    assert math.isnan(nan)
    assert infinite == -math.inf


def test_files_are_named(tmp_path):
    place = tmp_path / "a.json"
    place.write_text("[1, 2")
    with pytest.raises(ValueError, match=r"a\.json: not valid JSON"):
        read_json(place)
    place.write_text("[1, 2]")
    assert read_json(place) == [1, 2]
    assert read_json(place, max_bytes=6) == [1, 2]
    with pytest.raises(ValueError, match=r"a\.json: has 6 bytes, and at most 5 .* raise max_bytes"):
        read_json(place, max_bytes=5)
    with pytest.raises(ValueError, match="raise --most"):
        read_bytes(place, 5, option="--most")
    assert read_bytes("/proc/self/stat") if os.path.exists("/proc/self/stat") else True
    with pytest.raises(FileNotFoundError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")
    place.write_bytes(b"ok\r\n\xff")
    with pytest.raises(ValueError, match="not UTF-8 .the byte 0xff at 4"):
        read_text(place)
    place.write_bytes(b"a\r\nb")
    assert read_text(place) == "a\r\nb"


def test_a_file_with_holes_takes_no_memory(tmp_path):
    place = tmp_path / "sparse.json"
    with place.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match="has 1,099,511,627,776 bytes"):
        read_json(place)


@pytest.mark.skipif(os.name != "posix", reason="there are no such files here")
def test_regular_files_alone_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name, reason in (
        ("pipe", "pipe: expected a regular file, got a pipe; write its content to a file"),
        ("zeros", "zeros: expected a regular file, got a device"),
        ("", "expected a file, got a folder"),
    ):
        with pytest.raises(ValueError, match=reason):
            open_file(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="gone: no such file"):
        open_file(tmp_path / "gone")


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "expected"),
    [
        (bool, True, 1, "true or false, got 1"),
        (int, 3, True, "a whole number, got True"),
        (int, -3, 3.0, "a whole number, got 3.0"),
        (float, 3, "3", "a number, got '3'"),
        (float, 0.5, False, "a number, got False"),
        (str, "", None, "a string, got None"),
        (str | None, None, 5, "a string or null, got 5"),
        (list, [1, "a"], {}, "a list, got {}"),
        (list[str], ["a"], ["a", 1], r"a list of strings, got \['a', 1\]"),
        (list[int], [], "abc", "a list of whole numbers, got 'abc'"),
        (dict[str, int], {"a": 1}, {"a": "1"}, "an object of whole numbers, got {'a': '1'}"),
        (dict[str, list[int]], {"a": [1]}, {"a": [None]}, "an object of lists, got"),
    ],
)
def test_kinds_of_fields(kind, right, wrong, expected):
    assert field({"x": right}, "x", kind) is right
    with pytest.raises(ValueError, match=f"x: expected {expected}"):
        field({"x": wrong}, "x", kind)


def test_missing_fields_and_what_is_no_object():
    assert field({}, "x", int, default=None) is None
    with pytest.raises(ValueError, match="'x' is missing"):
        field({}, "x", int)
    for content in (None, [], "x", 3):
        with pytest.raises(ValueError, match="expected an object with 'x', got"):
            field(content, "x", int)


def test_a_message_stays_short():
    with pytest.raises(ValueError) as caught:
        field({"x": ["a" * 10_000] * 10_000}, "x", int)
    assert len(str(caught.value)) < 600


@dataclass(frozen=True)
class Shape:
    width: int
    scale: float
    name: str | None = None
    parts: list[str] = field_of(default_factory=list)


def test_a_dataclass_from_an_object():
    assert from_object(Shape, {"width": 3, "scale": 2}) == Shape(3, 2)
    full = {"width": 3, "scale": 0.5, "name": "a", "parts": ["b"]}
    assert from_object(Shape, full) == Shape(3, 0.5, "a", ["b"])
    for change, message in (
        ({"width": 3.0}, "width: expected a whole number"),
        ({"parts": [1]}, "parts: expected a list of strings"),
        ({"with": 3}, "unknown field 'with'; did you mean 'width'"),
        ({"x" * 10_000: 3}, "unknown field 'xxx"),
    ):
        with pytest.raises(ValueError, match=message):
            from_object(Shape, full | change)
    with pytest.raises(ValueError, match="'scale' is missing"):
        from_object(Shape, {"width": 3})
    with pytest.raises(ValueError, match="expected an object, got 3"):
        from_object(Shape, 3)
