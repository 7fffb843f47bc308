"""Files that are whole or not there."""

import os
import stat

import pytest
from foundation_nn.files import _write, is_unfinished, new_file, remove_unfinished, write_file
from foundation_nn.training import History, Step, write_report


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    for content in ("ä\r\n\n—", b"\x00\xff\r\n", ""):
        write_file(tmp_path / "file", content)
        expected = content if isinstance(content, bytes) else content.encode()
        assert (tmp_path / "file").read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["sync_file", "sync_folder"])
def test_a_full_disk_is_told_with_the_name_and_leaves_the_older_file(tmp_path, monkeypatch, name):
    place = tmp_path / "file.txt"
    write_file(place, "old")
    monkeypatch.setattr(_write, name, full)
    with pytest.raises(OSError, match=r"\[Errno 28\] No space left on device: '.*file\.txt'") as e:
        write_file(str(place), "new")
    assert e.value.errno == 28
    assert place.read_text() == ("old" if name == "sync_file" else "new")
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def fail_within(place, error):
    with new_file(place) as unfinished:
        assert unfinished.suffix == place.suffix
        assert is_unfinished(unfinished)
        unfinished.write_text("half")
        raise error


def test_an_error_of_the_writer_leaves_the_older_file(tmp_path):
    place = tmp_path / "picture.png"
    write_file(place, "old")
    for error in (ValueError("no such format"), KeyboardInterrupt(), OSError(2, "No such", "font")):
        with pytest.raises(type(error)) as info:
            fail_within(place, error)
        assert info.value is error  # one of another file keeps the name of that
    assert place.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]


def test_what_is_no_text_is_refused_before_anything_is_touched(tmp_path):
    place = tmp_path / "file"
    write_file(place, "old")
    with pytest.raises(UnicodeEncodeError):
        write_file(place, "\udcff")
    assert place.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_and_a_folder_in_its_place(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing/file'$"):
        write_file(tmp_path / "missing" / "file", "text")
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path, "text")


def test_a_link_and_the_permissions_stay(tmp_path):
    real = tmp_path / "real"
    write_file(real, "old")
    real.chmod(0o600)
    (tmp_path / "link").symlink_to(real)
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_device_is_written_to(tmp_path):
    write_file("/dev/null", "text")
    with new_file("/dev/null") as place:
        assert str(place) == "/dev/null"
    assert not os.path.isfile("/dev/null")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_full_device_is_told(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '/dev/full'"):
        write_file("/dev/full", "text")


def test_only_what_is_unfinished_is_removed(tmp_path):
    for name in (".a.0123456789abcdef.part", ".b.0123456789abcdef.part.html"):
        (tmp_path / name).write_text("half")
    others = {".hidden", "a.part", ".a.part", ".a.0123.part.html", "b.html", ".x.tmp"}
    for name in others:
        (tmp_path / name).write_text("whole")
    remove_unfinished(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == others


def test_a_report_replaces_an_older_one_whole(tmp_path, monkeypatch):
    history = History([Step(1, 2.5, 0.1, 3.0, 100, 0.5)])
    place = tmp_path / "report.html"
    write_report(history, place)
    old = place.read_text()
    monkeypatch.setattr(_write, "sync_file", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*report\.html'"):
        write_report(history, place, title="another")
    assert place.read_text() == old
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
