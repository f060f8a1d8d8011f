"""Just Train Twice: what a first model gets wrong counts more for a second one."""

from __future__ import annotations

import copy
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.encoders.apply import over_source
from unconfound.functional.distributed import sum_over_processes, world
from unconfound.methods.method import Phase, Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import cross_entropy, labels_of, logged_by_name
from unconfound.methods.parts.saved_sizes import size_as_saved
from unconfound.options.methods.classifying import JTTOptions


@final
class JTT(Classifier[JTTOptions]):
    """Trains a model for a few epochs, then another one that sees the first one's errors more often. Needs labels.

    Liu et al., "Just Train Twice: Improving Group Robustness without Training Group Information", ICML 2021. The errors
    on the training samples are an inferred group: no group labels are used, and whether it is a minority is not known.
    The two models start from the same weights of the encoder. Both are part of `epochs`: the second one is trained for
    those that the first one leaves.

    The paper repeats each error `upweight` times, and its epochs grow by that; here a pass draws as many samples as
    there are, with replacement, errors `upweight` times as often as others: the same mixture in shorter epochs. A first
    model without errors leaves all samples alike, and an alarm says so.

    `errors` [samples] is True where the first model was wrong, and empty before it was asked.
    """

    name = "jtt"
    Options = JTTOptions

    errors: Tensor
    error_shares: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: JTTOptions | None = None) -> None:
        super().__init__(encoder, schema, options)
        self.classes = schema.classes
        self.first = nn.Sequential(copy.deepcopy(encoder), nn.Linear(encoder.features, len(schema.classes)))
        self.register_buffer("errors", torch.zeros(0, dtype=torch.bool))
        # Of each class, 0 for one without samples.
        self.register_buffer("error_shares", torch.zeros(len(schema.classes)))
        size_as_saved(self, "errors")

    def phases(self) -> tuple[Phase, ...]:
        """First the one model, then the other."""
        epochs = self.options.identification_epochs
        return (
            Phase("identify", tuple(self.first.parameters()), stop=epochs),
            Phase("train", (*self.encoder.parameters(), *self.head.parameters()), start=epochs),
        )

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Find the errors of the first model once it is trained."""
        if epoch != self.options.identification_epochs:
            return
        device = self.error_shares.device
        rank, processes = world()
        own = torch.arange(rank, len(source), processes)
        wrong = torch.zeros(len(source), 2, device=device)
        found = torch.cat(over_source(self.first, self._right_and_wrong, source, own.split(256)))
        wrong[own.to(device)] = found[:, 1:].to(wrong)
        of_class = torch.zeros(len(self.classes), 2, device=device)
        of_class.index_add_(0, found[:, 0].to(device), found[:, 1:].to(wrong))
        wrong, of_class = sum_over_processes(wrong), sum_over_processes(of_class)
        self.errors = wrong[:, 0] > 0
        self.error_shares.copy_(of_class[:, 0] / of_class[:, 1].clamp_min(1))

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Draw the first model's errors more often while the second one is trained."""
        if phase != "train":
            return None
        if len(self.errors) != len(source):
            raise ValueError(
                f"jtt knows the first model's errors on {len(self.errors):,} samples, {source.name} has "
                f"{len(source):,}: train and resume with the same data"
            )
        return 1 + (self.options.upweight - 1) * self.errors.cpu().double()

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels = labels_of(batch, method=self.name)
        if phase == "identify":
            logits = self.first(batch.inputs)
            return Step(cross_entropy(logits, labels).mean(), {"accuracy": accuracy(logits, labels)})
        embeddings, logits = self.classify(batch.inputs)
        scalars = {"accuracy": accuracy(logits, labels), "inferred_errors": self.errors.sum().float()}
        scalars |= logged_by_name("error_share", self.classes, self.error_shares)
        return step_of(cross_entropy(logits, labels).mean(), embeddings, scalars)

    def _right_and_wrong(self, batch: Batch, inputs: Any) -> Tensor:
        """Return the label, whether the first model misses it, and 1 for each sample, on the CPU."""
        labels = labels_of(batch, method=self.name)
        wrong = self.first(inputs).argmax(1).cpu() != labels
        return torch.stack([labels, wrong.long(), torch.ones_like(labels)], 1)

    def of_samples(self) -> dict[str, Tensor]:
        """Return which samples the first model got wrong: groups that are inferred, not known."""
        return {"inferred_error": self.errors.cpu()} if len(self.errors) else {}

    def alarm(self) -> str | None:
        """Tell of an inferred group that is none."""
        wrong, samples = int(self.errors.sum()), len(self.errors)
        if samples == 0 or 0 < wrong <= samples / 2:
            return None
        which, change = ("none", "fewer") if wrong == 0 else (f"{wrong:,}", "more")
        return (
            f"jtt's first model errs on {which} of {samples:,} training samples, which is no minority to learn more "
            f"from: train it for {change} --identification-epochs"
        )
