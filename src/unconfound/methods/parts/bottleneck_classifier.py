"""The classifier on top of an encoder: linear, or with a variational information bottleneck in between."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from unconfound.functional.bottleneck import gaussian_kl
from unconfound.functional.distributed import normal
from unconfound.functional.inputs import wide
from unconfound.options.methods.classifying import BottleneckOptions


class LinearHead(nn.Module):
    """A linear classifier.

    Args:
        features: of the embedding.
        classes: their number.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(features, classes)

    def forward(
        self, embeddings: Float[Tensor, "rows features"], *, views: int = 1
    ) -> tuple[Float[Tensor, "rows classes"], Float[Tensor, ""]]:
        """Return the logits, and 0."""
        return self.classifier(embeddings), embeddings.new_zeros((), dtype=torch.float32)

    def as_linear(self) -> nn.Linear:
        """Return the classifier."""
        return self.classifier


class VariationalHead(nn.Module):
    """A classifier of a stochastic code z = mean + deviation x noise, both linear in the embedding.

    Alemi et al., "Deep Variational Information Bottleneck", ICLR 2017, with the deviation softplus(s - 5) of section
    4.2.1, so that training starts with little noise. In evaluation mode, z is the mean.

    Args:
        features: of the embedding.
        classes: their number.
        bottleneck_features: of the code.
        kl_weight: of the divergence of the code from N(0, 1), in nats.
    """

    def __init__(self, features: int, classes: int, *, bottleneck_features: int, kl_weight: float) -> None:
        super().__init__()
        self.moments = nn.Linear(features, 2 * bottleneck_features)
        self.classifier = nn.Linear(bottleneck_features, classes)
        self.kl_weight = kl_weight

    def forward(
        self, embeddings: Float[Tensor, "rows features"], *, views: int = 1
    ) -> tuple[Float[Tensor, "rows classes"], Float[Tensor, ""]]:
        """Return the logits, and what the information of the code adds to the loss: kl_weight x the mean divergence.

        Args:
            embeddings: those of the first view of this process's samples, then those of the second, ...
            views: of each sample.
        """
        moments = self.moments(embeddings)
        with torch.autocast(embeddings.device.type, enabled=False):
            mean, scale = wide(moments).chunk(2, dim=1)
            deviation = F.softplus(scale - 5)
            information = self.kl_weight * gaussian_kl(mean, deviation).mean()
        if not self.training:
            return self.classifier(mean), information
        # View by view, so that rows draw the same numbers however many processes share them.
        batch = len(mean) // views
        noise = torch.cat([normal(batch, mean.shape[1], device=mean.device) for _ in range(views)])
        return self.classifier(mean + deviation * noise.to(mean.dtype)), information

    @torch.no_grad()
    def as_linear(self) -> nn.Linear:
        """Return what this is in evaluation mode, as one map from embeddings to logits, on the CPU."""
        of_moments, of_logits = (
            (layer.weight.cpu().double(), layer.bias.cpu().double()) for layer in (self.moments, self.classifier)
        )
        width = self.classifier.in_features
        linear = nn.Linear(self.moments.in_features, self.classifier.out_features, dtype=self.moments.weight.dtype)
        linear.weight.copy_(of_logits[0] @ of_moments[0][:width])
        linear.bias.copy_(of_logits[0] @ of_moments[1][:width] + of_logits[1])
        return linear


def classifier_head(features: int, classes: int, options: BottleneckOptions) -> LinearHead | VariationalHead:
    """Build the classifier that the options ask for: embeddings -> (logits, what is added to the loss)."""
    if not options.vib:
        return LinearHead(features, classes)
    return VariationalHead(
        features, classes, bottleneck_features=options.bottleneck_features, kl_weight=options.kl_weight
    )
