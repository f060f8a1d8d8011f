"""Metric learning: an embedding in which samples of one class are near, judged on classes that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast, final, get_args

import torch
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.methods.frozen import freeze_batch_norms
from unconfound.methods.labelled import check_classes, labels_of
from unconfound.methods.method import Method, Phase, Step
from unconfound.methods.metric_losses import Implementation, build_metric_loss
from unconfound.methods.metric_settings import LOSSES, LossName, TunedOn, tuned
from unconfound.suggestions import nearest_name
from unconfound.views import MetricViewOptions, image_views


@dataclass(frozen=True, kw_only=True)
class MetricOptions(MetricViewOptions):
    """Options of `metric`."""

    loss: LossName = "cosface"
    """which loss; the page on metric learning has a table of all"""
    tuned_on: TunedOn = "cub"
    """the data set whose tuned settings the loss takes"""
    features: int = 128
    """width of the embedding, a linear map of the encoder's output that is saved with it"""
    batch_norm: bool = False
    """put BatchNorm before that map"""
    instances: int | None = None
    """samples of each class in a batch; by default 4 for losses of pairs, and shuffled samples for losses of proxies"""
    margin: float | None = None
    """of the loss, in place of the tuned one (contrastive losses: of negatives; arcface: in degrees)"""
    scale: float | None = None
    """of the loss, in place of the tuned one: of similarities or distances in an exponent, 1 / temperature"""
    proxy_learning_rate: float | None = None
    """of proxies, and of a learnt boundary, in place of the tuned one, which is meant for adamw"""
    head_learning_rate: float | None = None
    """of the linear map; by default the encoder's"""
    freeze_batch_norm: bool = False
    """leave statistics, scale and shift of the encoder's BatchNorm as they are"""
    implementation: Implementation = "auto"
    """ours, published (pytorch-metric-learning), or auto: ours where there is one, which is all but fastap"""

    def __post_init__(self) -> None:
        for name, kind in (("loss", LossName), ("tuned_on", TunedOn), ("implementation", Implementation)):
            value = getattr(self, name)
            if value not in get_args(kind):
                raise ValueError(f"unknown {name} {value!r}: {nearest_name(str(value), get_args(kind))}")
        if self.features < 1:
            raise ValueError(f"features must be at least 1, got {self.features}")
        if self.instances is not None and self.instances < 1:
            raise ValueError(f"instances must be at least 1, got {self.instances}")
        if self.instances == 1 and LOSSES[self.loss].needs_pairs:
            raise ValueError(f"the loss {self.loss} pulls samples of a class together: give --instances of at least 2")
        for name in ("proxy_learning_rate", "head_learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")


@final
class Metric(Method):
    """Learns an embedding with one of the losses that "A Metric Learning Reality Check" compares. Needs labels.

    Musgrave et al. (ECCV 2020): the encoder's output goes through one linear map of `features` columns, and the loss
    sees its direction alone. Losses of pairs get batches of some classes with some samples each; a class of fewer
    samples gives some of them more than once. Losses of proxies learn a point a class, which is not saved with the
    encoder. Their tuned learning rates are absolute: an adaptive optimizer moves a number by about its learning rate,
    whatever the loss, and proxies start at the size at which those rates were tuned. The encoder has the rate of the
    training options, which for a pretrained one is best far below (the Reality Check's is 1e-6).
    """

    Options = MetricOptions
    needs_labels: ClassVar[bool] = True
    judged_on_unseen_classes: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: MetricOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or MetricOptions()
        check_classes(schema, method="metric")
        self.instances_per_class = LOSSES[options.loss].instances if options.instances is None else options.instances
        settings, rate = tuned(options.loss, options.tuned_on)
        given = {"margin": options.margin, "scale": options.scale}
        settings |= {name: value for name, value in given.items() if value is not None}
        self.proxy_learning_rate = rate if options.proxy_learning_rate is None else options.proxy_learning_rate
        self.loss = build_metric_loss(
            options.loss,
            classes=len(schema.classes),
            features=options.features,
            settings=settings,
            implementation=options.implementation,
        )
        # Only images have views; other samples are learnt from as they are.
        views = options.augment and schema.modality == "images"
        self.views = image_views(options, schema, method="metric") if views else None
        encoder.add_projection(options.features, batch_norm=options.batch_norm)
        self.encoder = encoder
        if options.freeze_batch_norm:
            freeze_batch_norms(encoder.network)

    def train(self, mode: bool = True) -> Metric:
        """Set the mode of all layers, but for BatchNorm that is frozen."""
        super().train(mode)
        if self.options.freeze_batch_norm:
            freeze_batch_norms(self.encoder.network)
        return self

    def phases(self) -> tuple[Phase, ...]:
        head = cast(nn.Module, self.encoder.projection)
        own = {id(parameter) for part in (head, self.loss) for parameter in part.parameters()}
        rest = [each for each in self.parameters() if each.requires_grad and id(each) not in own]
        groups: list[dict[str, Any]] = [{"params": rest}, {"params": list(head.parameters())}]
        if self.options.head_learning_rate is not None:
            groups[-1]["lr"] = self.options.head_learning_rate
        if learnt := list(self.loss.parameters()):
            groups.append({"params": learnt, "lr": self.proxy_learning_rate})
        return (Phase("train", groups),)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        inputs, labels = batch.inputs, labels_of(batch, method="metric")
        if self.views is not None:
            inputs = self.views(cast(Tensor, inputs), count=1)
        embeddings = self.encoder(inputs)
        return Step(self.loss(embeddings, labels), embeddings=torch.atleast_2d(embeddings.detach().float()))
