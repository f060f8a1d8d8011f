"""Multi-scale structural similarity of many pairs of images at once, with its gradient in closed form.

Channels are independent until the last mean, so that images are taken apart into planes, and a few planes are worked
on at a time: what they need stays in the cache, and memory does not grow with the number of maps.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.functional.pyramid import Pyramid

# Elements of one map worked on at a time: on CPUs few enough for the cache, and enough for some threads to share;
# elsewhere enough to fill the device.
_CHUNK_ELEMENTS_CPU = 2**18
_CHUNK_ELEMENTS = 2**24
# The power of a term below this is taken to rise no faster than there, or its slope could overflow.
_STEEPEST = 1e-8


class _Level(NamedTuple):
    """The partners' planes at one scale, with the means and variances of their windows."""

    planes: Tensor
    means: Tensor
    variances: Tensor


class _Compared(NamedTuple):
    """What the gradient of one scale needs again."""

    planes: Tensor  # [planes, height, width], centred as the partners are
    partners: Tensor  # [partners, planes, height, width]
    means: Tensor  # [planes, windows, windows]
    partner_means: Tensor  # [partners, planes, windows, windows], as the following
    terms: Tensor
    denominators: Tensor


def weighted_similarity(
    images: Float[Tensor, "batch channels height width"],
    originals: Float[Tensor, "originals channels height width"],
    index: Int[Tensor, "batch partners"],
    weights: Float[Tensor, "batch partners"],
    pyramid: Pyramid,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch partners"]]:
    """Compare each image with its partners among the originals, and weight their similarities.

    The gradient is made together with the value, for whatever multiplies it multiplies all of an image alike. It is
    exact, and flows to the images alone. A second derivative raises.

    Args:
        images: float32 or float64, as originals and weights.
        originals: what they are compared with. Windows of each are summed once, however many partners it is.
        index: positions in the originals, at least 0.
        weights: of each similarity in the sum of its image.
        pyramid: the similarity.

    Returns:
        The weighted sums, and the similarities without gradient.
    """
    with_gradient = torch.is_grad_enabled() and images.requires_grad
    sums, similarities, _ = _Weighted.apply(images, originals.detach(), index, weights, pyramid, with_gradient)
    return sums, similarities


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917
        images: Tensor, originals: Tensor, index: Tensor, weights: Tensor, pyramid: Pyramid, with_gradient: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels, height, width = images.shape
        planes = images.reshape(-1, height, width)
        # Partners come first, so that the maps of one partner lie together.
        plane_index = (index.T[:, :, None] * channels + torch.arange(channels, device=index.device)).flatten(1)
        plane_weights = (weights.T / channels).repeat_interleave(channels, 1)
        elements = _CHUNK_ELEMENTS_CPU if images.device.type == "cpu" else _CHUNK_ELEMENTS
        size = max(1, elements // (height * width))
        levels = _levels(originals.reshape(-1, height, width), pyramid, size)
        values = torch.empty_like(plane_weights)
        gradient = torch.empty_like(planes if with_gradient else planes[:0])
        for start in range(0, len(planes), size):
            rows = slice(start, start + size)
            compared, terms = _compare(planes[rows], levels, plane_index[:, rows], pyramid)
            values[:, rows], slopes = _product(terms, pyramid)
            if with_gradient:
                gradient[rows] = _gradient(compared, slopes * plane_weights[:, rows], pyramid)
        similarities = values.view(-1, batch, channels).mean(2).T
        sums = (similarities * weights).sum(1)
        return sums, similarities, gradient.view(-1, channels, height, width)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[2])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, _: None, of_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
        # The gradient is an output too, so that whoever differentiates it comes here instead of taking it for constant.
        if of_gradient is not None:
            raise RuntimeError("structural similarity has no second derivative here: leave create_graph out")
        if upstream is None:
            return (None,) * 6
        return upstream[:, None, None, None] * ctx.saved_tensors[0], *[None] * 5


def _levels(planes: Tensor, pyramid: Pyramid, size: int) -> list[_Level]:
    levels = []
    for scale in range(len(pyramid.weights)):
        if scale:
            planes = _halve(planes)
        windows = [side - len(pyramid.window) + 1 for side in planes.shape[1:]]
        means, variances = (planes.new_empty(len(planes), *windows) for _ in range(2))
        for start in range(0, len(planes), size):
            rows = slice(start, start + size)
            centred = planes[rows] - pyramid.data_range / 2
            means[rows], squares = _blur(torch.stack([centred, centred.square()]), pyramid)
            torch.addcmul(squares, means[rows], means[rows], value=-1, out=variances[rows])
        levels.append(_Level(planes, means, variances))
    return levels


def _compare(
    planes: Tensor, levels: list[_Level], index: Tensor, pyramid: Pyramid
) -> tuple[list[_Compared], Float[Tensor, "scales partners planes"]]:
    """Return what the gradient needs, and the mean over positions of cs, at the last scale of l x cs."""
    middle = pyramid.data_range / 2
    # Variances and covariances do not change with a common shift, but lose fewer digits around 0.
    planes = planes - middle
    compared, averages = [], []
    for scale, level in enumerate(levels):
        if scale:
            planes = _halve(planes)
        partners = level.planes[index].sub_(middle)
        maps = planes.new_empty(2 + len(index), *planes.shape)
        maps[0] = planes
        torch.mul(planes, planes, out=maps[1])
        torch.mul(planes, partners, out=maps[2:])
        blurred = _blur(maps, pyramid)
        means, squares, terms = blurred[0], blurred[1], blurred[2:]
        constant = (0.03 * pyramid.data_range) ** 2
        partner_means = level.means[index]
        variances = squares.addcmul_(means, means, value=-1).add_(constant)
        denominators = level.variances[index].add_(variances)
        terms.addcmul_(means, partner_means, value=-1).mul_(2).add_(constant).div_(denominators)
        compared.append(_Compared(planes, partners, means, partner_means, terms, denominators))
        last = scale == len(levels) - 1
        averages.append((terms * _luminance(compared[-1], pyramid)[0] if last else terms).mean((-2, -1)))
    return compared, torch.stack(averages)


def _luminance(compared: _Compared, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
    """Return l of each window, and its derivative with respect to the planes' own means."""
    own, partner = compared.means + pyramid.data_range / 2, compared.partner_means + pyramid.data_range / 2
    constant = (0.01 * pyramid.data_range) ** 2
    denominators = own.square() + partner.square() + constant
    luminance = (2 * own * partner + constant) / denominators
    return luminance, 2 * (partner - own * luminance) / denominators


def _product(
    averages: Float[Tensor, "scales partners planes"], pyramid: Pyramid
) -> tuple[Float[Tensor, "partners planes"], Float[Tensor, "scales partners planes"]]:
    """Return the product of the scales' powers, and its derivatives with respect to `averages`."""
    weights = _numbers(pyramid.weights, averages.dtype, averages.device)[:, None, None]
    if pyramid.negative == "shift":
        bases, inner = ((1 + averages) / 2).clamp_min(0), torch.full_like(averages, 0.5)
    else:
        least = 1e-3 if pyramid.negative == "clamp" else 0.0
        bases, inner = averages.clamp_min(least), (averages > least).to(averages)
    values = (weights * bases.log()).sum(0).exp()
    return values, values * weights / bases.clamp_min(_STEEPEST) * inner


def _gradient(
    compared: list[_Compared], slopes: Float[Tensor, "scales partners planes"], pyramid: Pyramid
) -> Float[Tensor, "planes height width"]:
    """Return the gradient with respect to the planes of the finest scale, given that of each scale's average.

    With p, s and m the blurred product, square and plane, cs = 2 (p - m m') + C over D = s - m^2 + variance' + C: the
    gradients of these maps are summed over partners where they can be, and blurred backwards together.
    """
    coarser: Tensor | None = None
    last = True
    while compared:
        scale = compared.pop()
        positions = scale.means.shape[-2] * scale.means.shape[-1]
        slope = (slopes[len(compared)] / positions)[..., None, None]
        maps = scale.means.new_zeros(2 + len(scale.partners), *scale.means.shape)
        of_means, of_squares, of_products = maps[0], maps[1], maps[2:]
        torch.div(2 * slope, scale.denominators, out=of_products)
        if last:
            luminance, derivative = _luminance(scale, pyramid)
            of_products.mul_(luminance)
            torch.sum(slope * scale.terms * derivative, 0, out=of_means)
        for product, term, partner_means in zip(of_products, scale.terms, scale.partner_means, strict=True):
            of_squares.addcmul_(product, term, value=-0.5)
            of_means.addcmul_(product, partner_means, value=-1)
        of_means.addcmul_(scale.means, of_squares, value=-2)
        spread = _blur_backwards(maps, pyramid)
        gradient = spread[0].addcmul_(scale.planes, spread[1], value=2)
        for partner, product in zip(scale.partners, spread[2:], strict=True):
            gradient.addcmul_(partner, product)
        if coarser is not None:
            height, width = coarser.shape[1:]
            fours = gradient[:, : 2 * height, : 2 * width].unflatten(2, (width, 2)).unflatten(1, (height, 2))
            fours.add_(coarser[:, :, None, :, None], alpha=0.25)
        coarser, last = gradient, False
    assert coarser is not None
    return coarser


def _halve(planes: Float[Tensor, "planes height width"]) -> Float[Tensor, "planes half_height half_width"]:
    """Average squares of 2 x 2; an odd last row or column is left out, so that constant planes stay constant."""
    height, width = (side // 2 * 2 for side in planes.shape[1:])
    rows = planes[:, 0:height:2] + planes[:, 1:height:2]
    return (rows[..., 0:width:2] + rows[..., 1:width:2]).mul_(0.25)


def _blur(maps: Float[Tensor, "maps planes height width"], pyramid: Pyramid) -> Tensor:
    """Weight each whole window: sides shrink by its size less 1."""
    window = pyramid.window
    if maps.device.type != "cpu":
        return _convolve(maps, window, padding=0)
    # Adding up shifted copies is many times faster on CPUs than a convolution of one channel with one.
    for dim in (3, 2):
        length = maps.shape[dim] - len(window) + 1
        blurred = maps.narrow(dim, 0, length) * window[0]
        for tap, weight in enumerate(window[1:], 1):
            blurred.add_(maps.narrow(dim, tap, length), alpha=weight)
        maps = blurred
    return maps


def _blur_backwards(maps: Float[Tensor, "maps planes height width"], pyramid: Pyramid) -> Tensor:
    """Give each position of a window its share: the adjoint of `_blur`."""
    window = pyramid.window
    if maps.device.type != "cpu":
        return _convolve(maps, window, padding=len(window) - 1)
    for dim in (2, 3):
        shape = list(maps.shape)
        shape[dim] += len(window) - 1
        spread = maps.new_zeros(shape)
        for tap, weight in enumerate(window):
            spread.narrow(dim, tap, maps.shape[dim]).add_(maps, alpha=weight)
        maps = spread
    return maps


@lru_cache(maxsize=64)
def _numbers(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    # Brought to the device once: a copy waits for all that it has still to do, and the next step for the copy.
    return torch.tensor(values, dtype=dtype, device=device)


def _convolve(maps: Tensor, window: tuple[float, ...], *, padding: int) -> Tensor:
    # One group a plane: such convolutions are computed in float32 even where TF32 is allowed, which is too coarse.
    planes = maps.flatten(0, 1)[None]
    taps = _numbers(window, maps.dtype, maps.device).expand(planes.shape[1], 1, 1, -1)
    planes = F.conv2d(planes, taps, padding=(0, padding), groups=planes.shape[1])
    planes = F.conv2d(planes, taps.transpose(2, 3), padding=(padding, 0), groups=planes.shape[1])
    blurred: Tensor = planes[0].unflatten(0, maps.shape[:2])
    return blurred
