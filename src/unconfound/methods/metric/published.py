"""The metric losses of pytorch-metric-learning, the library that the Reality Check was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from unconfound.extras import require
from unconfound.options.methods.metric_settings import LossName

# Their class, and under which of our names each of its arguments goes.
_CLASSES: dict[str, tuple[str, dict[str, str]]] = {
    "contrastive": ("ContrastiveLoss", {"pos_margin": "positive_margin", "neg_margin": "margin"}),
    "contrastive-xbm": ("ContrastiveLoss", {"pos_margin": "positive_margin", "neg_margin": "margin"}),
    "snr-contrastive": (
        "SignalToNoiseRatioContrastiveLoss",
        {"pos_margin": "positive_margin", "neg_margin": "margin", "embedding_reg_weight": "mean_weight"},
    ),
    "triplet": ("TripletMarginLoss", {"margin": "margin"}),
    "nt-xent": ("NTXentLoss", {}),
    "margin": ("MarginLoss", {"margin": "margin", "beta": "boundary"}),
    "margin-class": ("MarginLoss", {"margin": "margin", "beta": "boundary"}),
    "multi-similarity": ("MultiSimilarityLoss", {"alpha": "positive_scale", "beta": "scale", "base": "base"}),
    "multi-similarity-miner": ("MultiSimilarityLoss", {"alpha": "positive_scale", "beta": "scale", "base": "base"}),
    "proxy-nca": ("ProxyNCALoss", {"softmax_scale": "scale"}),
    "proxy-nca++": ("ProxyNCALoss", {"softmax_scale": "scale"}),
    "normalized-softmax": ("NormalizedSoftmaxLoss", {}),
    "cosface": ("CosFaceLoss", {"margin": "margin", "scale": "scale"}),
    "arcface": ("ArcFaceLoss", {"margin": "margin", "scale": "scale"}),
    "soft-triple": (
        "SoftTripleLoss",
        {"la": "scale", "gamma": "gamma", "margin": "margin", "weight_reg_weight": "spread_weight"},
    ),
    "proxy-anchor": ("ProxyAnchorLoss", {"margin": "margin", "alpha": "scale"}),
    "fastap": ("FastAPLoss", {}),
}
_WITH_PROXIES = ("proxy-nca", "proxy-nca++", "normalized-softmax", "cosface", "arcface", "soft-triple", "proxy-anchor")


def published_loss(name: LossName, *, classes: int, features: int, settings: Mapping[str, float]) -> nn.Module:
    """Make a loss of pytorch-metric-learning.

    Args:
        name, classes, features: as `build_metric_loss`.
        settings: all of the loss, under our names.

    Raises:
        ImportError: pytorch-metric-learning is not installed.
    """
    losses = _part("losses")
    kind, ours = _CLASSES[name]
    arguments: dict[str, Any] = {theirs: settings[own] for theirs, own in ours.items()}
    if name in _WITH_PROXIES:
        arguments |= {"num_classes": classes, "embedding_size": features}
    match name:
        case "nt-xent" | "normalized-softmax":
            arguments["temperature"] = 1 / settings["scale"]
        case "margin" | "margin-class":
            arguments |= {"learn_beta": True, "num_classes": classes if name == "margin-class" else None}
        case "contrastive-xbm":
            arguments["distance"] = _part("distances").CosineSimilarity()
        case "snr-contrastive" if settings["mean_weight"]:
            arguments["embedding_regularizer"] = _part("regularizers").ZeroMeanRegularizer()
        case "soft-triple":
            centers = int(settings["centers"])
            arguments["centers_per_class"] = centers
            if settings["spread_weight"] and centers > 1:
                arguments["weight_regularizer"] = _part("regularizers").SparseCentersRegularizer(classes, centers)
        case "fastap":
            arguments["num_bins"] = int(settings["bins"])
    module: nn.Module = getattr(losses, kind)(**arguments)
    if name == "multi-similarity-miner":
        return _Mined(module, _part("miners").MultiSimilarityMiner(settings["epsilon"]))
    return module


class _Mined(nn.Module):
    """A loss over the pairs that a miner finds."""

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        loss: Tensor = self.loss(embeddings, labels, self.miner(embeddings, labels))
        return loss


def _part(name: str) -> Any:
    return require(f"pytorch_metric_learning.{name}", extra="metric")
