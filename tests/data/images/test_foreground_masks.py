import numpy as np
import pytest
import torch

from unconfound.data import MemorySource, Schema
from unconfound.data.images.foreground_masks import MaskedSource, read_mask


def _source(samples=3, size=4):
    inputs = torch.arange(samples, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, size, size)
    return MemorySource("toy", Schema("images", (3, size, size), ("a",)), inputs, torch.zeros(samples).long())


def test_masks_come_with_their_samples_in_any_order(tmp_path):
    for number in range(3):
        mask = np.zeros((4, 4), dtype=np.int64)
        mask.flat[number] = 1
        np.save(tmp_path / f"{number}.npy", mask)
    masked = MaskedSource(_source(), tuple(tmp_path / f"{number}.npy" for number in range(3)))
    first, second = masked.batches([torch.tensor([2, 0]), torch.tensor([1])])
    assert first.masks.flatten(1).nonzero().tolist() == [[0, 2], [1, 0]]
    assert first.inputs[:, 0, 0, 0].tolist() == [2, 0]
    assert second.masks.flatten(1).nonzero().tolist() == [[0, 1]]
    assert len(masked) == 3
    assert masked.schema.classes == ("a",)


def test_a_mask_is_cut_and_resized_as_its_image_is(tmp_path):
    mask = np.zeros((8, 12), dtype=bool)
    mask[:4, 2:6] = True  # the left upper quarter of the central square
    np.save(tmp_path / "a.npy", mask)
    expected = np.zeros((4, 4), dtype=bool)
    expected[:2, :2] = True
    assert np.array_equal(read_mask(tmp_path / "a.npy", 4)[0], expected)


def test_damaged_and_missing_masks_are_named(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 2)))
    with pytest.raises(FileNotFoundError, match=r"2 of 3 masks are missing, the first .*b\.npy"):
        MaskedSource(_source(), (path, tmp_path / "b.npy", tmp_path / "c.npy"))
    with pytest.raises(ValueError, match="1 masks for the 3 samples of toy"):
        MaskedSource(_source(), (path,))
    for values, message in (
        (np.zeros((2, 2, 3)), r"a\.npy has the shape \(2, 2, 3\), but a mask is \[height, width\]"),
        (np.zeros((0, 2)), "has the shape"),
        (np.array([["a"]]), "but a mask is"),
        (np.array([[{}]], dtype=object), r"a\.npy is damaged"),
    ):
        np.save(path, values)
        with pytest.raises(ValueError, match=message) as caught:
            read_mask(path, 2)
        assert "\n" not in str(caught.value)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"a\.npy is damaged"):
        read_mask(path, 2)
