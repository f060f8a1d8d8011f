"""Metric losses by name, in one form: a scalar for a batch, or its elements with the sample that each belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.functional.distributed import gather
from unconfound.functional.inputs import wide
from unconfound.functional.pair_terms import (
    Terms,
    contrastive_terms,
    cosines,
    distances,
    margin_terms,
    multi_similarity_terms,
    noise_to_signal,
    nt_xent_terms,
    pairs,
    triplet_elements,
    triplet_total,
)
from unconfound.functional.proxy_losses import (
    arcface_logits,
    center_spread,
    cosface_logits,
    normalized_softmax_logits,
    proxy_anchor_loss,
    proxy_nca_logits,
    soft_triple_logits,
)
from unconfound.functional.similarity import normalize
from unconfound.methods.parts.memory import LabelledMemory
from unconfound.options.methods.metric import Implementation
from unconfound.options.methods.metric_settings import LossName, checked_settings
from unconfound.suggestions import nearest_name

_SOFTMAX: dict[str, Callable[..., Tensor]] = {
    "proxy-nca": proxy_nca_logits,
    "proxy-nca++": proxy_nca_logits,
    "normalized-softmax": normalized_softmax_logits,
    "cosface": cosface_logits,
    "arcface": arcface_logits,
    "soft-triple": soft_triple_logits,
}
_WITHOUT_ELEMENTS = ("fastap", "contrastive-xbm", "proxy-anchor")


def build_metric_loss(
    name: LossName,
    *,
    classes: int,
    features: int,
    settings: Mapping[str, float] | None = None,
    implementation: Implementation = "auto",
) -> MetricLoss:
    """Make a metric loss with its settings tuned on CUB-200.

    Args:
        name: of the loss.
        classes: labels are below this.
        features: width of the embeddings.
        settings: in place of the tuned ones.
        implementation: ours, pytorch-metric-learning's, or ours where there is one, which is all but FastAP.

    Raises:
        ValueError: an unknown name, a setting that the loss has not or out of its range, or no implementation.
        ImportError: pytorch-metric-learning is needed and not installed.
    """
    if implementation not in get_args(Implementation):
        names = get_args(Implementation)
        raise ValueError(f"unknown implementation {implementation!r}: {nearest_name(str(implementation), names)}")
    chosen = checked_settings(name, settings or {})
    return MetricLoss(name, classes=classes, features=features, settings=chosen, implementation=implementation)


class MetricLoss(nn.Module):
    """A metric loss of embeddings and labels; make one with `build_metric_loss`.

    What it learns beside the encoder, proxies or a boundary, are its parameters; a memory is a buffer of it. Embeddings
    and labels of all processes are gathered, so that several processes compute what one would with the whole batch.
    All is in float32 or better.

    Args:
        name, classes, features, settings, implementation: as `build_metric_loss`, with all settings of the loss.

    Attributes:
        proxies: [classes, features], of SoftTriple [classes, centers, features]; None: the loss has none of ours.
        boundary: of the margin losses, or None.
        memory: of earlier batches, or None.
        published: pytorch-metric-learning's module, or None.
        has_elements: `elements` works.
        has_logits: `logits` works: the loss is the cross-entropy of scores against proxies of ours.
    """

    def __init__(
        self,
        name: LossName,
        *,
        classes: int,
        features: int,
        settings: Mapping[str, float],
        implementation: Implementation = "auto",
    ) -> None:
        super().__init__()
        self.name, self.settings = name, dict(settings)
        self.has_elements = name not in _WITHOUT_ELEMENTS and implementation != "published"
        self.has_logits = name in _SOFTMAX and implementation != "published"
        self.proxies: nn.Parameter | None = None
        self.boundary: nn.Parameter | None = None
        self.memory: LabelledMemory | None = None
        self.published: nn.Module | None = None
        if name == "snr-contrastive" and features < 2:
            raise ValueError("snr-contrastive compares variances over features, and there is 1: use at least two")
        if name == "contrastive-xbm":
            self.memory = LabelledMemory(int(settings["memory"]), features)
        if name == "fastap" and implementation == "ours":
            raise ValueError("fastap has no implementation of ours: use --implementation auto or published")
        if implementation == "published" or name == "fastap":
            # Only here is the optional library needed.
            from unconfound.methods.metric.published import published_loss

            self.published = published_loss(name, classes=classes, features=features, settings=settings)
            return
        if name in _SOFTMAX or name == "proxy-anchor":
            self.proxies = nn.Parameter(_first_proxies(name, classes, features, int(settings.get("centers", 1))))
        if name in ("margin", "margin-class"):
            count = classes if name == "margin-class" else 1
            self.boundary = nn.Parameter(torch.full((count,), float(settings["boundary"])))

    def forward(self, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Compute the loss of the batch of all processes.

        Where nothing in the batch can be learnt from (no positive pair for a loss that needs one), it is 0.
        """
        rows, labels = wide(gather(embeddings)), gather(labels)
        with torch.autocast(rows.device.type, enabled=False):
            if self.memory is not None:
                return self._against_memory(self.memory, rows, labels)
            if self.published is not None:
                # The library's own arithmetic of this distance is on rows as they are, the regularizer included.
                rows = normalize(rows) if self.name == "snr-contrastive" else rows
                loss: Tensor = self.published(rows, labels)
                return loss
            if self.name in _SOFTMAX:
                return F.cross_entropy(self._logits(rows, labels), labels) + self._regularizer(rows)
            if self.name == "proxy-anchor":
                return proxy_anchor_loss(rows, cast(Tensor, self.proxies), labels, **self.settings)
            scores = self._scores(rows)
            if self.name == "triplet":
                return triplet_total(scores, *pairs(labels), margin=self.settings["margin"])
            return self._terms(scores, labels).total() + self._regularizer(rows)

    def elements(
        self,
        embeddings: Float[Tensor, "batch features"],
        labels: Int[Tensor, " batch"],
        *,
        scale: Float[Tensor, ""] | None = None,
    ) -> tuple[Float[Tensor, " elements"], Int[Tensor, " elements"]]:
        """Return the unreduced elements of the loss, whose mean is the loss, and to which sample each belongs.

        An element is a sample's cross-entropy, a pair or a triplet whose loss is not 0, or all pairs of an anchor
        (multi-similarity). Where a loss averages two kinds of pairs apart, or adds a regularizer, elements are scaled,
        or raised by it, so that their mean is the loss all the same. None where there is nothing to learn from.

        Args:
            embeddings, labels: of the batch of all processes; unlike `forward`, this gathers nothing.
            scale: multiplies what is compared: logits, with the margin inside; distances or similarities of pairs.

        Returns:
            [elements] and [elements]: the positions of their anchors in the batch.

        Raises:
            ValueError: the loss belongs to a batch as a whole, or its implementation is not ours.
        """
        if not self.has_elements:
            known = [each for each in get_args(LossName) if each not in _WITHOUT_ELEMENTS]
            raise ValueError(
                f"the loss {self.name} has no elements that could be weighed: use our implementation of one of "
                f"{', '.join(known)}"
            )
        rows = wide(embeddings)
        with torch.autocast(rows.device.type, enabled=False):
            if self.name in _SOFTMAX:
                logits = self._logits(rows, labels)
                losses = F.cross_entropy(logits if scale is None else scale * logits, labels, reduction="none")
                return losses + self._regularizer(rows), torch.arange(len(rows), device=rows.device)
            scores = self._scores(rows)
            scores = scores if scale is None else scale * scores
            if self.name == "triplet":
                return triplet_elements(scores, *pairs(labels), margin=self.settings["margin"])
            losses, anchors = self._terms(scores, labels).elements()
            return losses + self._regularizer(rows), anchors

    def logits(
        self, embeddings: Float[Tensor, "batch features"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the scores of samples, whose cross-entropy is the loss.

        Args:
            embeddings, labels: as `elements`.

        Raises:
            ValueError: the loss is no such one.
        """
        if not self.has_logits:
            raise ValueError(f"the loss {self.name} has no logits: use our {', '.join(_SOFTMAX)}")
        rows = wide(embeddings)
        with torch.autocast(rows.device.type, enabled=False):
            return self._logits(rows, labels)

    def _logits(self, rows: Tensor, labels: Tensor) -> Tensor:
        # What is learnt is in the settings for how it starts, and for the regularizer.
        left_out = ("gamma", "spread_weight", "centers")
        options: dict[str, Any] = {key: value for key, value in self.settings.items() if key not in left_out}
        if self.name == "soft-triple":
            options["sharpness"] = 1 / self.settings["gamma"]
        return _SOFTMAX[self.name](rows, cast(Tensor, self.proxies), labels, **options)

    def _scores(self, rows: Tensor) -> Tensor:
        """Return what is compared: [samples, samples] distances or similarities."""
        match self.name:
            case "nt-xent":
                return self.settings["scale"] * cosines(rows, rows)
            case "multi-similarity" | "multi-similarity-miner":
                return cosines(rows, rows)
            case "snr-contrastive":
                return noise_to_signal(rows, rows)
        return distances(rows, rows)

    def _terms(self, scores: Tensor, labels: Tensor) -> Terms:
        settings, kinds = self.settings, pairs(labels)
        match self.name:
            case "nt-xent":
                return nt_xent_terms(scores, *kinds)
            case "multi-similarity" | "multi-similarity-miner":
                options: dict[str, Any] = settings
                return multi_similarity_terms(scores, *kinds, **options)
            case "margin" | "margin-class":
                boundary = cast(Tensor, self.boundary)
                boundary = boundary if len(boundary) == 1 else boundary[labels]
                return margin_terms(scores, *kinds, margin=settings["margin"], boundary=boundary)
        return contrastive_terms(scores, *kinds, settings["positive_margin"], settings["margin"])

    def _regularizer(self, rows: Tensor) -> Tensor | float:
        if weight := self.settings.get("spread_weight", 0.0):
            return weight * center_spread(cast(Tensor, self.proxies))
        if weight := self.settings.get("mean_weight", 0.0):
            # Yuan et al., equation 9: features are to have the mean 0, which makes the ratio that of a distance.
            return weight * normalize(rows).sum(1).abs().mean()
        return 0.0

    def _against_memory(self, memory: LabelledMemory, rows: Tensor, labels: Tensor) -> Tensor:
        """Compare a batch with earlier ones and itself; in training it enters the memory first."""
        places = memory.push(rows.detach(), labels) if self.training else None
        positive, negative = memory.pairs(labels, places)
        others = memory.rows.to(rows.dtype, copy=True)
        if self.published is not None:
            indices = (*positive.nonzero(as_tuple=True), *negative.nonzero(as_tuple=True))
            loss: Tensor = self.published(rows, labels, indices, others, memory.labels.clone())
            return loss
        margins = self.settings["positive_margin"], self.settings["margin"]
        return contrastive_terms(cosines(rows, others), positive, negative, *margins, similarity=True).total()


def _first_proxies(name: LossName, classes: int, features: int, centers: int) -> Tensor:
    """Draw proxies as pytorch-metric-learning and the Reality Check do: the tuned learning rates are meant for them."""
    if name == "soft-triple":
        bound = 1 / math.sqrt(classes * centers)
        return torch.empty(classes, centers, features).uniform_(-bound, bound)
    drawn = torch.randn(classes, features)
    return drawn * math.sqrt(2 / classes) if name == "proxy-anchor" else drawn
