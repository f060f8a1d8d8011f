"""Group DRO: the groups on which the loss is high weigh most."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.functional.robust import group_losses, update_group_weights
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import (
    balanced_weights,
    cross_entropy,
    groups_of,
    labels_of,
    logged_by_name,
    source_groups,
)
from unconfound.options.methods.classifying import GroupDROOptions


@final
class GroupDRO(Classifier[GroupDROOptions]):
    """The loss is the groups' losses, weighted so that the worst one counts most. Needs labels and groups.

    Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts: On the Importance of Regularization for
    Worst-Case Generalization", ICLR 2020, algorithm 1: on each batch weights move by exponentiated ascent, and then
    weight the groups' mean losses. Strong weight decay or few epochs are part of the method: without, all groups are
    learnt by heart and their training losses tell nothing.

    A group without training samples has the weight 0. The batch is that of all processes; where gradients of several
    batches are accumulated, weights move at each.
    """

    name = "group-dro"
    Options = GroupDROOptions
    needs_groups = True

    weights: Tensor
    samples: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: GroupDROOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.groups = schema.groups
        count = len(schema.groups)
        self.register_buffer("weights", torch.full((count,), 1 / count))
        # Of each group in training; all 0 before training begins.
        self.register_buffer("samples", torch.zeros(count, dtype=torch.long))

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Count the groups, and take those without samples out."""
        if epoch == 0:
            self.samples.copy_(torch.bincount(source_groups(source, method=self.name), minlength=len(self.groups)))
            there = self.samples > 0
            self.weights.copy_(there / there.sum())

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Balance groups."""
        return balanced_weights(source_groups(source, method=self.name)) if self.options.balanced else None

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels, groups = labels_of(batch, method=self.name), groups_of(batch, method=self.name)
        embeddings, logits = self.classify(batch.inputs)
        losses, _ = group_losses(gather(cross_entropy(logits, labels)), gather(groups), count=len(self.groups))
        if self.training:
            self._move_weights(losses.detach())
        # A copy: in an own loop, the next batch may move the weights before the backward pass of this one.
        weights = self.weights.clone()
        scalars = {"accuracy": accuracy(logits, labels), "highest_group_loss": losses.detach().max()}
        scalars |= logged_by_name("weight", self.groups, weights)
        # A product of vectors would be taken in half precision under autocast.
        loss = (losses * weights.to(losses.dtype)).sum()
        return step_of(loss, embeddings, scalars)

    def _move_weights(self, losses: Float[Tensor, " groups"]) -> None:
        adjustment = None
        if self.options.adjustment > 0:
            if not bool((self.samples > 0).any()):
                raise ValueError("group-dro with an adjustment counts groups in before_epoch: call it before training")
            adjustment = self.options.adjustment / self.samples.clamp_min(1).to(losses.dtype).sqrt()
        self.weights.copy_(
            update_group_weights(
                self.weights.to(losses.dtype), losses, step_size=self.options.step_size, adjustment=adjustment
            )
        )
