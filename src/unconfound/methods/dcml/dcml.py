"""DCML: attention and embedding that stay optimal across environments, which are learnt to show where they are not."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Attention, Encoder, Gated, Projected
from unconfound.functional.consistency import (
    attention_distance,
    attention_variance,
    mean_class_penalty,
    pairwise_class_penalty,
)
from unconfound.functional.distributed import gather
from unconfound.methods.dcml.environment_learning import (
    given_environments,
    learnt_environments,
    read_environments,
)
from unconfound.methods.dcml.environment_loss import risks_and_slopes
from unconfound.methods.method import Method, Phase, Step
from unconfound.methods.metric.losses import chosen_loss
from unconfound.methods.parts.frozen_batch_norm import freeze_batch_norms
from unconfound.methods.parts.labelled import check_groups, labels_of, need_classes
from unconfound.methods.parts.parameter_groups import parameter_groups
from unconfound.methods.parts.saved_sizes import size_as_saved
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.views import image_views

# An environment with less than this share of its even part of the samples is as good as none.
_TINY = 0.05


@final
class DCML(Method):
    """Metric learning under environments that are learnt to disagree. Needs labels of images.

    Deng and Zhang, "Deep Causal Metric Learning", ICML 2022. Every training sample has a weight in each environment;
    between epochs these weights are learnt to make the gates and the embedding as little invariant as they can be, and
    training then makes them so: each environment has gates of its own on the feature map, which are pulled together
    (beta), the embedding's loss is not to gain from another scale in any (alpha, IRM), and samples of one class are
    kept together within an environment (gamma). Embeddings are made with the mean weights of the gates.

    The poster and the released code differ in every term. form="code", the default, is what made the published numbers:
    a mean over environments; the dummy classifier a number a class on the logits; the variance of the gates' weights
    relative to their size; distances of embeddings to the mean of their class in the batch, which has no gradient; and
    a loss without environments through gates and proxies of its own. form="paper" is the poster's formula: a sum; one
    dummy number; squared distances of the gates' weights to their mean; squared distances of the gated maps of two
    samples of a class; and the loss without environments through the mean gates. Where both are silent or we depart:
    environments are learnt on the images as they are, not on random views of them (see `sample_vectors`); labels are in
    the order of the data's classes; a loss of pairs weighs each pair by its anchor.

    `environment_logits` [samples, environments] gives the weights through a softmax; empty before they are learnt.
    """

    name = "dcml"
    Options = DCMLOptions
    needs_labels: ClassVar[bool] = True
    tested_on_unseen_classes: ClassVar[bool] = True

    environment_logits: Tensor
    environment_objective: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: DCMLOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or DCMLOptions()
        need_classes(schema, method=self.name)
        if schema.modality != "images":
            raise ValueError(f"dcml gates feature maps of images, the data are {schema.modality}: take metric")
        self.needs_groups = options.environments_from == "groups"
        if self.needs_groups:
            check_groups(schema, method=f"{self.name} --environments-from groups")
        self.environments = {"groups": len(schema.groups), "scenes": 2}.get(
            options.environments_from, options.environments
        )
        self.instances_per_class = options.instances
        self.encoder = encoder
        gated = encoder.wrap(Gated, environments=self.environments)
        encoder.wrap(Projected, features=options.features, batch_norm=True)
        self.loss, self.proxy_learning_rate = chosen_loss(options, len(schema.classes))
        if not self.loss.has_elements:
            raise ValueError(
                f"dcml weighs the samples of its loss, and {options.loss} belongs to a batch: take cosface"
            )
        own = options.extra_branch and options.form == "code"
        places = gated.attention.weights["spatial_in"].shape[1]
        self.extra_attention = Attention(gated.features, places, environments=1) if own else None
        self.extra_loss = chosen_loss(options, len(schema.classes))[0] if own else self.loss
        self.views = image_views(options, schema, method=self.name) if options.augment else None
        if options.freeze_batch_norm:
            freeze_batch_norms(gated.network)
        self.register_buffer("environment_logits", torch.zeros(0, self.environments))
        self.register_buffer("environment_objective", torch.zeros(()))
        size_as_saved(self, "environment_logits")

    def train(self, mode: bool = True) -> DCML:
        """Set the mode of all layers, but for BatchNorm that is frozen."""
        super().train(mode)
        if self.options.freeze_batch_norm:
            freeze_batch_norms(self.encoder.wrapper(Gated).network)
        return self

    def phases(self) -> tuple[Phase, ...]:
        """Move all at once, proxies and gates with learning rates of their own."""
        options = self.options
        # Each parameter once, also where the two losses are one.
        proxies = nn.ModuleList([self.loss, self.extra_loss]).parameters()
        gates = list(self.encoder.wrapper(Gated).attention.parameters())
        gates += [] if self.extra_attention is None else list(self.extra_attention.parameters())
        own = ((gates, options.attention_learning_rate), (proxies, self.proxy_learning_rate))
        return (Phase("train", parameter_groups(self.encoder.parameters(), *own)),)

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Learn the environments when it is time, or draw or read them where they are not learnt."""
        options = self.options
        if self.environments == 1 or (epoch % options.relearn_every and len(self.environment_logits) == len(source)):
            return
        if options.environments_file is not None:
            if not len(self.environment_logits):
                read = read_environments(Path(options.environments_file), source, environments=self.environments)
                self.environment_logits = read.to(self.environment_logits)
            return
        if options.environments_from != "learnt":
            logits = given_environments(options.environments_from, source, environments=self.environments)
            self.environment_logits = logits.to(self.environment_logits)
            return
        logits, objectives = learnt_environments(
            self.encoder, self.loss, source, options, environments=self.environments
        )
        self.environment_logits = logits.to(self.environment_logits)
        self.environment_objective.copy_(objectives[-1])

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        options, encoder = self.options, self.encoder
        gated, projection = encoder.wrapper(Gated), encoder.wrapper(Projected).projection
        images = cast(Tensor, batch.inputs)
        maps = gated.maps(images if self.views is None else self.views(images, count=1))
        labels, weights = gather(labels_of(batch, method=self.name)), gather(self._weights(batch.index))
        spatial, channel, means = gated.attention.gates_and_means(maps)
        projected = [projection(rows) for rows in means]
        embeddings = [gather(rows) for rows in projected]
        risks, slopes = risks_and_slopes(
            self.loss, torch.stack(embeddings), labels, weights, per_class=options.per_class
        )
        # EIIL's sums over all samples, where asked for, are means times the share of the samples.
        shares = weights.mean(0) if options.normalization == "samples" else torch.ones_like(weights[0])
        terms = {
            "risk": self._over_environments(risks * shares),
            "penalty": self._over_environments(slopes.square().sum(1) * shares.square()),
            "attention": self._attention(),
            "consistency": self._consistency(maps, (spatial, channel), embeddings, labels, weights),
            "extra": self._extra(maps, labels_of(batch, method=self.name)),
        }
        factors = (1.0, options.irm_weight, options.attention_weight, options.consistency_weight, 1.0)
        loss = torch.stack([factor * term for factor, term in zip(factors, terms.values(), strict=True)]).sum()
        told = {name: term.detach() for name, term in terms.items()}
        # The penalty's weight is so small in the paper that one must see whether it counts.
        told["penalty_share"] = options.irm_weight * told["penalty"] / told["risk"].clamp_min(1e-12)
        told["objective"] = self.environment_objective.clone()
        told |= {f"environment_{number}": share for number, share in enumerate(self._sizes())}
        return Step(loss, told, torch.atleast_2d(projected[0].detach().float()))

    def of_samples(self) -> dict[str, Tensor]:
        """Return each training sample's weight in each environment."""
        weights = torch.softmax(self.environment_logits, 1).cpu()
        return {f"environment_{number}": own for number, own in enumerate(weights.unbind(1))} if len(weights) else {}

    def alarm(self) -> str | None:
        """Tell of an environment that nearly nothing belongs to: its mean is over a few samples, or none."""
        smallest = float(self._sizes().min())
        if smallest >= _TINY / self.environments:
            return None
        return (
            f"environments: the smallest holds {smallest:.2%} of the training samples: give --smallest-share or "
            "--normalization samples"
        )

    def _weights(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch environments"]:
        if self.environments == 1:
            return torch.ones(len(index), 1, device=index.device)
        # Elsewhere the device's own check does it: reading the values here would wait for them.
        if index.device.type == "cpu" and int(index.max()) >= len(self.environment_logits):
            raise ValueError(
                f"dcml knows the environments of {len(self.environment_logits):,} samples, and was given the sample "
                f"{int(index.max()):,}: train and resume with the same data, and call before_epoch first"
            )
        return torch.softmax(self.environment_logits[index], 1)

    def _sizes(self) -> Float[Tensor, " environments"]:
        if not len(self.environment_logits):
            return self.environment_logits.new_ones(self.environments) / self.environments
        return torch.softmax(self.environment_logits, 1).mean(0)

    def _over_environments(self, values: Float[Tensor, " environments"]) -> Float[Tensor, ""]:
        return values.mean() if self.options.form == "code" else values.sum()

    def _attention(self) -> Float[Tensor, ""]:
        weights = list(self.encoder.wrapper(Gated).attention.weights.values())
        return attention_variance(weights) if self.options.form == "code" else attention_distance(weights)

    def _consistency(
        self,
        maps: Tensor,
        gates: tuple[Tensor, Tensor],
        embeddings: list[Tensor],
        labels: Tensor,
        weights: Tensor,
    ) -> Float[Tensor, ""]:
        if self.options.consistency_weight == 0:
            return maps.new_zeros((), dtype=torch.float32)
        if self.options.form == "code":
            pairs = zip(embeddings, weights.unbind(1), strict=True)
            penalties = [mean_class_penalty(rows, labels, own) for rows, own in pairs]
            return self._over_environments(torch.stack(penalties))
        penalties = [
            pairwise_class_penalty(gather((maps * places * channels).flatten(1)), labels, own)
            for places, channels, own in zip(*gates, weights.unbind(1), strict=True)
        ]
        return self._over_environments(torch.stack(penalties))

    def _extra(self, maps: Tensor, labels: Tensor) -> Float[Tensor, ""]:
        if not self.options.extra_branch:
            return maps.new_zeros((), dtype=torch.float32)
        if self.extra_attention is None:
            pooled = self.encoder.wrapper(Gated).pool(maps)
        else:
            pooled = self.extra_attention(maps).squeeze(0)
        loss: Tensor = self.extra_loss(self.encoder.wrapper(Projected).projection(pooled), labels)
        return loss
