"""Pictures of an encoder's attention: images lit by its spatial gates, and how much of these is on the foreground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from unconfound.data import Source
from unconfound.encoders import Gated, find_wrapper
from unconfound.evaluation import intervals
from unconfound.evaluation.attention import foreground_shares, spatial_gates
from unconfound.evaluation.figures import Figure
from unconfound.report.pictures import Sample, data_uri, evenly_spaced, first_of_classes, rgb_pixels, samples
from unconfound.report.plots import lit

SHOWN = 8  # images
MEASURED = 256  # images over which the foreground's share is measured, at most
SPAN = 0.2  # between dark and fully lit, at least: what differs less shall not look as if it did
HARDLY = 0.05  # a gate that spans less of (0, 1) within an image hardly tells one place from another


@dataclass(frozen=True)
class LitImage:
    """An image, and the image lit by each gate: that of the mean weights, then those of the environments.

    Args:
        sample: the image.
        gates: data URIs.
        lowest, highest: of each gate on this image.
    """

    sample: Sample
    gates: tuple[str, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]


@dataclass(frozen=True)
class AttentionPart:
    """What the page shows of the attention of one encoder.

    Args:
        sentences: what there is to see, or why there is nothing.
        titles: of the gates.
        shown: a few images, not selected by hand.
        lowest, highest: the gates that are drawn dark and fully lit.
        shares: of each gate, how much of it lies on the foreground; empty where foregrounds are not known.
        differences: these minus the foreground's area.
        area: the foreground's share of the images.
    """

    sentences: tuple[str, ...]
    titles: tuple[str, ...] = ()
    shown: tuple[LitImage, ...] = ()
    lowest: float = 0.0
    highest: float = 1.0
    shares: tuple[Figure, ...] = ()
    differences: tuple[Figure, ...] = ()
    area: Figure | None = None


def attention_part(encoder: Any, source: Source, *, device: str = "cpu", batch_size: int = 512) -> AttentionPart | None:
    """Look at the spatial gates of an encoder.

    Args:
        encoder: `Encoder`, or anything that embeds images; it is left as it is.
        source: what the encoder is evaluated on.
        device: where the encoder runs.
        batch_size: images at a time.

    Returns:
        None without attention, and for what is no image.
    """
    gated = find_wrapper(encoder, Gated)
    if gated is None or source.schema.modality != "images":
        return None
    chosen = evenly_spaced(len(source), MEASURED)
    looked = first_of_classes(source.labels, len(source), limit=SHOWN)
    images, gates, masks = spatial_gates(gated, source, looked, device=device, batch_size=batch_size)
    if gates[0].numel() == gates.shape[1]:
        return AttentionPart(
            ("The feature map has a single position, so that the spatial gate scales the image as a whole.",)
        )
    lowest, highest = _scale(gates)
    titles = ("mean weights", *(f"environment {number}" for number in range(len(gates) - 1)))
    shown = tuple(
        LitImage(
            sample,
            tuple(_lit(image, gate, lowest, highest) for gate in own),
            tuple(own.amin((1, 2)).tolist()),
            tuple(own.amax((1, 2)).tolist()),
        )
        for sample, image, own in zip(samples(source, looked), images, gates.transpose(0, 1), strict=True)
    )
    _, gates, masks = spatial_gates(gated, source, chosen, device=device, batch_size=batch_size)
    span = float((gates[0].amax((1, 2)) - gates[0].amin((1, 2))).mean())
    sentences = [_spans(span, len(chosen))]
    if masks is None or not bool(masks.any()):
        return AttentionPart(tuple(sentences), titles, shown, lowest, highest)
    known = masks.flatten(1).any(1)
    shares, area = foreground_shares(gates[:, known], masks[known])
    differences = tuple(intervals.mean_difference(own, area) for own in shares)
    figures = tuple(intervals.mean(own) for own in shares)
    sentences.append(_against_foreground(figures[0], differences[0], intervals.mean(area)))
    return AttentionPart(tuple(sentences), titles, shown, lowest, highest, figures, differences, intervals.mean(area))


def _scale(gates: Float[Tensor, "gates images rows columns"]) -> tuple[float, float]:
    """Return which gates are drawn dark and fully lit: the lowest and highest, but not too near each other."""
    lowest, highest = float(gates.min()), float(gates.max())
    if (missing := SPAN - (highest - lowest)) > 0:
        lowest = min(max(0.0, lowest - missing / 2), 1 - SPAN)
        highest = lowest + SPAN
    return lowest, highest


def _lit(
    image: UInt8[Tensor, "channels height width"] | Float[Tensor, "channels height width"],
    gate: Float[Tensor, "rows columns"],
    lowest: float,
    highest: float,
) -> str:
    """Draw an image greyed, and lit where the gate is open."""
    share: np.ndarray = ((gate - lowest) / (highest - lowest)).numpy()
    pixels = lit(rgb_pixels(image).numpy(), share, 1.0)
    return data_uri(torch.from_numpy(pixels).permute(2, 0, 1))


def _spans(span: float, images: int) -> str:
    verdict = "it hardly differs between positions" if span < HARDLY else "it differs between positions"
    return (
        f"Embeddings use the spatial gate of the mean weights. Within an image, its lowest and highest value differ by "
        f"{span:.2f} (mean over {images:,} images; the range is 0 to 1): {verdict}."
    )


def _against_foreground(share: Figure, more: Figure, area: Figure) -> str:
    flat = "than for a gate that is the same everywhere"
    verdict = "no difference from a gate that is the same everywhere is shown"
    if more.low > 0 or more.high < 0:
        verdict = f"{100 * abs(more.value):.1f} points {'more' if more.value > 0 else 'less'} {flat}"
    return (
        f"The foreground covers {100 * area.value:.1f} % of these images, and {100 * share.value:.1f} % of the gate "
        f"lies on it: {verdict}."
    )
