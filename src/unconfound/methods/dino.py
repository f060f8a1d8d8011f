"""DINO: a student predicts, from every view, which prototypes its teacher assigns a large view to."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Schema, Source
from unconfound.encoders import Encoder
from unconfound.functional.assignment import predicted_assignment, sinkhorn
from unconfound.functional.distributed import gather, sum_over_processes, world
from unconfound.functional.spread import koleo
from unconfound.methods.parts.multi_crop import MultiCropMethod
from unconfound.methods.parts.prototypes import Prototypes, UnitLength
from unconfound.methods.parts.target import TargetNetwork
from unconfound.methods.parts.two_views import Compared, gathered
from unconfound.options.methods.multi_crop import DINOOptions


@final
class DINO(MultiCropMethod[DINOOptions]):
    """From each view, the prototypes that a slow copy assigns the other large views to are predicted. Needs no labels.

    Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021. The student sees all views,
    the teacher (the target network) the two large ones. Its outputs are sharpened by a low temperature, which rises at
    first, and centred, so that no prototype wins all (equation 4); the prototypes stand still in the first epoch. With
    `centring` "sinkhorn" and `koleo_weight` 0.1, both losses of the whole image are those of Oquab et al., "DINOv2:
    Learning Robust Visual Features without Supervision", TMLR 2024; its masked patches (iBOT) are not part of it.

    Centre, Sinkhorn-Knopp and KoLeo are of the batch of all processes; the authors take KoLeo in each process alone.
    KoLeo is the sum over the two large views, of embeddings. Temperatures and momentum are the paper's, hidden layers
    and prototypes fewer, for small images (2,048 and 65,536 there). The temperature rises by epochs, and reaches the
    last one after `temperature_epochs`. The head is the paper's without BatchNorm: linear layers with GELU between, the
    output of unit length before the prototypes, whose length plays no part. Its weight decay, which grows from 0.04 to
    0.4, and solarised views are left out; set --weight-decay.

    The loss is at least the entropy of the teacher's assignments. If they become uniform, or the same for all images,
    nothing is learnt any more, and the alarm of the training loop tells. A batch of one image is refused.
    """

    name = "dino"
    Options = DINOOptions
    refuses_one = "centres the assignments of a batch, and this batch holds one image"

    centre: Tensor
    epoch: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: DINOOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        options = self.options
        self.head = nn.Sequential(
            dino_head(
                encoder.features,
                options.projection_features,
                layers=options.projection_layers,
                hidden_features=options.hidden_features,
            ),
            Prototypes(options.prototypes, options.projection_features),
        )
        self.target = TargetNetwork((encoder, self.head), momentum=options.momentum, rises=True)
        self.register_buffer("centre", torch.zeros(options.prototypes))
        self.register_buffer("epoch", torch.tensor(0))
        self.prototypes.frozen.fill_(options.frozen_epochs > 0)

    @property
    def prototypes(self) -> Prototypes:
        """The last layer of the student's head."""
        prototypes = self.head[1]
        assert isinstance(prototypes, Prototypes)
        return prototypes

    def compare(self, views: Tensor, local: Tensor | None = None) -> Compared:
        options, batch = self.options, len(views) // 2
        embeddings = self.embed(views, local)
        projections = self.head[0](embeddings)
        scores = self.prototypes(projections).unflatten(0, (-1, batch))
        assigned = self._assigned(self.target(views).unflatten(0, (2, batch)))
        loss = predicted_assignment(scores, assigned, temperature=options.temperature)
        loss = sum_over_processes(loss) / world()[1]
        entropy = torch.special.entr(assigned).sum(2).mean()
        scalars = {"assignment_entropy": sum_over_processes(entropy) / world()[1]}
        if options.koleo_weight:
            first, second = gathered(embeddings[: len(views)])
            spread = koleo(first) + koleo(second)
            loss = loss + options.koleo_weight * spread
            scalars["koleo"] = spread.detach()
        return Compared(loss, projections[: len(views)], embeddings[: len(views)], scalars)

    def before_epoch(self, epoch: int, source: Source) -> None:
        self.epoch.fill_(epoch)
        self.prototypes.frozen.fill_(epoch < self.options.frozen_epochs)

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        self.target.done = done

    def after_update(self) -> None:
        self.target.follow((self.encoder, self.head))

    @torch.no_grad()
    def _assigned(self, scores: Float[Tensor, "2 batch prototypes"]) -> Float[Tensor, "2 batch prototypes"]:
        """Return what the teacher assigns this process's large views to, and let the centre follow its scores."""
        options, (rank, processes) = self.options, world()
        batch = scores.shape[1]
        temperature = self._temperature()
        if options.centring == "sinkhorn":
            own = slice(rank * batch, (rank + 1) * batch)
            both = gather(scores.transpose(0, 1) / temperature).transpose(0, 1).flatten(0, 1)
            shares: Tensor = sinkhorn(both, smoothing=1.0, iterations=options.iterations).unflatten(0, (2, -1))
            return shares[:, own]
        assigned: Tensor = ((scores - self.centre) / temperature).softmax(2)
        mean = sum_over_processes(scores.mean((0, 1))) / processes
        self.centre.lerp_(mean.to(self.centre.dtype), 1 - options.centre_momentum)
        return assigned

    def _temperature(self) -> Float[Tensor, ""]:
        """Return the teacher's temperature in this epoch, without asking the device."""
        options = self.options
        share: Tensor = (self.epoch / max(options.temperature_epochs, 1)).clamp_max(1)
        first = options.first_target_temperature if options.temperature_epochs else options.target_temperature
        return first + (options.target_temperature - first) * share


def dino_head(features: int, projection_features: int, *, layers: int, hidden_features: int) -> nn.Sequential:
    """Build DINO's head before its prototypes: linear layers with GELU between, and rows of unit length.

    Args:
        features: of the encoder.
        projection_features: of the output.
        layers: 1 is a linear map.
        hidden_features: of the hidden layers.
    """
    widths = [features, *[hidden_features] * (layers - 1), projection_features]
    modules: list[nn.Module] = []
    for layer, (incoming, outgoing) in enumerate(pairwise(widths)):
        if layer:
            modules.append(nn.GELU())
        modules.append(nn.Linear(incoming, outgoing))
    return nn.Sequential(*modules, UnitLength())
