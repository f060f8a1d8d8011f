"""What a nuisance tells is taken out of embeddings by an affine map in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from unconfound.functional.inputs import check_finite, check_floating, wide_dtype
from unconfound.functional.labels import check_labels


class AffineMap(NamedTuple):
    """The map of rows x -> matrix x + bias, in the form of the weights of a linear layer."""

    matrix: Float[Tensor, "kept features"]
    bias: Float[Tensor, " kept"]

    def of(self, rows: Float[Tensor, "*sets features"]) -> Float[Tensor, "*sets kept"]:
        """Map rows, computed in the type of the map; the result has the type of the rows."""
        return (rows.to(self.matrix) @ self.matrix.T + self.bias).to(rows.dtype)


def nuisance_attribute_projection(
    versions: Float[Tensor, "samples versions features"], *, directions: int
) -> AffineMap:
    """Project out the directions in which versions of the same sample differ most.

    Solomonoff, Campbell and Boardman, "Advances in channel compensation for SVM speaker recognition" (ICASSP 2005):
    x -> (I - V V^T) x, the columns of V being the eigenvectors of the largest eigenvalues of the scatter of versions
    about the mean of their sample. There, a version is a recording of a speaker over another channel.

    The projection is orthogonal, and is the same after a shift of all versions of a sample. It is computed in float64
    where the device has it.

    Args:
        versions: embeddings of at least two versions of each sample, as of a foreground on several backgrounds.
        directions: to be projected out; at least 1, and fewer than there are features.

    Raises:
        TypeError: versions are not floating-point.
        ValueError: they are of another shape or not finite, or `directions` is out of its range.
    """
    _, features = _checked(versions, directions)
    if directions == features:
        raise ValueError(f"directions must be below the {features} features, or nothing is left, got {directions}")
    with torch.autocast(versions.device.type, enabled=False):
        _, vectors = torch.linalg.eigh(_scatter(_deviations(versions)))
        most = vectors[:, features - directions :]
        matrix = torch.eye(features, dtype=most.dtype, device=most.device) - most @ most.T
        return AffineMap(matrix, matrix.new_zeros(features))


def within_pair_whitening(versions: Float[Tensor, "samples versions features"], *, directions: int) -> AffineMap:
    """Keep the directions in which versions of the same sample differ least, as shares of all variance there.

    Of the whitened embeddings the directions of the smallest scatter within samples are kept: with S that scatter, T
    the covariance of all versions and S v = lambda T v, the v of the smallest lambda, scaled to v^T T v = 1. A lambda
    is the share of the variance along v that is due to versions, from 0 to 1. This is Fisher's discriminant with each
    sample as a class of its own.

    Within-class covariance normalization (Hatch, Kajarekar and Stolcke, ICSLP 2006) keeps all directions and scales
    them to v^T S v = 1, so that one along which versions agree would be infinitely long; here it is one of the first.

    An invertible affine map of all versions changes the result by a rotation at most. Directions without variance are
    left out. It is computed in float64 where the device has it.

    Args:
        versions: embeddings of at least two versions of each sample, as of a foreground on several backgrounds.
        directions: to be kept, at least 1 and at most the features; fewer are kept where fewer have any variance.

    Raises:
        TypeError: versions are not floating-point.
        ValueError: they are of another shape, not finite or all equal, or `directions` is out of its range.
    """
    _checked(versions, directions)
    with torch.autocast(versions.device.type, enabled=False):
        within = _scatter(_deviations(versions))
        means = _double(versions).mean(1)
        mean = means.mean(0)
        scales, vectors = _spectrum(within + _scatter(means - mean))
        whitening = vectors / scales
        _, rotation = torch.linalg.eigh(whitening.T @ within @ whitening)
        matrix = (whitening @ rotation[:, :directions]).T
        return AffineMap(matrix, -(matrix @ mean))


def leace(rows: Float[Tensor, "rows features"], labels: Integer[Tensor, " rows"]) -> AffineMap:
    """Change rows as little as possible such that no linear classifier tells the classes apart any more.

    Belrose et al., "LEACE: Perfect linear concept erasure in closed form" (NeurIPS 2023), section 4:
    x -> x - W^+ P W (x - mean), with W = (T^(1/2))^+ the whitening of the covariance T and P the orthogonal projection
    on the column space of W C, C being the covariance of rows and one-hot classes. Afterwards all classes have the
    same mean, so that no classifier with a convex loss does better than one that ignores the rows. Of all affine maps
    for which this holds, it moves the rows least in mean square.

    At most classes - 1 directions are erased. One whose correlation with the classes is below the square root of the
    rounding of float64 counts as erased already. It is computed in float64 where the device has it.

    Args:
        rows: two or more.
        labels: the class of each row, from 0; a single class leaves the rows as they are.

    Raises:
        TypeError: rows are not floating-point or labels not integers.
        ValueError: there are fewer than two rows, they are not finite or all equal, or labels are not one a row.
    """
    check_finite("rows", rows)
    if len(rows) < 2:
        raise ValueError(f"leace needs two or more rows, got {len(rows)}")
    classes, positions = check_labels(labels, rows=len(rows)).unique(return_inverse=True)
    with torch.autocast(rows.device.type, enabled=False):
        wide = _double(rows)
        mean = wide.mean(0)
        centred = wide - mean
        scales, vectors = _spectrum(_scatter(centred))
        sums = centred.new_zeros(len(classes), rows.shape[1]).index_add_(0, positions, centred)
        # Of whitened rows and one-hot classes: no singular value is above 1.
        covariance = (vectors / scales).T @ sums.T / len(rows)
        left, correlations, _ = torch.linalg.svd(covariance, full_matrices=False)
        told = left[:, correlations > torch.finfo(wide.dtype).eps ** 0.5]
        identity = torch.eye(rows.shape[1], dtype=wide.dtype, device=wide.device)
        erased = (vectors * scales) @ told @ (told.T @ (vectors / scales).T)
        return AffineMap(identity - erased, erased @ mean)


def _checked(versions: Tensor, directions: int) -> tuple[int, int]:
    """Return samples and features."""
    check_floating("versions", versions)
    if versions.dim() != 3 or versions.numel() == 0 or versions.shape[1] < 2:
        raise ValueError(
            f"versions must be [samples, at least two versions, features], got shape {tuple(versions.shape)}"
        )
    check_finite("versions", versions.flatten(0, 1))
    samples, _, features = versions.shape
    if not 1 <= directions <= features:
        raise ValueError(f"directions must be from 1 to the {features} features, got {directions}")
    return samples, features


def _double(rows: Tensor) -> Tensor:
    return rows.to(wide_dtype(rows) if rows.device.type == "mps" else torch.float64)


def _deviations(versions: Float[Tensor, "samples versions features"]) -> Float[Tensor, "rows features"]:
    """Return what spans the same scatter as the versions' deviations from the mean of their sample, in fewer rows."""
    wide = _double(versions)
    if versions.shape[1] == 2:
        # Two versions deviate by a half of their difference, in opposite directions.
        return (wide[:, 0] - wide[:, 1]) / 2
    return (wide - wide.mean(1, keepdim=True)).flatten(0, 1)


def _scatter(rows: Float[Tensor, "rows features"]) -> Float[Tensor, "features features"]:
    return rows.T @ rows / len(rows)


def _spectrum(
    covariance: Float[Tensor, "features features"],
) -> tuple[Float[Tensor, " rank"], Float[Tensor, "features rank"]]:
    """Return standard deviations and directions of a covariance, without those that are only rounding."""
    variances, vectors = torch.linalg.eigh(covariance)
    kept = variances > variances[-1] * len(covariance) * torch.finfo(covariance.dtype).eps
    if not bool(kept.any()):
        raise ValueError("all embeddings are equal, so that no direction has any variance: has the encoder collapsed?")
    return variances[kept].sqrt(), vectors[:, kept]
