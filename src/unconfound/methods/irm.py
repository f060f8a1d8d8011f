"""IRM: one classifier is the best one in every environment at once."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.robust import group_losses, irm_penalty
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import (
    balanced_weights,
    cross_entropy,
    groups_of,
    labels_of,
    source_groups,
)
from unconfound.options.methods.classifying import IRMOptions


@final
class IRM(Classifier[IRMOptions]):
    """Environments agree on the scale of the logits. Needs labels, and environments for groups.

    Arjovsky et al., "Invariant Risk Minimization" (2019), IRMv1: the mean over environments of cross-entropy and of
    penalty (`irm_penalty`), the latter with a weight that is 1 in the first epochs and large then. As in the authors'
    code, the loss is divided by a weight above 1, so that gradients stay of one size; DomainBed does not divide, and
    starts its optimizer anew where the weight rises, which neither the paper nor we do. Environments are the groups of
    the data (training domains, say). Those without a sample in a batch (of all processes) have no part in it.
    """

    name = "irm"
    Options = IRMOptions
    needs_groups = True

    penalty_weight: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: IRMOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.environments = len(schema.groups)
        self.register_buffer("penalty_weight", torch.tensor(float(self._weight_in(0))))

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Raise the penalty's weight when its time has come."""
        groups = source_groups(source, method=self.name)
        if epoch == 0 and len(found := groups.unique()) < 2:
            raise ValueError(
                f"irm compares environments, and all {len(source):,} samples of {source.name} are of one, "
                f"{source.schema.groups[int(found)]!r}: use at least two"
            )
        self.penalty_weight.fill_(self._weight_in(epoch))

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Balance environments."""
        return balanced_weights(source_groups(source, method=self.name)) if self.options.balanced else None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels, groups = labels_of(batch, method=self.name), groups_of(batch, method=self.name)
        embeddings, logits = self.classify(batch.inputs)
        all_logits, all_labels, all_groups = gather(logits), gather(labels), gather(groups)
        losses, samples = group_losses(cross_entropy(all_logits, all_labels), all_groups, count=self.environments)
        present = (samples > 0).sum()
        risk = losses.sum() / present
        penalty = irm_penalty(all_logits, all_labels, all_groups, count=self.environments).sum() / present
        loss = (risk + self.penalty_weight * penalty) / self.penalty_weight.clamp_min(1)
        scalars = {"accuracy": accuracy(logits, labels), "risk": risk.detach(), "penalty": penalty.detach()}
        return step_of(loss, embeddings, scalars)

    def _weight_in(self, epoch: int) -> float:
        return self.options.penalty_weight if epoch >= self.options.penalty_anneal_epochs else 1.0
