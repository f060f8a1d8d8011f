"""Many logistic regressions on parts of the same samples, solved together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from unconfound.functional.inputs import check_finite

Axes = tuple[Tensor, Tensor, float]

# Principal axes that steps are scaled along, at most.
_AXES = 128
# Below this a mean curvature by a logit counts as this.
_FLATTEST = 1e-6
# A step ends where the slope along it has fallen to this share, and after so many guesses at the latest.
_FLAT, _GUESSES = 0.25, 20


@dataclass(frozen=True, eq=False)
class Fits:
    """Where the solves ended.

    Args:
        weights: on the features as each fit standardises them.
        bias: a class.
        guesses: the most probable class of every sample, also of those that a fit has not seen.
        iterations: that each took.
        converged: False where a fit took all iterations that it may.
    """

    weights: Float[Tensor, "fits classes features"]
    bias: Float[Tensor, "fits classes"]
    guesses: Int[Tensor, "fits samples"]
    iterations: Int[Tensor, " fits"]
    converged: Bool[Tensor, " fits"]


def fit_together(
    features: Float[Tensor, "samples features"],
    targets: Int[Tensor, " samples"],
    *,
    members: Bool[Tensor, "fits samples"],
    moments: tuple[Float64[Tensor, "fits features"], Float64[Tensor, "fits features"]],
    strengths: Float64[Tensor, " fits"],
    axes: Axes,
    tolerance: float = 1e-5,
    iterations: int = 1000,
) -> Fits:
    """Minimise mean cross-entropy + strength / 2 x ||weights||^2, the bias unpenalised, over each fit's members.

    The problem is that of `unconfound.evaluation.logistic_regression`. Here all fits move at once, by conjugate
    gradients (Polak-Ribière, restarted where it would climb), each with a step length of its own. They share the
    features, so that a step is two products of matrices for all of them; one after the other they would read the
    features again for each. Logits are linear in the weights, so that the search along a step needs no product. The
    gradient is scaled along the principal axes of all samples, labels unseen: that changes the path, not its end. A fit
    that has converged leaves the batch.

    Args:
        features: each roughly centred and of deviation 1. Products with them have their precision; all else is float64.
            float32 takes half the time, and reaches a tolerance of 1e-5 at strengths of 1e-3 or more.
        targets: from 0 to classes - 1, with at least one sample of the last of two or more classes.
        members: the samples that each fit is fitted on.
        moments: what each fit subtracts from the features, and by what it then divides.
        strengths: of the regularisation, positive.
        axes: what `principal_axes` gives for the features.
        tolerance: the largest absolute derivative of the loss by a weight or bias that counts as none; scikit-learn's
            `tol` means the same.
        iterations: at most so many.
    """
    (count, samples), classes = members.shape, int(targets.max()) + 1
    batch = whole = _Batch(
        features=features,
        own=torch.nn.functional.one_hot(targets, classes).T.double(),
        basis=_contrasts(classes),
        shares=members / members.sum(1, keepdim=True).double(),
        mean=moments[0],
        scale=moments[1],
        strengths=strengths[:, None, None],
        axes=axes,
    )
    ended = torch.zeros(count, classes - 1, features.shape[1] + 1, dtype=torch.float64)
    taken, converged = torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool)
    here, point, logits = torch.arange(count), ended.clone(), ended.new_zeros(count, classes - 1, samples)
    probabilities = batch.probabilities(logits)
    gradient, curvature = batch.gradient(probabilities, point), batch.curvature(probabilities)
    scaled = batch.scaled(gradient, curvature)
    direction = -scaled
    for iteration in range(iterations + 1):
        done = (batch.basis @ gradient).abs().amax((1, 2)) <= tolerance
        ended[here], taken[here], converged[here] = point, iteration, done
        if iteration == iterations or bool(done.all()):
            break
        # Leaving one by one would copy the batch at every step.
        if done.double().mean() > 0.2:
            here, batch = here[~done], batch.where(~done)
            point, logits, probabilities = point[~done], logits[~done], probabilities[~done]
            gradient, scaled, direction = gradient[~done], scaled[~done], direction[~done]
            curvature = curvature[~done]
        length, along, probabilities = _step(batch, logits, probabilities, point, direction)
        point, logits = point + length * direction, logits + length * along
        previous, size = gradient, _inner(gradient, scaled)
        gradient = batch.gradient(probabilities, point)
        # Confident fits are flat. The scale follows from time to time, for each change forgets the direction.
        flatter = batch.curvature(probabilities)
        stale = flatter < curvature / 2
        curvature = torch.where(stale, flatter, curvature)
        scaled = batch.scaled(gradient, curvature)
        # A gradient of zero has converged, wherever it goes; without the bound it would become NaN.
        keep = _inner(scaled, gradient - previous) / size.clamp_min(torch.finfo(size.dtype).tiny)
        direction = keep.clamp_min(0) * direction - scaled
        direction = torch.where(stale | (_inner(direction, gradient) >= 0), -scaled, direction)
    solution = whole.basis @ ended
    guesses = (whole.basis @ whole.logits(ended)).argmax(1)
    return Fits(solution[..., :-1], solution[..., -1], guesses, taken, converged)


def principal_axes(features: Float[Tensor, "samples features"]) -> Axes:
    """Give the leading axes of centred features, the variance along each, and the mean variance along the others.

    Raises:
        ValueError: a feature is not finite.
    """
    check_finite("features", features)
    rank = min(_AXES, *features.shape)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed GPUs, too, and not give their state back.
        torch.default_generator.manual_seed(0)
        _, values, axes = torch.svd_lowrank(features, q=rank, niter=2)
    spectrum = values.double().square() / len(features)
    left = float(features.square().mean(0).sum() - spectrum.sum())
    return axes.double(), spectrum, max(left, 0.0) / max(features.shape[1] - rank, 1)


@dataclass(frozen=True, eq=False)
class _Batch:
    """What the fits that still move have in common, and what they have not.

    The weights of the classes add up to zero at the minimum, so that a point has one row less than there are classes:
    `basis` @ point are the weights. Its last column is the bias.
    """

    features: Float[Tensor, "samples features"]
    own: Float[Tensor, "classes samples"]
    basis: Float[Tensor, "classes contrasts"]
    shares: Float[Tensor, "fits samples"]
    mean: Float64[Tensor, "fits features"]
    scale: Float64[Tensor, "fits features"]
    strengths: Float[Tensor, "fits 1 1"]
    axes: Axes

    def where(self, keep: Bool[Tensor, " fits"]) -> _Batch:
        return replace(
            self,
            shares=self.shares[keep],
            mean=self.mean[keep],
            scale=self.scale[keep],
            strengths=self.strengths[keep],
        )

    def logits(self, point: Float[Tensor, "fits contrasts inputs"]) -> Float[Tensor, "fits contrasts samples"]:
        weights = point[..., :-1] / self.scale[:, None]
        shift = point[..., -1] - (weights @ self.mean[:, :, None])[..., 0]
        products = weights.flatten(0, 1).to(self.features) @ self.features.T
        logits: Tensor = products.double().unflatten(0, shift.shape) + shift[..., None]
        return logits

    def probabilities(self, logits: Float[Tensor, "fits contrasts samples"]) -> Float[Tensor, "fits classes samples"]:
        return (self.basis @ logits).softmax(1)

    def errors(self, probabilities: Float[Tensor, "fits classes samples"]) -> Float[Tensor, "fits contrasts samples"]:
        """The derivative of the loss by each logit."""
        return self.basis.T @ (probabilities - self.own) * self.shares[:, None]

    def gradient(
        self, probabilities: Float[Tensor, "fits classes samples"], point: Float[Tensor, "fits contrasts inputs"]
    ) -> Float[Tensor, "fits contrasts inputs"]:
        errors = self.errors(probabilities)
        total = errors.sum(2, keepdim=True)
        products = (errors.flatten(0, 1).to(self.features) @ self.features).double().unflatten(0, errors.shape[:2])
        weights = (products - total * self.mean[:, None]) / self.scale[:, None] + self.strengths * point[..., :-1]
        return torch.cat([weights, total], 2)

    def curvature(self, probabilities: Float[Tensor, "fits classes samples"]) -> Float[Tensor, "fits 1 1"]:
        """The mean curvature of the loss by a logit: 1 / classes where all are equally probable."""
        uncertain = (1 - probabilities.square().sum(1)) / (len(self.own) - 1)
        return (uncertain * self.shares).sum(1).clamp_min(_FLATTEST)[:, None, None]

    def scaled(
        self, gradient: Float[Tensor, "fits contrasts inputs"], curvature: Float[Tensor, "fits 1 1"]
    ) -> Float[Tensor, "fits contrasts inputs"]:
        """Divide the gradient by the curvature along the principal axes, were it the same for all samples."""
        axes, spectrum, rest = self.axes
        others = rest * curvature + self.strengths
        weights = gradient[..., :-1] / others
        share = others / (spectrum * curvature + self.strengths) - 1
        weights = weights + (weights @ axes * share) @ axes.T
        return torch.cat([weights, gradient[..., -1:] / curvature], 2)


def _step(
    batch: _Batch,
    logits: Float[Tensor, "fits contrasts samples"],
    probabilities: Float[Tensor, "fits classes samples"],
    point: Float[Tensor, "fits contrasts inputs"],
    direction: Float[Tensor, "fits contrasts inputs"],
) -> tuple[Float[Tensor, "fits 1 1"], Float[Tensor, "fits contrasts samples"], Float[Tensor, "fits classes samples"]]:
    """Find by Newton's method, kept within bounds, how far to go: the loss is convex along the direction.

    Returns:
        The length, the change of the logits at length 1, and the probabilities at the end.
    """
    along = batch.logits(direction)
    change = batch.basis @ along
    pull = batch.strengths * _inner(point[..., :-1], direction[..., :-1])
    bend = batch.strengths * _inner(direction[..., :-1], direction[..., :-1])
    length, low, high = torch.zeros_like(pull), torch.zeros_like(pull), torch.full_like(pull, math.inf)
    first = None
    for _ in range(_GUESSES):
        slope = _inner(batch.errors(probabilities), along) + pull + length * bend
        first = slope.abs() if first is None else first
        short = slope.abs() > _FLAT * first
        if not bool(short.any()):
            break
        average = (probabilities * change).sum(1, keepdim=True)
        spread = (probabilities * (change - average).square()).sum(1)
        curvature = (spread * batch.shares).sum(1)[:, None, None] + bend
        low, high = torch.where(slope <= 0, length, low), torch.where(slope > 0, length, high)
        guess = length - slope / curvature.clamp_min(torch.finfo(bend.dtype).tiny)
        guess = torch.where((guess <= low) | (guess >= high), (low + high) / 2, guess)
        length = torch.where(short, guess, length)
        probabilities = batch.probabilities(logits + length * along)
    return length, along, probabilities


def _inner(first: Float[Tensor, "fits rows columns"], second: Float[Tensor, "fits rows columns"]) -> Tensor:
    return (first * second).sum((1, 2), keepdim=True)


def _contrasts(classes: int) -> Float[Tensor, "classes contrasts"]:
    """Orthonormal columns that each add up to zero (Helmert's)."""
    above = torch.ones(classes, classes - 1, dtype=torch.float64).triu()
    columns = above - torch.arange(1.0, classes).diag_embed(offset=-1)[:, :-1]
    return torch.nn.functional.normalize(columns, dim=0)
