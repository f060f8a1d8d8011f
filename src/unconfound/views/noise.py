"""Two views of each sample by Gaussian noise: the baseline that DACL is measured against."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.functional.distributed import gather, normal
from unconfound.options.views import NoiseOptions


class NoisyViews(nn.Module):
    """Add independent Gaussian noise to each sample, twice.

    Args:
        options: how much.
    """

    def __init__(self, options: NoiseOptions | None = None) -> None:
        super().__init__()
        self.options = options or NoiseOptions()

    def forward(self, x: Float[Tensor, "batch *sample"]) -> Float[Tensor, "views *sample"]:
        """Make both views.

        Args:
            x: [batch, ...] samples in [0, 1], or representations, to which gradients flow back.

        Returns:
            [2 batch, ...]: the first views in the order of the batch, then the second ones.

        Raises:
            ValueError: `matched`, and the batch, over all processes, has one sample.
        """
        options = self.options
        sigma = matched_sigma(gather(x.detach()), linear_low=options.linear_low) if options.matched else options.sigma
        # Each sample's numbers stand together, so that they do not depend on how the batch is spread over processes.
        noise = normal(len(x), 2, *x.shape[1:], device=x.device).to(x.dtype)
        return torch.cat([x, x]) + sigma * noise.transpose(0, 1).flatten(0, 1)


def matched_sigma(x: Float[Tensor, "batch *sample"], *, linear_low: float) -> Float[Tensor, ""]:
    """Return the standard deviation of noise that moves samples as far as linear mixing does.

    With shares uniform in [linear_low, 1] and partners uniform over the others, mixing moves a sample by
    (1 - linear_low)^2 / 3 x 2 N / (N - 1) x (trace of the batch's covariance) in the mean square; noise does so by the
    number of features x sigma^2.

    Args:
        x: [N, ...] the whole batch.
        linear_low: in [0, 1].

    Raises:
        ValueError: there is one sample, whose spread is unknown.
    """
    if len(x) < 2:
        raise ValueError("matched noise needs the spread of a batch, and this batch holds one sample: use at least two")
    variance = x.flatten(1).var(0, correction=0).mean()
    return ((1 - linear_low) ** 2 / 3 * 2 * len(x) / (len(x) - 1) * variance).sqrt()
