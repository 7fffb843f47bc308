"""Reading: what is understood, what is dropped and counted, what is refused and how."""

import contextlib
import gzip
import os
import re
import tempfile
import zipfile
from pathlib import Path

import pytest
from foundation_data import (
    CorpusReport,
    Dropped,
    Pairs,
    ReadLimits,
    read_pairs,
    read_parallel,
    read_texts,
    stream_texts,
)
from hypothesis import given
from hypothesis import strategies as st


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["p.tsv", "p.txt", "p.TSV", "p.tsv.gz", "p.v2.txt.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_lines_of_every_kind(tmp_path: Path, name: str, end: str, bom: bytes) -> None:
    lines = ["Go.\tVa\u202f!", 'a "b\te\u0301t\u00e9\tCC-BY 2.0 #1', " c  d \t e"]
    path = write(tmp_path / name, bom + end.join(lines).encode("utf-8"))
    pairs = read_pairs(path)
    assert pairs == [("Go.", "Va !"), ('a "b', "été"), ("c d", "e")]
    assert isinstance(pairs, Pairs)
    assert pairs.report == CorpusReport(str(path), read=3, kept=3, dropped={})


def test_csv_knows_quotes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.csv", 'en,fr\r\n"Yes, sir","Oui, ""monsieur""",x\r\n"two\r\nlines",b\r\n'
    )
    pairs = read_pairs(path, header=True)
    assert pairs == [("Yes, sir", 'Oui, "monsieur"'), ("two lines", "b")]
    semicolons = write(tmp_path / "q.csv", "a,b;c\n")
    assert read_pairs(semicolons, delimiter=";") == [("a,b", "c")]
    assert read_pairs(write(tmp_path / "names.dat", "a|b"), delimiter="|") == [("a", "b")]


def test_what_is_dropped_is_counted_with_an_example(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.tsv",
        "Go.\tVa !\n"
        "\tnothing\n"
        "\n"
        "Go.\tAllez !\n"
        "Go. \tVa\u202f!\n"
        "OK.\tOK.\n"
        "one two three\tun deux trois quatre\n"
        "one\tun deux trois\n",
    )
    pairs = read_pairs(path, max_words=3, max_ratio=2.5)
    assert pairs == [("Go.", "Va !"), ("Go.", "Allez !")]
    assert pairs.report == CorpusReport(
        str(path),
        read=8,
        kept=2,
        dropped={
            "empty": Dropped(2, "line 2: '' → 'nothing'"),
            "duplicate": Dropped(1, "line 5: 'Go.' → 'Va !'"),
            "copy": Dropped(1, "line 6: 'OK.' → 'OK.'"),
            "too long": Dropped(1, "line 7: 'one two three' → 'un deux trois quatre'"),
            "length ratio": Dropped(1, "line 8: 'one' → 'un deux trois'"),
        },
    )
    assert pairs.report.num_dropped == 6
    assert str(pairs.report).splitlines()[:2] == [
        f"{path}: 8 read, 2 kept, 6 dropped",
        "  2 empty, such as line 2: '' → 'nothing'",
    ]


def test_filters_can_be_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", "a\ta\nb\tc\nb\tc\nb b\tc c\n")
    everything = read_pairs(path, drop_copies=False, drop_duplicates=False)
    assert everything == [("a", "a"), ("b", "c"), ("b", "c"), ("b b", "c c")]
    long = read_pairs(path, min_words=2)
    assert long == [("b b", "c c")]
    assert long.report.dropped == {"too short": Dropped(3, "line 1: 'a' → 'a'")}
    twice = write(tmp_path / "q.tsv", "a b\tc\na b c\td\n")
    assert read_pairs(twice, max_ratio=2) == [("a b", "c")]
    assert read_pairs(twice, max_words=2) == [("a b", "c")]


def test_a_long_example_is_shortened(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", "a\tb\n" + "x" * 500 + "\t" + "x" * 500)
    example = read_pairs(path).report.dropped["copy"].example
    assert len(example) == 160
    assert example.endswith("x…")


REFUSED = {
    "": r"the file is empty; expected lines of source and target",
    b"\xef\xbb\xbf": r"expected at least one usable pair: 1 read, 0 kept, 1 dropped \(1 empty\)$",
    "\n \n": r"expected at least one usable pair: 2 read, 0 kept, 2 dropped \(2 empty\)$",
    "a\tb\nno tab here\n": r", line 2: expected two columns .* by a tab, got one: 'no tab here'",
    b"a\tb\nc\xe9\td\n": r", line 2, byte 5: expected UTF-8, got the byte 0xe9; save the file as",
    b"\xef\xbb\xbfa\xff\tb": r", line 1, byte 4: expected UTF-8, got the byte 0xff",
    b"a\tb\rc\td\re\xff\tf": r", line 3, byte 9: expected UTF-8",
    "a\tb\n".encode("utf-16"): r", line 1, byte 0: expected UTF-8, got UTF-16",
    b"a\tb\xc3": r", line 1, byte 3: expected UTF-8, got the byte 0xc3",
}


@pytest.mark.parametrize(("content", "message"), REFUSED.items())
@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.txt.gz"])
def test_content_that_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(
        ValueError, match=rf"(?s)^.*{name}{message}" if message[0] == "," else message
    ):
        read_pairs(path)


def test_refused_csv(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"p\.csv, line 2: .* separated by a comma, got one: 'c;d'"
    ):
        read_pairs(write(tmp_path / "p.csv", "a,b\nc;d\n"))
    with pytest.raises(ValueError, match=r"p\.csv, line 2: malformed CSV"):
        read_pairs(write(tmp_path / "p.csv", 'a,b\n"c,d\n'))
    with pytest.raises(ValueError, match="the file is empty"):
        read_pairs(write(tmp_path / "p.csv", "a,b\n"), header=True)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv.gz"
    whole = gzip.compress(b"a\tb\n" * 1000)
    for damaged in (whole[: len(whole) // 2], b"a\tb\n", whole[:10] + b"\xff" * 10 + whole[20:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"p\.tsv\.gz: damaged or truncated gzip file"):
            read_pairs(path)


def test_paths_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.tsv: no such file"):
        read_pairs(tmp_path / "none.tsv")
    with pytest.raises(ValueError, match=r"p\.xlsx: expected a name that ends in \.tsv"):
        read_pairs(write(tmp_path / "p.xlsx", "a\tb"))
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(ValueError, match=r"folder\.tsv: expected a file, got a folder"):
        read_pairs(tmp_path / "folder.tsv")


def test_options_that_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", "a\tb\n")
    with pytest.raises(ValueError, match="expected one character as delimiter, got '::'"):
        read_pairs(path, delimiter="::")
    with pytest.raises(TypeError, match="expected a str as delimiter, got 9"):
        read_pairs(path, delimiter=9)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="min_words of at least 1, got 0"):
        read_pairs(path, min_words=0)
    with pytest.raises(ValueError, match="max_words of at least min_words=3, got 2"):
        read_pairs(path, min_words=3, max_words=2)
    with pytest.raises(ValueError, match=r"max_ratio of at least 1, got 0\.5"):
        read_pairs(path, max_ratio=0.5)


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", "1\tGo.\t2\tVa !\n3\tHi.\t4\tSalut !\n")
    assert read_pairs(path, columns=(1, 3)) == [("Go.", "Va !"), ("Hi.", "Salut !")]
    assert read_pairs(path, columns=(3, 1))[0] == ("Va !", "Go.")
    with pytest.raises(ValueError, match=r"line 1: expected 6 columns separated by a tab, got 4"):
        read_pairs(path, columns=(1, 5))
    for wrong in ((1,), (1, -1), ("en", "fr"), (0, 1, 2)):
        with pytest.raises(ValueError, match="two numbers of columns, from 0, as columns, got"):
            read_pairs(path, columns=wrong)


def test_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.jsonl.gz",
        '{"source": "Go.", "target": "Va\\u202f!"}\n\n{"target": "b", "source": "a\\u0000"}\r\n',
    )
    pairs = read_pairs(path)
    assert pairs == [("Go.", "Va !"), ("a", "b")]
    assert pairs.report.dropped == {"empty": Dropped(1, "line 2: '' → ''")}
    nested = write(tmp_path / "n.jsonl", '{"id": 1, "translation": {"en": "Go.", "fr": "Va !"}}')
    assert read_pairs(nested, columns=("translation.fr", "translation.en")) == [("Va !", "Go.")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "a"', ": not valid JSON"),
        ("[" * 100_000, ": not valid JSON"),
        ('{"source": "a"}', "a text in the field 'target', got none (found: source)"),
        ('{"source": "a", "target": 3}', "a text in the field 'target', got int"),
        ('["a", "b"]', "a text in the field 'source', got none (found: list)"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "p.jsonl", f'{{"source": "a", "target": "b"}}\n{line}\n')
    with pytest.raises(ValueError, match=rf"p\.jsonl, line 2.*{re.escape(message)}"):
        read_pairs(path)
    with pytest.raises(ValueError, match=r"two names of fields as columns, got \(0, 1\)"):
        read_pairs(path, columns=(0, 1))


def test_parallel_files(tmp_path: Path) -> None:
    english = write(tmp_path / "train.en", b"\xef\xbb\xbfGo.\nHi.\n\n")
    french = write(tmp_path / "train.fr.gz", "Va !\r\nSalut !\r\n\r\n")
    assert read_parallel(english, french) == [("Go.", "Va !"), ("Hi.", "Salut !")]
    assert read_parallel(english, french).report.dropped == {"empty": Dropped(1, "line 3: '' → ''")}
    longer = write(tmp_path / "longer.fr", "a\nb\nc\nd\n")
    with pytest.raises(ValueError, match=r"train\.en has 3 lines and .*longer\.fr has more"):
        read_parallel(english, longer)
    with pytest.raises(ValueError, match=r"train\.en has 3 lines and .*longer\.fr has more"):
        read_parallel(longer, english)
    empty = write(tmp_path / "empty", "")
    with pytest.raises(ValueError, match="the file is empty; expected a sentence in each line"):
        read_parallel(empty, empty)
    with pytest.raises(FileNotFoundError, match=r"none: no such file"):
        read_parallel(english, tmp_path / "none")
    latin = write(tmp_path / "latin.fr", b"a\nb\n\xe9t\xe9\n")
    with pytest.raises(ValueError, match=r"latin\.fr, line 3, byte 4: expected UTF-8"):
        read_parallel(english, latin)


def test_a_carriage_return_within_a_line_of_parallel_files(tmp_path: Path) -> None:
    # Both files have three lines if a CR ends one, and two if it does not.
    english = write(tmp_path / "a.en", b"one\rstill one\ntwo\n")
    french = write(tmp_path / "a.fr", b"un\ndeux\rencore\r\n")
    assert read_parallel(english, french) == [("one still one", "un"), ("two", "deux encore")]
    # A file without any LF is one of old Macintoshes.
    old = write(tmp_path / "old.fr", b"un\rdeux\r")
    assert read_parallel(english, old) == [("one still one", "un"), ("two", "deux")]
    three = write(tmp_path / "three.fr", b"un\ndeux\ntrois\n")
    with pytest.raises(ValueError, match=r"a\.en has 2 lines and .*three\.fr has more"):
        read_parallel(english, three)


def test_the_longest_line(tmp_path: Path) -> None:
    path = write(tmp_path / "long.txt", b"a" * 999 + b"\n" + b"b" * 1000 + b"\n" + b"c" * 1001)
    assert len(read_texts(path)) == 3
    limits = ReadLimits(max_line_bytes=1001)
    assert [len(text) for text in stream_texts(path, limits=limits)] == [999, 1000, 1001]
    texts = stream_texts(path, limits=ReadLimits(max_line_bytes=1000))
    assert len(next(texts)) == 999
    message = r"long\.txt, line 2: longer than 1,000 bytes; .* limits=ReadLimits\(max_line_bytes="
    with pytest.raises(ValueError, match=message):  # with its end it has 1,001 bytes
        next(texts)
    for read in (read_pairs, read_texts):
        with pytest.raises(ValueError, match="line 1: longer than 10 bytes"):
            read(path, limits=ReadLimits(max_line_bytes=10))
    with pytest.raises(ValueError, match="line 1: longer than 10 bytes"):
        read_parallel(path, path, limits=ReadLimits(max_line_bytes=10))


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_small_file_that_holds_a_huge_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bomb.txt{suffix}"
    text = (b"the same again " * 100 + b"\n") * 20_000  # 30 MB
    if suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bomb.txt", text)
    assert path.stat().st_size < 1 << 17
    with pytest.raises(ValueError, match=r"more than 100 times as large as the packed file"):
        read_texts(path)
    assert len(read_texts(path, limits=ReadLimits(max_expansion=1000))) == 1


def test_a_packed_line_without_end(tmp_path: Path) -> None:
    path = write(tmp_path / "one.txt.gz", b"a" * (1 << 25))
    with pytest.raises(ValueError, match=r"line 1: longer than 16,777,216 bytes"):
        read_texts(path)


@pytest.mark.parametrize("limit", ["max_line_bytes", "max_expansion"])
def test_limits_that_are_none(limit: str) -> None:
    with pytest.raises(ValueError, match="ReadLimits: expected .* of at least 1"):
        ReadLimits(**{limit: 0})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tsv")
    for read in (read_pairs, read_texts, stream_texts):
        with pytest.raises(ValueError, match=r"pipe\.tsv: expected a regular file, got a pipe"):
            read(tmp_path / "pipe.tsv")


def test_archives_that_are_packed_in_another_way(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.txt", "a\tb\n")
    with pytest.raises(ValueError, match=r"a\.zip: expected .* packed by deflate, got method 12"):
        read_pairs(path)


@given(st.data())
def test_damaged_archives_raise_nothing_but_value_errors(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / data.draw(st.sampled_from(["p.tsv.gz", "p.zip"]))
        content = b"a\tb\nc\td\n" * 3
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(content))
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("p.tsv", content)
        damaged = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
        with contextlib.suppress(ValueError):
            read_pairs(path)


def test_the_one_text_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "fra-eng.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("_about.txt", "about")
        archive.writestr("fra.txt", "Go.\tVa !\tCC-BY 2.0\n")
    assert read_pairs(path) == [("Go.", "Va !")]
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"fra-eng\.zip: damaged or truncated zip file"):
        read_pairs(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a\tb")
        archive.writestr("b.txt", "a\tb")
    with pytest.raises(ValueError, match=r"one text in the archive, got a\.txt, b\.txt; unpack it"):
        read_pairs(path)


def test_an_unknown_filter(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no option 'max_length'; the filters are min_words, max_"):
        read_pairs(write(tmp_path / "p.tsv", "a\tb"), max_length=3)  # type: ignore[call-arg]


def test_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "t.txt", "  def f():\n\n  a  e\u0301\nb\na \u00e9\n")
    assert list(stream_texts(path)) == ["  def f():", "", "  a  \u00e9", "b", "a \u00e9"]
    texts = read_texts(path)
    assert texts == ["def f():", "a é", "b"]
    assert texts.report == CorpusReport(
        str(path),
        read=5,
        kept=3,
        dropped={"empty": Dropped(1, "line 2: ''"), "duplicate": Dropped(1, "line 5: 'a é'")},
    )
    assert read_texts(path, min_words=2, drop_duplicates=False) == ["def f():", "a é", "a é"]
    assert read_texts(path, max_words=1).report.dropped["too long"].count == 3
    lines = write(tmp_path / "t.jsonl.gz", '{"text": "a\\nb"}\n{"text": "c"}\n')
    assert list(stream_texts(lines)) == ["a\nb", "c"]
    assert read_texts(lines) == ["a b", "c"]
    with pytest.raises(ValueError, match="a text in the field 'body', got none"):
        read_texts(lines, field="body")
    with pytest.raises(FileNotFoundError, match=r"none\.txt: no such file"):
        stream_texts(tmp_path / "none.txt")  # said at once, not at the first text
    with pytest.raises(ValueError, match="at least one usable text: 0 read, 0 kept, 0 dropped"):
        read_texts(write(tmp_path / "e.txt", ""))
    with pytest.raises(ValueError, match="max_words of at least min_words=2, got 1"):
        read_texts(path, min_words=2, max_words=1)


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    long = "word " * 2_000_000
    path = write(tmp_path / "p.tsv", f"a\tb\n{long}\tlong\nc\td\n")
    pairs = read_pairs(path, max_words=100)
    assert pairs == [("a", "b"), ("c", "d")]
    assert pairs.report.dropped["too long"].count == 1
    assert len(pairs.report.dropped["too long"].example) == 160
    assert len(read_pairs(path)[1][0]) == len(long) - 1
    assert [len(text) for text in stream_texts(path)] == [3, len(long) + 5, 3]
    # Python's csv module stops at 131,072 characters: a missing quote looks just like this.
    with pytest.raises(ValueError, match=r"p\.csv, line 2: malformed CSV: field larger than"):
        read_pairs(write(tmp_path / "p.csv", f'a,b\n"{long}",c\n'))


def test_bytes_of_zero(tmp_path: Path) -> None:
    for name, separator in (("p.tsv", "\t"), ("p.csv", ",")):
        path = write(tmp_path / name, f"a\0b{separator}c\n\0{separator}d\n")
        pairs = read_pairs(path)
        assert pairs == [("a b", "c")]
        assert pairs.report.dropped["empty"].count == 1


cell = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), max_size=6)


@given(st.lists(st.tuples(cell, cell), min_size=1, max_size=12))
def test_every_line_is_kept_or_counted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "p.tsv"
    write(path, "sure\tsûr\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    pairs = read_pairs(path)
    assert pairs.report.read == len(rows) + 1
    assert pairs.report.kept == len(pairs) == len(set(pairs))
    assert pairs.report.read == pairs.report.kept + pairs.report.num_dropped
    assert all(source and target and source != target for source, target in pairs)


@given(st.sampled_from(["tsv", "csv", "jsonl", "txt.gz", "zip"]), st.binary(max_size=60))
def test_no_bytes_do_more_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, ending: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"p.{ending}"
    for data in (content, gzip.compress(content)):
        path.write_bytes(data)
        for read in (read_pairs, read_texts):
            try:
                kept = read(path)
            except ValueError as error:
                said = str(error)
            else:
                said = kept.report.name
                assert kept.report.kept == len(kept) > 0
            assert path.name in said


@pytest.mark.skipif(
    "FOUNDATION_DATA" not in os.environ,
    reason="FOUNDATION_DATA does not name a folder with tatoeba-en-fr.tsv.gz",
)
def test_real_sentences() -> None:
    pairs = read_pairs(Path(os.environ["FOUNDATION_DATA"]) / "tatoeba-en-fr.tsv.gz")
    assert pairs[0] == ("Go.", "Va !")
    assert pairs.report.read == 139_218
    assert {name: reason.count for name, reason in pairs.report.dropped.items()} == {
        "duplicate": 132,
        "copy": 1,
    }
