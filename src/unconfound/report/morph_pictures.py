"""What an encoder with a morpher is shown in place of an image: the image, its mask, and their product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data import Source
from unconfound.encoders import Morphed, find_wrapper
from unconfound.encoders.apply import at_rest
from unconfound.report.pictures import Sample, data_uri, first_of_classes, samples

SHOWN = 12


@dataclass(frozen=True)
class Morph:
    """An image, its mask and the morphed image as data URIs, and between which values the mask lies."""

    sample: Sample
    mask: str
    morphed: str
    lowest: float
    mean: float
    highest: float


@dataclass(frozen=True)
class MorphPart:
    """What the page shows of a morpher: a few images, not selected by hand."""

    shown: tuple[Morph, ...]


def morph_part(encoder: Any, source: Source, *, device: str = "cpu") -> MorphPart | None:
    """Morph a dozen images: the first ones of each class.

    Args:
        encoder: `Encoder`, or anything that embeds images; it is left as it is.
        source: what the encoder is evaluated on.
        device: where the encoder runs.

    Returns:
        None without a morpher, and for what is no image.
    """
    network = find_wrapper(encoder, Morphed)
    if network is None or source.schema.modality != "images":
        return None
    chosen = _dozen(source)
    batch = next(iter(source.batches([chosen])))
    assert isinstance(batch.inputs, Tensor)
    with at_rest(encoder, torch.device(device)), torch.inference_mode():
        morphed, masks = (each.float().cpu() for each in network.morph(batch.inputs.to(device)))
    return MorphPart(
        tuple(
            Morph(
                sample,
                data_uri(mask),
                data_uri(image),
                *(float(value) for value in (mask.min(), mask.mean(), mask.max())),
            )
            for sample, mask, image in zip(samples(source, chosen), masks, morphed, strict=True)
        )
    )


def _dozen(source: Source) -> Int[Tensor, " chosen"]:
    """Choose samples without looking at them: the first ones of each class, as many of each as makes a dozen."""
    known = torch.empty(0) if source.labels is None else source.labels[source.labels >= 0].unique()
    if source.labels is None or not 0 < len(known) < SHOWN:
        return first_of_classes(source.labels, len(source), limit=SHOWN)
    each = -(-SHOWN // len(known))
    firsts = [(source.labels == label).nonzero()[:each, 0].tolist() for label in known]
    turns = [places[turn] for turn in range(each) for places in firsts if turn < len(places)][:SHOWN]
    return torch.tensor([place for places in firsts for place in places if place in turns])
