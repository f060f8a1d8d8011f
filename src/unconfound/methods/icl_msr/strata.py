"""The meta semantic regulariser: what gives the strata of semantics over which ICL-MSR adjusts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.functional.distributed import gather
from unconfound.functional.similarity import normalize
from unconfound.options.methods.icl_msr import StrataForm

# Width of the networks' hidden layers: that of the authors' MetAug.
HIDDEN = 2048


class Strata(nn.Module):
    """Strata in (0, 1), by one of these forms.

    "table": free numbers through a sigmoid, the same for all samples, which start from a normal distribution: equal
    ones would get equal gradients for ever. "batch-mlp": a network of the batch's mean embedding. "sample-mlp": a
    network of each sample's own embedding, which can make every positive look like its anchor; for ablation.
    "contexts" (ours): one stratum a cluster of the training samples, set between epochs by `contexts`, not learnt.
    "backgrounds" (ours): no vectors at all, as strata are pictures (see `values_on_backgrounds`).
    Embeddings get no gradient from here. The poster fixes none of this but that strata belong to no single sample.

    Args:
        form: one of these.
        count: of the strata.
        width: of what they weight.
        features: of the embeddings.
    """

    def __init__(self, form: StrataForm, *, count: int, width: int, features: int) -> None:
        super().__init__()
        self.form, self.count, self.width = form, count, width
        if form == "table":
            self.logits = nn.Parameter(torch.randn(count, width))
        elif form in ("contexts", "backgrounds"):
            self.register_buffer("logits", torch.zeros(count if form == "contexts" else 0, width))
        else:
            self.network = nn.Sequential(
                nn.Linear(features, HIDDEN),
                nn.ReLU(),
                nn.Linear(HIDDEN, HIDDEN),
                nn.ReLU(),
                nn.Linear(HIDDEN, count * width),
            )

    def forward(self, embeddings: Float[Tensor, "views features"]) -> Float[Tensor, "*samples strata width"]:
        """Return strata for a batch that may be spread over processes.

        Args:
            embeddings: [2 batch, features] of this process's samples.

        Returns:
            [strata, width], or for "sample-mlp" [batch of all processes, strata, width].
        """
        if self.form in ("table", "contexts"):
            return torch.sigmoid(self.logits)
        first, second = embeddings.detach().chunk(2)
        samples = gather((first + second) / 2)
        if self.form == "batch-mlp":
            samples = samples.mean(0)
        return torch.sigmoid(self.network(samples).unflatten(-1, (self.count, self.width)))


def contexts(values: Float[Tensor, "samples width"], count: int) -> Float[Tensor, "strata width"]:
    """Turn clusters of samples into logits of strata: each weights the dimensions in which its cluster stands out.

    Ours: other work on backdoor adjustment takes a dictionary of clusters of features for the confounder. Directions of
    the values are clustered by k-means; a dimension's logit is the distance of the cluster's centre from the mean of
    centres there, standardised over dimensions.

    Raises:
        ValueError: fewer samples than strata.
    """
    from sklearn.cluster import KMeans  # which takes seconds, and no other form needs it

    if len(values) < count:
        raise ValueError(f"{count} contexts were asked for of {len(values)} samples: use fewer --strata")
    rows = normalize(values.detach().cpu())
    centres = torch.from_numpy(KMeans(count, n_init=1, random_state=0).fit(rows.numpy()).cluster_centers_)
    distances = (centres - centres.mean(0)).abs()
    deviation, mean = torch.std_mean(distances, dim=1, correction=0, keepdim=True)
    return ((distances - mean) / deviation.clamp_min(torch.finfo(distances.dtype).tiny)).to(values)
