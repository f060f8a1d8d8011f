import numpy as np
import pytest

from unconfound.data.files import array_files
from unconfound.data.files.array_files import check_finite_array, read_arrays, value_range


def test_names_have_meanings(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        x=np.zeros((3, 2)),
        y=np.arange(3),
        test_x=np.ones((1, 2)),
        test_y=np.arange(1),
        extra=1,
    )
    file = read_arrays(tmp_path / "a.npz")
    assert set(file.arrays) == {"samples", "labels", "test_samples", "test_labels"}
    assert set(file.test()) == {"samples", "labels"}
    assert file.notes == ("arrays that were passed over: extra",)


def test_an_npy_file_is_mapped_and_never_written_to(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    samples = read_arrays(tmp_path / "a.npy").arrays["samples"]
    assert isinstance(samples, np.memmap)
    samples[0] = 5
    assert (np.load(tmp_path / "a.npy") == 0).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.zeros(3)}, "holds labels, but no array images or x or rows"),
        ({}, "holds nothing, but no array"),
        ({"images": np.zeros((2, 3)), "lables": np.zeros(2)}, "'lables': did you mean 'labels'"),
        ({"images": np.zeros((2, 3)), "x": np.zeros((2, 3))}, "holds samples twice: keep one of images or x"),
        ({"images": np.zeros((2, 3)), "y": np.zeros(3)}, r"2 samples but labels of shape \(3,\)"),
        ({"images": np.zeros((2, 3)), "groups": np.array(1)}, r"groups of shape \(\)"),
        ({"images": np.zeros((2, 3)), "test_y": np.zeros(3)}, "holds test_labels, but no array test_images"),
        ({"images": np.zeros((0, 3))}, r"holds no samples: the array has the shape \(0, 3\)"),
        ({"images": np.zeros((2, 3)), "test_x": np.array(2)}, "holds no test_samples"),
        ({"images": np.array([[1], [1, 2]], dtype=object)}, "Python objects"),
    ],
)
def test_unclear_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_arrays(tmp_path / "a.npz")


class _Attack:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_pickles_are_refused_and_not_executed(tmp_path, name):
    attack = np.array([_Attack()], dtype=object)
    np.save(tmp_path / "a.npy", attack, allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=attack, allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        read_arrays(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("cut", [0, 10, 150, 1000])
def test_damaged_files_are_refused_in_one_line(tmp_path, name, cut):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((20, 10)))
    np.savez(tmp_path / "a.npz", images=np.random.default_rng(0).random((20, 10)))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:cut])
    with pytest.raises(ValueError, match=name) as caught:
        read_arrays(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", [b"{'descr': '<f8', 'shape': (3,", b"{'descr': '''", b"{" * 300, b"\0" * 40])
def test_damaged_headers_are_refused_whatever_numpy_raises(tmp_path, header):
    header += b" " * (117 - len(header) % 117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy is damaged: ") as caught:
        read_arrays(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_arrays(tmp_path / "a.npy")


def test_values_that_are_not_finite_are_counted_and_the_first_is_placed(monkeypatch):
    monkeypatch.setattr(
        array_files,
        "_parts",
        lambda values: ((start, values[start : start + 1]) for start in range(len(values))),
    )
    values = np.zeros((4, 2, 3))
    check_finite_array(values, what="images")
    values[2, 1, 0], values[2, 0, 2], values[3] = np.inf, np.nan, -np.inf
    with pytest.raises(ValueError, match=r"images hold 8 values .* first at position \(2, 0, 2\)"):
        check_finite_array(values, what="images")


def test_the_range_is_that_of_all_parts():
    values = np.random.default_rng(0).normal(size=(5000, 30, 60))
    assert value_range(values) == (values.min(), values.max())
