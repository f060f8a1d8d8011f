import pickle

import numpy as np
import pytest

from unconfound.data.sets.cifar_pickles import read_cifar_batch, read_cifar_classes


def _python2_pickle(images, labels):
    """A batch as Python 2 and its NumPy wrote the official ones: protocol 2, byte strings, numpy.core.multiarray."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    integer = lambda number: b"J" + number.to_bytes(4, "little")  # noqa: E731
    raw = images.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + short(b"b") + b"\x87R"
        b"(K\x01" + integer(images.shape[0]) + integer(images.shape[1]) + b"\x86"
        b"cnumpy\ndtype\n"
        + short(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + short(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"".join(short(b"cat_s_%06d.png" % number) for number in range(len(labels))) + b"e"
    items = short(b"data") + array + short(b"labels") + listed + short(b"filenames") + names
    return b"\x80\x02}(" + items + b"u."


@pytest.fixture
def batch():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (4, 3072), dtype=np.uint8), [3, 0, 9, 1]


def _check(read, batch):
    assert np.array_equal(read.images, batch[0].reshape(4, 3, 32, 32))
    assert read.labels.tolist() == batch[1]


def test_the_form_of_the_official_files(tmp_path, batch):
    content = _python2_pickle(*batch)
    trusted = pickle.loads(content, encoding="latin1")
    assert np.array_equal(trusted["data"], batch[0])
    (tmp_path / "batch").write_bytes(content)
    read = read_cifar_batch(tmp_path / "batch", 10)
    _check(read, batch)
    assert read.names[1] == "cat_s_000001.png"


@pytest.mark.parametrize("protocol", range(2, 5))
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_pickles_today(tmp_path, batch, protocol, order):
    content = {"data": np.asarray(batch[0], order=order), "fine_labels": batch[1]}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_cifar_batch(tmp_path / "batch", 10)
    _check(read, batch)
    assert read.names == ()


class _Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("place", ["top", "data", "labels"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, batch, protocol, place):
    attack = _Attack(open, str(tmp_path / "executed"), "w")
    content = attack if place == "top" else {"data": batch[0], "labels": batch[1]} | {place: attack}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=r"asks for \S+, which was refused and not executed"):
        read_cifar_batch(tmp_path / "batch", 10)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["numpy load", "builtins eval", "os system", "numpy.core.multiarray fromfile"])
def test_no_name_beside_those_of_an_array_is_known(tmp_path, name):
    module, function = name.split()
    (tmp_path / "batch").write_bytes(f"c{module}\n{function}\n(S'x'\ntR.".encode())
    with pytest.raises(ValueError, match=f"asks for {module}.{function}"):
        read_cifar_batch(tmp_path / "batch", 10)


def test_the_names_that_are_known_build_nothing_of_numpy(tmp_path):
    stack = b"cnumpy.core.multiarray\n_reconstruct\n(tR."
    (tmp_path / "batch").write_bytes(stack)
    with pytest.raises(ValueError, match="holds a _Array, not a dictionary"):
        read_cifar_batch(tmp_path / "batch", 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, "lacks the array data"),
        ({"data": np.zeros((4, 3000), np.uint8)}, r"shape \(4, 3000\) and 4 labels"),
        ({"data": np.zeros((3, 3072), np.uint8)}, r"shape \(3, 3072\) and 4 labels"),
        ({"data": np.zeros((4, 3072), np.float32)}, "elements are f4, not bytes"),
        ({"labels": [0, 1, 2, 10]}, "not integers from 0 to 9"),
        ({"labels": [0, 1, 2, "3"]}, "not integers from 0 to 9"),
        ({"labels": None}, "the list labels"),
    ],
)
def test_other_content_is_refused(tmp_path, batch, change, message):
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": batch[0], "labels": batch[1]} | change, protocol=2))
    with pytest.raises(ValueError, match=message):
        read_cifar_batch(tmp_path / "batch", 10)


def test_truncated_files_are_refused_in_one_line(tmp_path, batch):
    content = _python2_pickle(*batch)
    for length in (0, 1, 50, 500, len(content) - 1):
        (tmp_path / "batch").write_bytes(content[:length])
        with pytest.raises(ValueError, match="cannot be read") as caught:
            read_cifar_batch(tmp_path / "batch", 10)
        assert "\n" not in str(caught.value)


def test_names_of_the_classes(tmp_path):
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": ["a", "b"]}, protocol=2))
    assert read_cifar_classes(tmp_path / "meta", "fine_label_names") == ("a", "b")
    with pytest.raises(ValueError, match="lacks the list label_names"):
        read_cifar_classes(tmp_path / "meta", "label_names")
