"""What ICL-MSR's strata stand for: the images that each leans to, and where in these images it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from markupsafe import Markup
from torch import Tensor

from unconfound.data import Source
from unconfound.encoders import read_card
from unconfound.evaluation import intervals
from unconfound.evaluation.figures import Figure
from unconfound.functional.interventional import strata_cosine
from unconfound.report.pictures import rgb_pixels
from unconfound.report.plots import strata_plot
from unconfound.training.saved_method import load_method

METHOD = "icl-msr"
SAMPLES = 256  # from which the shown ones are chosen
SHOWN = 6  # images a stratum
PATCHES = 8  # a side: what is taken out of an image is an eighth of its height by an eighth of its width
SHUFFLES = 5
_DECIMALS = 12  # of a lean


@dataclass(frozen=True)
class StrataPart:
    """What the page shows of the strata of one encoder.

    Args:
        sentences: what there is to see, or why there is nothing.
        drawing: strata below each other, and the images that each leans to beside each other.
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
        source: what the encoder is judged on.
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
    """Draw which images the strata of a method lean to, and where in these they look.

    Args:
        method: ICL-MSR in evaluation mode; it is left as it is.
        source: images, at least two.
        prefix: of the identifiers in the drawing; unique on the page.
        batch_size: images at a time.
    """
    chosen = torch.linspace(0, len(source) - 1, min(len(source), SAMPLES)).round().long()
    batch = next(iter(source.batches([chosen])))
    images, masks = batch.inputs, batch.masks
    assert isinstance(images, Tensor)
    images = images / 255.0 if images.dtype == torch.uint8 else images
    values, strata = _values_and_strata(method, images, batch_size=batch_size)
    lean = leans(values, strata)
    # In a stable order: of images that a stratum leans to alike, the first.
    most = lean.argsort(dim=0, descending=True, stable=True)[:SHOWN].T
    # An image that several strata lean to is looked at once.
    shown, places = most.unique(return_inverse=True)
    values, strata = values[shown], strata if strata.dim() == 2 else strata[shown]
    without = _without_patches(method, images[shown], batch_size=batch_size)
    importance = occlusion(values, without, strata)
    sentences = [_alike(float(strata_cosine(strata)), strata.shape[-2])]
    figures: list[Figure | None] = []
    control, area = None, 0.0
    if masks is not None and bool(masks[shown].any()):
        area = float(masks[shown].double().mean())
        figures = [_mean(share) for share in foreground_shares(importance, masks[shown]).T]
        control = _control(values, without, strata, masks[shown])
        sentences.append(_against_foreground(figures, control, area))
    drawing = strata_plot(
        [[rgb_pixels(images[shown[place]]) for place in row] for row in places.tolist()],
        [[importance[place, number].numpy() for place in row] for number, row in enumerate(places.tolist())],
        lean.T.gather(1, most).tolist(),
        prefix=prefix,
    )
    return StrataPart(tuple(sentences), drawing, tuple(figures), control, area, len(shown))


def leans(
    values: Float[Tensor, "samples width"], strata: Float[Tensor, "*samples strata width"]
) -> Float[Tensor, "samples strata"]:
    """Return how much each stratum leans to each sample: above 1, it keeps more of it than strata do on average.

    Stratum a keeps the share ||a * z||^2 / ||z||^2 of sample z; its lean is that over the mean of all strata's shares.
    A sample that nothing is kept of, as of zeros, has the lean 1 for all.

    Leans are rounded to 12 decimals, which float64 holds of them on any processor: equal strata lean to all alike, and
    strata of one direction to each sample alike. Digits below these would name a most weighted one by chance.

    Args:
        values: what strata weight: projections, or embeddings.
        strata: the same for all samples, or those of each sample; at least 0.
    """
    squares, weights = values.double().square(), strata.double().square()
    kept = squares @ weights.T if weights.dim() == 2 else torch.einsum("nd,nsd->ns", squares, weights)
    mean = kept.mean(1, keepdim=True)
    return torch.where(mean > 0, kept / torch.where(mean > 0, mean, 1), 1.0).round(decimals=_DECIMALS)


def occlusion(
    values: Float[Tensor, "samples width"],
    without: Float[Tensor, "samples rows columns width"],
    strata: Float[Tensor, "*samples strata width"],
) -> Float[Tensor, "samples strata rows columns"]:
    """Return by how much each stratum's lean to an image falls where a patch of the image is taken out.

    Args:
        values: what strata weight, of the images as they are.
        without: the same where each patch in turn is taken out.
        strata: as for the images as they are: also where a network makes them of a sample, a patch changes none.
    """
    lean = leans(values, strata)
    rows, columns = without.shape[1:3]
    falls = [lean - leans(each, strata) for each in without.flatten(1, 2).unbind(1)]
    fallen: Tensor = torch.stack(falls, 2).unflatten(2, (rows, columns))
    return fallen


def foreground_shares(
    importance: Float[Tensor, "samples strata rows columns"], masks: Float[Tensor, "samples 1 height width"]
) -> Float[Tensor, "samples strata"]:
    """Return the share of each map that lies on the foreground; NaN where no patch's removal lowers the lean.

    What a patch counts, which is nothing where its removal raises the lean, is spread evenly over the patch.
    """
    height, width = masks.shape[2:]
    covered = torch.stack(
        [masks[:, 0, down, right].double().mean((1, 2)) for down in _stretches(height) for right in _stretches(width)],
        1,
    )
    counts = importance.clamp_min(0).flatten(2).double()
    return (counts * covered[:, None]).sum(2) / counts.sum(2)


@torch.no_grad()
def _values_and_strata(
    method: Any, images: Float[Tensor, "samples channels height width"], *, batch_size: int
) -> tuple[Float[Tensor, "samples width"], Float[Tensor, "*samples strata width"]]:
    """Return what strata weight, of images as they are, and the strata for these images; both on the CPU."""
    values, embeddings = [], []
    # Parts of at least two images: hosts make nothing of one.
    for part in images.tensor_split(-(-len(images) // max(batch_size, 4))):
        weighted, embedded = method.look(part.to(method.rate.device))
        values.append(weighted)
        embeddings.append(embedded.float())
    whole = torch.cat(embeddings)
    return torch.cat(values).cpu(), method.strata(torch.cat([whole, whole])).float().cpu()


def _without_patches(
    method: Any, images: Float[Tensor, "samples channels height width"], *, batch_size: int
) -> Float[Tensor, "samples rows columns width"]:
    """Return what strata weight where each patch in turn gives way to the mean colour of its image."""
    colour = images.mean((2, 3), keepdim=True)
    down, right = (_stretches(length) for length in images.shape[2:])
    found = []
    for rows, columns in product(down, right):
        # A patch of all images at once: hosts compare images with each other, and variants of one are too much alike.
        patched = images.clone()
        patched[:, :, rows, columns] = colour
        found.append(_values_and_strata(method, patched, batch_size=batch_size)[0])
    without: Tensor = torch.stack(found, 1).unflatten(1, (len(down), len(right)))
    return without


def _control(values: Tensor, without: Tensor, strata: Tensor, masks: Tensor) -> Figure | None:
    """Judge strata that mean nothing: ours with the numbers of each shuffled, several times.

    Returns:
        Their mean share on the foreground, and between which 95 % of them lie.
    """
    generator, shares = torch.Generator().manual_seed(0), []
    for _ in range(SHUFFLES):
        order = torch.rand(strata.shape[-2:], generator=generator).argsort(-1)
        shuffled = strata.gather(-1, order.expand(strata.shape))
        shares.append(foreground_shares(occlusion(values, without, shuffled), masks).nanmean(0))
    known = torch.cat(shares)
    known = known[known.isfinite()]
    if not len(known):
        return None
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=known.dtype)).tolist()
    return Figure(float(known.mean()), low, high, len(known))


def _mean(shares: Float[Tensor, " samples"]) -> Figure | None:
    known = shares[shares.isfinite()]
    return intervals.mean(known) if len(known) else None


def _stretches(length: int) -> list[slice]:
    """Cut a side into patches as equal as whole pixels allow."""
    edges = torch.linspace(0, length, min(PATCHES, length) + 1).round().int().tolist()
    return [slice(start, end) for start, end in pairwise(edges)]


def _alike(cosine: float, count: int) -> str:
    if count == 1:
        return "There is one stratum: it leans to all images alike, and adjusts for nothing."
    return f"The mean cosine of pairs of the {count} strata is {cosine:.2f}; at 1, they are one and adjust for nothing."


def _against_foreground(figures: Sequence[Figure | None], control: Figure | None, area: float) -> str:
    known = [figure.value for figure in figures if figure is not None]
    if not known or control is None:
        return "No patch's removal lowers the lean of a stratum to its images."
    low, high, least, most = (f"{100 * share:.0f}" for share in (min(known), max(known), control.low, control.high))
    more, less = sum(value > control.high for value in known), sum(value < control.low for value in known)
    return (
        f"The foreground covers {100 * area:.0f} % of these images. Of what strata go by, {low} to {high} % lies on "
        f"it; of what strata with shuffled numbers go by, which mean nothing, {least} to {most} %. Strata that look at "
        f"the foreground more than these do: {more} of {len(figures)}; less: {less}."
    )
