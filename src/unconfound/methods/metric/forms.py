"""What each metric loss is made of: what it compares, the terms of the loss, and what it learns beside the encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from unconfound.functional.pair_terms import (
    Terms,
    contrastive_terms,
    cosines,
    distances,
    margin_terms,
    multi_similarity_terms,
    noise_to_signal,
    nt_xent_terms,
    triplet_elements,
    triplet_total,
)
from unconfound.functional.proxy_losses import (
    arcface_logits,
    cosface_logits,
    normalized_softmax_logits,
    proxy_anchor_loss,
    proxy_nca_logits,
    soft_triple_logits,
)
from unconfound.options.methods.metric_settings import LossName


@dataclass(frozen=True, eq=False)
class Triplets:
    """All triplets of a batch, in the form of `Terms`."""

    distances: Tensor
    positive: Tensor
    negative: Tensor
    margin: float

    def total(self) -> Tensor:
        return triplet_total(self.distances, self.positive, self.negative, margin=self.margin)

    def elements(self) -> tuple[Tensor, Tensor]:
        return triplet_elements(self.distances, self.positive, self.negative, margin=self.margin)


def _soft_triple_logits(rows: Tensor, proxies: Tensor, labels: Tensor, *, gamma: float, **settings: float) -> Tensor:
    return soft_triple_logits(rows, proxies, labels, sharpness=1 / gamma, **settings)


def _uniform_centers(classes: int, features: int, settings: Mapping[str, float]) -> Tensor:
    centers = int(settings["centers"])
    bound = 1 / math.sqrt(classes * centers)
    return torch.empty(classes, centers, features).uniform_(-bound, bound)


@dataclass(frozen=True, kw_only=True)
class LossForm:
    """How we compute a loss: from logits, from the terms of pairs, or as a whole; by none of these, not at all.

    Args:
        settings: those that `logits`, `terms` or `total` takes.
        logits: (rows, proxies, labels) -> scores of classes, whose cross-entropy is the loss.
        scores: (rows, others) -> what pairs are compared by.
        scale: the setting that multiplies these.
        terms: (scores, positive, negative) -> the terms of the loss.
        total: (rows, proxies, labels) -> the loss.
        proxies: (classes, features, all settings) -> the first proxies, drawn as by pytorch-metric-learning and the
            Reality Check: the tuned learning rates are meant for them.
        boundary: there is one to be learnt for all samples, or one for each class.
        memory: samples are compared with those of earlier batches.
    """

    settings: tuple[str, ...] = ()
    logits: Callable[..., Tensor] | None = None
    scores: Callable[..., Tensor] | None = None
    scale: str | None = None
    terms: Callable[..., Terms | Triplets] | None = None
    total: Callable[..., Tensor] | None = None
    proxies: Callable[..., Tensor] | None = None
    boundary: Literal["one", "class"] | None = None
    memory: bool = False

    @property
    def ours(self) -> bool:
        return any((self.logits, self.terms, self.total))

    @property
    def has_elements(self) -> bool:
        return self.logits is not None or (self.terms is not None and not self.memory)


_MARGINS = ("positive_margin", "margin")
_SIMILARITY = ("positive_scale", "scale", "base")
_MARGIN = LossForm(settings=("margin",), scores=distances, terms=margin_terms, boundary="one")
_PROXY_NCA = LossForm(
    settings=("scale",), logits=proxy_nca_logits, proxies=lambda classes, features, _: torch.randn(classes, features)
)
_COSFACE = replace(_PROXY_NCA, settings=("scale", "margin"), logits=cosface_logits)
FORMS: dict[LossName, LossForm] = {
    "contrastive": LossForm(settings=_MARGINS, scores=distances, terms=contrastive_terms),
    "snr-contrastive": LossForm(settings=_MARGINS, scores=noise_to_signal, terms=contrastive_terms),
    "contrastive-xbm": LossForm(
        settings=_MARGINS, scores=cosines, terms=partial(contrastive_terms, similarity=True), memory=True
    ),
    "triplet": LossForm(settings=("margin",), scores=distances, terms=Triplets),
    "margin": _MARGIN,
    "margin-class": replace(_MARGIN, boundary="class"),
    "nt-xent": LossForm(scores=cosines, scale="scale", terms=nt_xent_terms),
    "multi-similarity": LossForm(settings=_SIMILARITY, scores=cosines, terms=multi_similarity_terms),
    "multi-similarity-miner": LossForm(
        settings=(*_SIMILARITY, "epsilon"), scores=cosines, terms=multi_similarity_terms
    ),
    "proxy-nca": _PROXY_NCA,
    "proxy-nca++": _PROXY_NCA,
    "normalized-softmax": replace(_PROXY_NCA, logits=normalized_softmax_logits),
    "cosface": _COSFACE,
    "arcface": replace(_COSFACE, logits=arcface_logits),
    "soft-triple": LossForm(
        settings=("scale", "margin", "gamma"), logits=_soft_triple_logits, proxies=_uniform_centers
    ),
    "proxy-anchor": LossForm(
        settings=("scale", "margin"),
        total=proxy_anchor_loss,
        proxies=lambda classes, features, _: torch.randn(classes, features) * math.sqrt(2 / classes),
    ),
    "fastap": LossForm(),
}
