"""Masks of foregrounds by the encoder of a run, for images of which none are known."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.functional import interpolate

from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.images.mask_verdict import Segment
from unconfound.encoders.feature_maps import feature_map
from unconfound.encoders.normalized import Images
from unconfound.encoders.saved import load_encoder, read_card
from unconfound.functional.foregrounds.feature_distance import estimate_masks_by_features
from unconfound.functional.inputs import unit_range

# Rows and columns of the feature map: of 14 x 14, as networks for 224 pixels have it, or at least as fine.
_PLACES = 14


def is_run(folder: Path) -> bool:
    """Say whether a folder is a run, finished or not, and no folder of masks.

    Raises:
        ValueError: it could be either.
    """
    marks = [name for name in ("encoder.json", "config.toml") if (folder / name).is_file()]
    if not marks:
        return False
    picture = next((path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS), None)
    if picture is not None:
        raise ValueError(
            f"--masks {folder} holds {marks[0]}, as a run does, and {picture.relative_to(folder)}, as a folder of "
            "masks does: move one of them away"
        )
    return True


def masks_by_run(run: Path) -> Segment:
    """Return the function that estimates masks by the encoder of a run (`estimate_masks_by_features`).

    Images of another size than the encoder's are resized for it. Whatever the encoder was trained on, its wrappers play
    no part (`feature_map`).

    Raises:
        FileNotFoundError: the run holds no encoder yet.
        ValueError: a file is damaged, the encoder takes no images, or it computes no feature map.
    """
    schema = read_card(run).schema
    if schema.modality != "images":
        raise ValueError(f"--masks {run} is a run of {schema.modality}: give the run of an encoder of images")
    encoder, size = load_encoder(run), schema.shape[1:]
    feature_map(encoder, torch.zeros(1, *schema.shape), places=_PLACES)

    def segment(images: Images) -> Bool[Tensor, "batch 1 height width"]:
        if images.shape[1] != schema.shape[0]:
            raise ValueError(
                f"the encoder of {run} takes images of {schema.shape[0]} channels, these have {images.shape[1]}: give "
                "another run, or read the images with --channels"
            )
        shown = unit_range(images)
        if shown.shape[2:] != size:
            shown = interpolate(shown, size, mode="bilinear", align_corners=False, antialias=True)
        return estimate_masks_by_features(images, feature_map(encoder, shown, places=_PLACES))

    return segment
