"""What the strata of ICL-MSR go by: how much each keeps of an image, and which parts of the image that comes from."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.evaluation import intervals
from unconfound.evaluation.figures import Figure

PATCHES = 8  # a side: what is taken out of an image is an eighth of its height by an eighth of its width
SHUFFLES = 5
_DECIMALS = 12  # of an emphasis


def emphasis(
    values: Float[Tensor, "samples width"], strata: Float[Tensor, "*samples strata width"]
) -> Float[Tensor, "samples strata"]:
    """Return how much each stratum emphasises each sample: above 1, it keeps more of it than strata do on average.

    Stratum a keeps the share ||a * z||^2 / ||z||^2 of sample z; its emphasis is that over the mean of all strata's
    shares. A sample that nothing is kept of, as of zeros, has the emphasis 1 for all.

    The values are rounded to 12 decimals, which float64 holds of them on any processor: equal strata emphasise all
    samples equally, and strata of one direction each sample. Digits below these would rank them by chance.

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
    """Return by how much each stratum's emphasis on an image falls where a patch of the image is taken out.

    Args:
        values: what strata weight, of the images as they are.
        without: the same where each patch in turn is taken out.
        strata: as for the images as they are: also where a network makes them of a sample, a patch changes none.
    """
    whole = emphasis(values, strata)
    rows, columns = without.shape[1:3]
    falls = [whole - emphasis(each, strata) for each in without.flatten(1, 2).unbind(1)]
    fallen: Tensor = torch.stack(falls, 2).unflatten(2, (rows, columns))
    return fallen


def foreground_shares_of_strata(
    importance: Float[Tensor, "samples strata rows columns"], masks: Float[Tensor, "samples 1 height width"]
) -> Float[Tensor, "samples strata"]:
    """Return the share of each map that lies on the foreground; NaN where no patch's removal lowers the emphasis.

    What a patch counts, which is nothing where its removal raises the emphasis, is spread evenly over the patch.
    """
    height, width = masks.shape[2:]
    covered = torch.stack(
        [masks[:, 0, down, right].double().mean((1, 2)) for down in _stretches(height) for right in _stretches(width)],
        1,
    )
    counts = importance.clamp_min(0).flatten(2).double()
    return (counts * covered[:, None]).sum(2) / counts.sum(2)


@torch.no_grad()
def values_and_strata(
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


def without_patches(
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
        found.append(values_and_strata(method, patched, batch_size=batch_size)[0])
    without: Tensor = torch.stack(found, 1).unflatten(1, (len(down), len(right)))
    return without


def shuffled_share(values: Tensor, without: Tensor, strata: Tensor, masks: Tensor) -> Figure | None:
    """Evaluate strata that mean nothing: ours with the numbers of each shuffled, several times.

    Returns:
        Their mean share on the foreground, and between which 95 % of them lie.
    """
    generator, shares = torch.Generator().manual_seed(0), []
    for _ in range(SHUFFLES):
        order = torch.rand(strata.shape[-2:], generator=generator).argsort(-1)
        shuffled = strata.gather(-1, order.expand(strata.shape))
        shares.append(foreground_shares_of_strata(occlusion(values, without, shuffled), masks).nanmean(0))
    known = torch.cat(shares)
    known = known[known.isfinite()]
    if not len(known):
        return None
    low, high = known.quantile(torch.tensor([0.025, 0.975], dtype=known.dtype)).tolist()
    return Figure(float(known.mean()), low, high, len(known))


def mean_share(shares: Float[Tensor, " samples"]) -> Figure | None:
    """Average the shares that are known."""
    known = shares[shares.isfinite()]
    return intervals.mean(known) if len(known) else None


def _stretches(length: int) -> list[slice]:
    """Cut a side into patches as equal as whole pixels allow."""
    edges = torch.linspace(0, length, min(PATCHES, length) + 1).round().int().tolist()
    return [slice(start, end) for start, end in pairwise(edges)]
