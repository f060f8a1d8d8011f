"""Mixing functions: a sample with a little of another one in it.

Verma et al., "Towards Domain-Agnostic Contrastive Learning" (ICML 2021), section 3. All take samples [batch, ...] and
partners of the same shape, and neither draw the partner nor its share. Gradients flow to the samples and to the
partners. `out`, where given, receives the result, as in torch's own functions; autograd does not go through it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.functional.inputs import check_tensor


def linear_mix(
    x: Float[Tensor, "batch *sample"],
    partner: Float[Tensor, "batch *sample"],
    weight: Float[Tensor, " batch"] | float,
    *,
    out: Tensor | None = None,
    checked: bool = True,
) -> Float[Tensor, "batch *sample"]:
    """Mix by the arithmetic mean: weight x + (1 - weight) partner.

    Args:
        x: samples.
        partner: another sample for each.
        weight: the share of `x`, in [0, 1], one a sample or one for all; 1 returns `x` bit for bit.
        out: [batch, ...], or None.
        checked: False trusts the weights to be in [0, 1]; to look at them is to wait for a GPU.

    Raises:
        ValueError: shapes differ, or a weight is outside of [0, 1].
    """
    shares = _shares(x, partner, weight, checked=checked)
    return torch.lerp(partner, x, shares) if out is None else torch.lerp(partner, x, shares, out=out)


def geometric_mix(
    x: Float[Tensor, "batch *sample"],
    partner: Float[Tensor, "batch *sample"],
    weight: Float[Tensor, " batch"] | float,
    *,
    floor: float = 1 / 255,
    out: Tensor | None = None,
    checked: bool = True,
) -> Float[Tensor, "batch *sample"]:
    """Mix by the geometric mean: x^weight partner^(1 - weight).

    The paper's formula (`floor` 0) makes 0 of everything that meets a 0, however small the partner's share: on pictures
    with a black background only the intersection of the two objects is left. By default values below one grey level of
    256 are therefore raised to it. With one weight and values of at least `floor`, the result is never above
    `linear_mix`.

    Args:
        x: samples, not negative.
        partner: another sample for each, not negative.
        weight: the share of `x`, in [0, 1], one a sample or one for all; 1 returns `x` bit for bit.
        floor: at least 0; 0 is the literal formula, whose gradient at a 0 is infinite.
        out: [batch, ...], or None.
        checked: False trusts the weights to be in [0, 1]; values are looked at all the same.

    Raises:
        ValueError: shapes differ, a weight is outside of [0, 1], a value or the floor is negative.
    """
    shares = _shares(x, partner, weight, checked=checked)
    if not floor >= 0:
        raise ValueError(f"floor must be at least 0, got {floor}")
    for name, values in (("x", x), ("partner", partner)):
        if values.numel() and bool(values.detach().amin() < 0):
            raise ValueError(
                f"a geometric mean needs values of at least 0, {name} goes down to {values.min():.3g}: "
                "scale to [0, 1] first, or mix linearly"
            )
    if floor == 0:
        powers = x.pow(shares) * partner.pow(1 - shares)
    else:
        # exp of a weighted mean of logarithms is one power instead of two, but knows no logarithm of 0.
        powers = torch.lerp(partner.clamp_min(floor).log(), x.clamp_min(floor).log(), shares).exp()
    # x itself is exact where exp(log x) is not.
    mixed = torch.where(shares == 1, x, powers)
    return mixed if out is None else out.copy_(mixed)


def binary_mix(
    x: Float[Tensor, "batch *sample"],
    partner: Float[Tensor, "batch *sample"],
    keep: Bool[Tensor, "batch *sample"],
    *,
    out: Tensor | None = None,
) -> Float[Tensor, "batch *sample"]:
    """Mix by choice: each value is that of `x` where `keep` is True, else that of the partner.

    Args:
        x: samples.
        partner: another sample for each.
        keep: a choice for each value; all True returns `x` bit for bit.
        out: [batch, ...], or None.

    Raises:
        ValueError: shapes differ.
    """
    _check_shapes(x, partner)
    if keep.shape != x.shape:
        raise ValueError(f"keep must be of the samples' shape {tuple(x.shape)}, got {tuple(keep.shape)}")
    return torch.where(keep, x, partner) if out is None else torch.where(keep, x, partner, out=out)


def _shares(x: Tensor, partner: Tensor, weight: Tensor | float, *, checked: bool) -> Tensor:
    """Return the weights as a tensor that broadcasts against the samples."""
    _check_shapes(x, partner)
    weights = torch.as_tensor(weight, dtype=x.dtype, device=x.device).detach()
    if weights.shape not in ((), x.shape[:1]):
        raise ValueError(f"weight must be one number or one a sample [{len(x)}], got shape {tuple(weights.shape)}")
    # One comparison instead of two and their conjunction; NaN equals nothing, not even itself.
    if checked and not torch.equal(weights.clamp(0, 1), weights):
        raise ValueError(f"weights must be in [0, 1], got {weights.min():.3g} to {weights.max():.3g}")
    return weights.view(-1, *(1,) * (x.dim() - 1)) if weights.dim() else weights


def _check_shapes(x: Tensor, partner: Tensor) -> None:
    check_tensor("x", x)
    check_tensor("partner", partner)
    if x.shape != partner.shape:
        raise ValueError(f"x and its partner must be of one shape, got {tuple(x.shape)} and {tuple(partner.shape)}")
