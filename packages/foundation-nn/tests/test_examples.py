"""The examples: what they promise holds, and bad files are refused in one line."""

import gzip
import struct
import sys

import numpy as np
import pytest
from foundation_nn import image_files
from foundation_nn.examples import (
    classification,
    digits,
    linear_regression,
    xor,
)


@pytest.fixture(autouse=True)
def one_thread(threads):
    threads(1)


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it now fails
    monkeypatch.delitem(sys.modules, "foundation_nn.plotting._picture", raising=False)


def colours(path):
    """How many different colours a picture has; a blank one has one."""
    image = pytest.importorskip("matplotlib.image").imread(path)[..., :3]
    return len(np.unique((image * 255).astype(int) @ [65536, 256, 1]))


# XOR


@pytest.mark.parametrize("seed", range(20))
def test_xor_is_solved_from_every_seed(seed):
    model, steps = xor.train(seed, max_steps=100)
    assert 1 < steps < 60
    assert ((model(xor.Tensor(xor.X)).data > 0) == (xor.Y > 0)).all()


def test_xor_is_solved_no_sooner_than_it_says():
    _, steps = xor.train(0)
    for count, solved in ((steps, True), (steps - 1, False)):
        model, _ = xor.train(0, max_steps=count)
        loss, points = xor.loss(model, (xor.X, xor.Y))
        assert points == 4
        assert (loss.item() < xor.SOLVED) == solved
    assert xor.train(0, max_steps=steps)[1] is None  # the last update is not looked at any more


def test_xor_prints_the_four_answers_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert xor.main(["--out", str(tmp_path / "new" / "folder"), "--seeds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[3] == "=" for line in lines[1:5])  # no wrong answer
    rows = [[float(cell) for cell in line.replace("=", "").split()] for line in lines[1:5]]
    assert [row[:3] for row in rows] == [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]
    assert all(abs(row[2] - row[3]) < 0.05 for row in rows)
    assert lines[5].startswith("Seed 0: solved after")
    assert lines[6].startswith("Solved from 2 of 2 seeds")
    assert colours(tmp_path / "new" / "folder" / "xor.png") > 100


def test_without_matplotlib_the_result_is_still_printed(tmp_path, capsys, no_matplotlib):
    assert xor.main(["--out", str(tmp_path), "--seeds", "1"]) == 0
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0].startswith("Solved from 1 of 1 seeds")
    assert "No pictures" in last[1]
    assert "foundation-nn[plot]" in last[1]
    assert list(tmp_path.iterdir()) == []


def test_an_unsolved_xor_is_said_to_be_so(tmp_path, capsys, monkeypatch):
    train = xor.train
    monkeypatch.setattr(xor, "train", lambda seed: train(seed, max_steps=2))
    monkeypatch.setattr(xor, "pictures", lambda folder, drawings: 0)
    assert xor.main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Seed 0: not solved"
    assert sum("≠" in line for line in lines[1:5]) >= 1  # two steps leave a wrong answer


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert xor.main(["--out", str(tmp_path / "file"), "--seeds", "1"]) == 1
    assert "cannot be written" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number(seed, capsys):
    with pytest.raises(SystemExit):
        xor.main(["--seed", seed])
    assert "expected a whole number of at least 0" in capsys.readouterr().err


def test_seeds_must_be_at_least_one(capsys):
    with pytest.raises(SystemExit):
        xor.main(["--seeds", "0"])
    assert "--seeds: expected a whole number of at least 1, got 0" in capsys.readouterr().err


# linear regression


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_regression_finds_the_least_squares_line(seed):
    x, y = data = linear_regression.make_data(seed)
    expected = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y)[0][:, 0]
    before, after, _ = linear_regression.train(data, seed)
    np.testing.assert_allclose(after, expected, rtol=1e-12)
    np.testing.assert_allclose(linear_regression.closed_form(data), expected, rtol=1e-12)
    assert np.abs(np.subtract(before, expected)).max() > 0.1


def test_regression_prints_both_lines_and_draws(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert linear_regression.main(["--out", str(tmp_path), "--seed", "3"]) == 0
    rows = {line[:15].strip(): line[15:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["after training"] == rows["closed form"]
    assert rows["the truth"] == ["1.700000000000", "-0.800000000000"]
    assert colours(tmp_path / "linear_regression.png") > 50


# classification


def test_spirals_are_parted():
    rng = np.random.default_rng(5)
    data, fresh = classification.spirals(300, rng), classification.spirals(900, rng)
    model, history = classification.train(data, 5, steps=700)
    assert len(history.steps) == 700
    assert classification.accuracy(model, data) >= 0.99
    assert classification.accuracy(model, fresh) >= 0.95


def test_a_straight_line_does_not_part_the_spirals():
    data = classification.spirals(300, np.random.default_rng(0))
    x, y = data
    ones = np.hstack([x, np.ones((300, 1))])
    best = np.linalg.lstsq(ones, np.eye(3)[y])[0]
    assert np.mean((ones @ best).argmax(1) == y) < 0.6


def test_an_epoch_has_every_point_once():
    data = classification.spirals(100, np.random.default_rng(0))
    batches = list(classification.Batches(data, 32, np.random.default_rng(1)))
    assert [len(y) for _, y in batches] == [32, 32, 32, 4]
    seen = np.concatenate([x for x, _ in batches])
    assert not np.array_equal(seen, data[0])
    np.testing.assert_array_equal(np.sort(seen, axis=0), np.sort(data[0], axis=0))


def test_classification_prints_its_accuracy_and_draws_two_pictures(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert classification.main(["--out", str(tmp_path), "--steps", "1000"]) == 0
    learned = capsys.readouterr().out.splitlines()[1]
    assert learned.startswith("Accuracy on the 600 points it learned from: ")
    assert float(learned.split()[-1].rstrip("%")) >= 99
    for name in ("classification.png", "classification_loss.png"):
        assert colours(tmp_path / name) > 100


# digits: a task of the same kind that needs no scikit-learn


def bars(count, side=6, seed=0):
    """Noisy images of one bright row: the label is the number of the row."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, side, count)
    images = rng.integers(0, 90, (count, side, side))
    images[np.arange(count), labels] += 150
    return images.astype(np.uint8), labels.astype(np.uint8)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx(folder, images, labels, ending=""):
    pack = gzip.compress if ending else bytes
    path = folder / f"train-images-idx3-ubyte{ending}"
    path.write_bytes(pack(idx(images)))
    (folder / f"train-labels-idx1-ubyte{ending}").write_bytes(pack(idx(labels)))
    return path


def write_csv(path, images, labels, first, header=None):
    pixels = images.reshape(len(images), -1)
    columns = [labels[:, None], pixels] if first else [pixels, labels[:, None]]
    rows = [",".join(map(str, row)) for row in np.hstack(columns)]
    path.write_text("\n".join([header] * bool(header) + rows) + "\n")
    return path


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_read(tmp_path, ending):
    images, labels = bars(7)
    read = image_files.from_file(write_idx(tmp_path, images, labels, ending))
    np.testing.assert_allclose(read.images, images / images.max(), rtol=1e-6)
    assert read.images.dtype == np.float32
    assert [read.names[t] for t in read.targets] == [str(label) for label in labels]


def test_images_and_labels_need_not_both_be_gzipped(tmp_path):
    images, labels = bars(7)
    path = write_idx(tmp_path, images, labels)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    assert len(image_files.from_file(path).targets) == 7


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_csv_files_are_read_with_the_label_on_either_side(tmp_path, first, header):
    images, labels = bars(60)
    names = [f"pixel{i}" for i in range(36)]
    names.insert(0 if first else 36, "Label")
    path = write_csv(
        tmp_path / "bars.csv", images, labels, first, ",".join(names) if header else None
    )
    read = image_files.from_file(path)
    np.testing.assert_allclose(read.images, images / images.max(), rtol=1e-6)
    np.testing.assert_array_equal(read.targets, labels)


def test_a_gzipped_csv_is_known_by_its_content(tmp_path):
    images, labels = bars(60)
    path = write_csv(tmp_path / "plain", images, labels, first=False)
    (tmp_path / "packed").write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(image_files.from_file(tmp_path / "packed").targets, labels)


def test_where_both_columns_could_be_labels_one_has_to_say(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("0,5,9,7,1\n1,6,4,2,0\n2,8,3,1,1\n")
    with pytest.raises(ValueError, match="say --label first or --label last"):
        image_files.from_file(path)
    np.testing.assert_array_equal(image_files.from_file(path, "first").targets, [0, 1, 2])
    np.testing.assert_array_equal(image_files.from_file(path, "last").targets, [1, 0, 1])


def test_labels_may_be_any_whole_numbers(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("label,a\n7,1\n-3,2\n7,3\n")
    read = image_files.from_file(path)
    assert (read.names, read.targets.tolist()) == (["-3", "7"], [1, 0, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no line with numbers"),
        (b"label,pixel\n", "no line with numbers"),
        (b"0,1\n1,2,3\n", "not a table of numbers"),
        (b"0,1\n1,x\n", "not a table of numbers"),
        (b"0,1,2,3\n1,2,3,4\n", "square number of pixels in each line, got 4 columns"),
        (b"7\n8\n", "got 1 columns"),
        (b"0,nan\n1,2\n", "holds inf or nan"),
        (b"label,a\n0.5,1\n1,2\n", "not whole numbers"),
        (b"\x89PNG\xff\xfe", "neither IDX nor CSV"),
        (b"\x1f\x8b\x08broken", "damaged or truncated gzip file"),
        (gzip.compress(b"0,1\n1,2\n" * 99, mtime=0)[:-9], "damaged or truncated gzip file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\0\0\x0d\x03" + bytes(12), "expected unsigned bytes .*got type 13"),
        (b"\0\0\x08\x03" + bytes(5), "cut off within the header"),
        (idx(np.zeros((2, 3, 3), np.uint8))[:-1], "expected 18 bytes for shape .*, got 17"),
        (idx(np.zeros((2, 3, 3), np.uint8)) + b"x", "expected 18 bytes for shape .*, got 19"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "expected .* bytes for shape"),
        (idx(np.zeros(5, np.uint8)), "a label file?"),
        (idx(np.zeros((2, 3, 3), np.uint8)), "labels-idx1-ubyte: no such file"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as refusal:
        image_files.from_file(path)
    assert str(tmp_path) in str(refusal.value)
    assert digits.main(["--data", str(path), "--out", str(tmp_path / "out")]) == 1
    output = capsys.readouterr()
    assert output.out.count("\n") == 1
    assert output.out.startswith("digits: ")
    assert not (tmp_path / "out").exists()


def test_labels_that_do_not_fit_the_images_are_refused(tmp_path):
    images, labels = bars(7)
    path = write_idx(tmp_path, images, labels[:6])
    with pytest.raises(ValueError, match=r"expected 7 labels, got shape \(6,\)"):
        image_files.from_file(path)
    other = tmp_path / "pictures"
    other.write_bytes(idx(images))
    with pytest.raises(ValueError, match="expected a name like train-images-idx3-ubyte"):
        image_files.from_file(other)
    empty = write_idx(tmp_path, images[:0], labels[:0])
    with pytest.raises(ValueError, match="no images"):
        image_files.from_file(empty)


def test_a_missing_file_and_too_few_images_are_refused(tmp_path, capsys):
    assert digits.main(["--data", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such file" in capsys.readouterr().out
    assert digits.main(["--data", str(write_idx(tmp_path, *bars(9)))]) == 1
    assert "at least 10 images of 2 kinds, got 9" in capsys.readouterr().out


def test_without_scikit_learn_one_line_names_the_package(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert digits.main([]) == 1
    message = capsys.readouterr().out
    assert message.count("\n") == 1
    assert "pip install scikit-learn" in message


def test_digits_learns_from_a_file_and_shows_its_mistakes(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = write_idx(tmp_path, *bars(400))
    # A bar that is moved by a row is another bar: so the network is not perfect here.
    assert digits.main(["--data", str(path), "--out", str(tmp_path), "--steps", "60"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("320 images of 6 × 6 pixels to learn from, 80 to be tested on, 6")
    assert float(lines[2].split()[-1].rstrip("%")) > 60  # guessing: 17
    assert lines[-1] == f"Picture: {tmp_path / 'digits.png'}"
    assert colours(tmp_path / "digits.png") > 20


def test_digits_of_scikit_learn_are_read_well():
    pytest.importorskip("sklearn")
    everything = image_files.from_scikit_learn()
    assert everything.images.shape == (1797, 8, 8)
    learn, test = digits.split(everything, np.random.default_rng(0))
    model = digits.train(learn, 0, 500)
    assert np.mean(digits.answers(model, test.images) == test.targets) >= 0.97


def test_nothing_is_both_learned_and_tested():
    images = np.arange(50, dtype=np.float32).reshape(50, 1, 1)
    everything = image_files.Digits(images, np.arange(50), [str(i) for i in range(50)])
    learn, test = digits.split(everything, np.random.default_rng(0))
    assert (len(learn.images), len(test.images)) == (40, 10)
    np.testing.assert_array_equal(learn.images.ravel(), learn.targets)
    assert sorted([*learn.targets, *test.targets]) == list(range(50))


def test_a_shift_moves_by_a_pixel_and_brings_in_zeros():
    image = np.arange(1, 7, dtype=np.float32).reshape(1, 2, 3)
    np.testing.assert_array_equal(digits.shifted(image, 0, 0), image)
    np.testing.assert_array_equal(digits.shifted(image, 1, 0), [[[0, 0, 0], [1, 2, 3]]])
    np.testing.assert_array_equal(digits.shifted(image, 0, -1), [[[2, 3, 0], [5, 6, 0]]])


def test_the_grid_names_answer_and_truth(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(digits, "plot_images", lambda *args, title: shown.append((*args, title)))
    test = image_files.Digits(np.zeros((3, 2, 2), np.float32), np.array([0, 1, 1]), ["cat", "dog"])
    for given in ([0, 0, 1], [0, 1, 1]):
        monkeypatch.setattr(digits, "answers", lambda model, images, g=given: np.array(g))
        digits.show_mistakes(None, test, tmp_path)
    assert shown[0][1] == ["cat ≠ dog"]
    assert shown[0][3] == "1 mistake in 3 images: answer ≠ truth"
    assert shown[1][1] == ["cat = cat", "dog = dog", "dog = dog"]
    assert shown[1][3].startswith("No mistakes in 3 images")


def test_digits_takes_at_least_one_step(capsys):
    with pytest.raises(SystemExit):
        digits.main(["--steps", "0"])
    assert "--steps: expected a whole number of at least 1, got 0" in capsys.readouterr().err
