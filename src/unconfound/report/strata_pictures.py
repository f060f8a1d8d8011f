"""Pictures of ICL-MSR's strata: the images that each emphasises, and which parts of these images it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup
from torch import Tensor

from unconfound.data import Source
from unconfound.encoders import read_card
from unconfound.evaluation.figures import Figure
from unconfound.evaluation.strata_importance import (
    emphasis,
    foreground_shares_of_strata,
    mean_share,
    occlusion,
    shuffled_share,
    values_and_strata,
    without_patches,
)
from unconfound.functional.interventional import strata_cosine
from unconfound.report.pictures import evenly_spaced, rgb_pixels
from unconfound.report.plots import strata_plot
from unconfound.training.saved_method import load_method

METHOD = "icl-msr"
SAMPLES = 256  # from which the shown ones are chosen
SHOWN = 6  # images a stratum


@dataclass(frozen=True)
class StrataPart:
    """What the page shows of the strata of one encoder.

    Args:
        sentences: what there is to see, or why there is nothing.
        drawing: strata below each other, and the images that each emphasises next to each other.
        foreground: share of the occlusion maps that lies on the foreground, a figure a stratum; empty where foregrounds
            are not known.
        control: the same of strata whose numbers are shuffled: the mean, and between which 95 % of them lie.
        area: the foreground's share of the images' area.
        samples: over how many images.
    """

    sentences: tuple[str, ...]
    drawing: Markup | None = None
    foreground: tuple[Figure | None, ...] = ()
    control: Figure | None = None
    area: float = 0.0
    samples: int = 0


def strata_part(
    run: Path | None, source: Source, *, prefix: str = "strata", device: str = "cpu", batch_size: int = 512
) -> StrataPart | None:
    """Look at the strata of a run, on images.

    Args:
        run: the run folder.
        source: what the encoder is evaluated on.
        prefix: of the identifiers in the drawing; unique on the page.
        device: where the method runs.
        batch_size: images at a time.

    Returns:
        What the page shows: a sentence that says why, where the folder does not give the method back. None for runs of
        other methods, for what is no image, and for a single image, of which hosts make nothing.
    """
    if run is None or source.schema.modality != "images" or len(source) < 2:
        return None
    if read_card(run).provenance.get("method") != METHOD:
        return None
    try:
        method = load_method(run)
    except (FileNotFoundError, ValueError) as error:
        return StrataPart((f"The strata cannot be shown: {error}.",))
    return look_at_strata(method.to(device), source, prefix=prefix, batch_size=batch_size)


def look_at_strata(method: Any, source: Source, *, prefix: str = "strata", batch_size: int = 512) -> StrataPart:
    """Draw which images the strata of a method emphasise, and which parts of these they depend on.

    Args:
        method: ICL-MSR in evaluation mode; it is left as it is.
        source: images, at least two.
        prefix: of the identifiers in the drawing; unique on the page.
        batch_size: images at a time.
    """
    if method.options.strata_form == "backgrounds":
        return StrataPart(
            ("The strata are the backgrounds of the training images: nothing is learnt that can be shown.",)
        )
    chosen = evenly_spaced(len(source), SAMPLES)
    batch = next(iter(source.batches([chosen])))
    images, masks = batch.inputs, batch.masks
    assert isinstance(images, Tensor)
    images = images / 255.0 if images.dtype == torch.uint8 else images
    values, strata = values_and_strata(method, images, batch_size=batch_size)
    emphases = emphasis(values, strata)
    # In a stable order: of images that a stratum emphasises equally, the first.
    most = emphases.argsort(dim=0, descending=True, stable=True)[:SHOWN].T
    # An image that several strata emphasise is looked at once.
    shown, places = most.unique(return_inverse=True)
    values, strata = values[shown], strata if strata.dim() == 2 else strata[shown]
    without = without_patches(method, images[shown], batch_size=batch_size)
    importance = occlusion(values, without, strata)
    sentences = [_alike(float(strata_cosine(strata)), strata.shape[-2])]
    figures: list[Figure | None] = []
    control, area = None, 0.0
    if masks is not None and bool(masks[shown].any()):
        area = float(masks[shown].double().mean())
        figures = [mean_share(share) for share in foreground_shares_of_strata(importance, masks[shown]).T]
        control = shuffled_share(values, without, strata, masks[shown])
        sentences.append(_against_foreground(figures, control, area))
    drawing = strata_plot(
        [[rgb_pixels(images[shown[place]]) for place in row] for row in places.tolist()],
        [[importance[place, number].numpy() for place in row] for number, row in enumerate(places.tolist())],
        emphases.T.gather(1, most).tolist(),
        prefix=prefix,
    )
    return StrataPart(tuple(sentences), drawing, tuple(figures), control, area, len(shown))


def _alike(cosine: float, count: int) -> str:
    if count == 1:
        return "There is one stratum: it emphasises all images equally, and adjusts for nothing."
    return (
        f"The mean cosine of pairs of the {count} strata is {cosine:.2f}; at 1 they are equal and adjust for nothing."
    )


def _against_foreground(figures: Sequence[Figure | None], control: Figure | None, area: float) -> str:
    known = [figure.value for figure in figures if figure is not None]
    if not known or control is None:
        return "Removing a patch never lowers the emphasis of a stratum on its images."
    low, high, least, most = (f"{100 * share:.0f}" for share in (min(known), max(known), control.low, control.high))
    more, less = sum(value > control.high for value in known), sum(value < control.low for value in known)
    return (
        f"The foreground covers {100 * area:.0f} % of these images. Of what the strata depend on, {low} to {high} % "
        f"lies on it; for meaningless strata, whose numbers are shuffled, this is {least} to {most} %. Strata that "
        f"depend on the foreground more than those: {more} of {len(figures)}; less: {less}."
    )
