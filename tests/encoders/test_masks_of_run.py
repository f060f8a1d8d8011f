from __future__ import annotations

import pytest
import torch

from unconfound.data import Schema
from unconfound.encoders import build_encoder, save_encoder
from unconfound.encoders.feature_maps import feature_map
from unconfound.encoders.masks_of_run import is_run, masks_by_run
from unconfound.functional.foregrounds.feature_distance import estimate_masks_by_features

SCHEMA = Schema("images", (3, 32, 32))


def _saved(folder, name="convnet", schema=SCHEMA, **sizes):
    torch.manual_seed(0)
    encoder = build_encoder(name, schema, **sizes).eval()
    folder.mkdir()
    save_encoder(folder, encoder, schema=schema)
    return encoder


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    dark = torch.randint(20, 60, (4, 3, 32, 32), generator=generator)
    dark[:, :, 10:20, 12:24] = torch.randint(150, 200, (4, 3, 10, 12), generator=generator)
    return dark.to(torch.uint8)


def test_masks_are_those_of_the_encoders_features(tmp_path, images):
    encoder = _saved(tmp_path / "run", width=4)
    segment = masks_by_run(tmp_path / "run")
    expected = estimate_masks_by_features(images, feature_map(encoder, images, places=14))
    assert torch.equal(segment(images), expected)
    truth = torch.zeros_like(expected)
    truth[:, :, 10:20, 12:24] = True
    assert (expected == truth).float().mean() > 0.95


def test_images_of_another_size_are_resized_for_the_encoder_alone(tmp_path, images):
    _saved(tmp_path / "run", width=4)
    segment = masks_by_run(tmp_path / "run")
    larger = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    found = segment(larger)
    assert found.shape == (4, 1, 64, 64)
    assert (found[:, :, ::2, ::2] == segment(images)).float().mean() > 0.95


def test_what_computes_no_masks_is_refused(tmp_path, images):
    _saved(tmp_path / "rows", "mlp", Schema("tables", (4,)), width=4)
    with pytest.raises(ValueError, match=r"rows is a run of tables: give the run of an encoder of images"):
        masks_by_run(tmp_path / "rows")
    _saved(tmp_path / "vit", "vit_tiny_patch16_224")
    with pytest.raises(ValueError, match="vit_tiny_patch16_224 computes no feature map"):
        masks_by_run(tmp_path / "vit")
    _saved(tmp_path / "grey", schema=Schema("images", (1, 32, 32)), width=4)
    with pytest.raises(ValueError, match="takes images of 1 channels, these have 3: give another run, or"):
        masks_by_run(tmp_path / "grey")(images)


def test_a_run_is_told_from_a_folder_of_masks(tmp_path):
    assert not is_run(tmp_path / "nothing")
    folder = tmp_path / "masks"
    (folder / "cats").mkdir(parents=True)
    assert not is_run(folder)
    (folder / "config.toml").touch()
    assert is_run(folder)
    with pytest.raises(FileNotFoundError, match=r"holds no encoder\.json: give the folder of a finished run"):
        masks_by_run(folder)
    (folder / "encoder.json").touch()
    (folder / "cats" / "1.png").touch()
    with pytest.raises(
        ValueError, match=r"holds encoder.json, as a run does, and cats/1.png, as a folder of masks does"
    ):
        is_run(folder)
