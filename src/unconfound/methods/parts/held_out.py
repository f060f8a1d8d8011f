"""What methods share that learn a classifier, and in the end its last layer anew from samples that were held out."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.encoders.apply import over_source
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Chosen, Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import cross_entropy, labels_of
from unconfound.methods.parts.saved_sizes import size_as_saved
from unconfound.options.methods.refitting import HeldOutOptions


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Samples that the encoder was not trained on.

    Args:
        source: where they are.
        positions: of them in the source.
        embeddings: of them, on the CPU.
        labels: of them.
    """

    source: Source
    positions: Int[Tensor, " samples"]
    embeddings: Float[Tensor, "samples features"]
    labels: Int[Tensor, " samples"]


class HeldOutClassifier(Classifier[Chosen]):
    """Cross-entropy, and in the end `refit`, which a subclass defines, on samples that were held out.

    These are a share of the training samples, of each class alike, that are drawn before the first epoch and never
    trained on, or the validation part (`HeldOutOptions`). The training draws as many samples a pass as there are, with
    replacement, from those that are left.

    `held_out` [samples] is True for training samples that are held out, and empty before they are drawn or where the
    validation part is taken.
    """

    held_out: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: Chosen | None = None) -> None:
        super().__init__(encoder, schema, options)
        assert isinstance(self.options, HeldOutOptions)
        self.refit_on, self.held_out_share = self.options.refit_on, self.options.held_out_share
        self.register_buffer("held_out", torch.zeros(0, dtype=torch.bool))
        size_as_saved(self, "held_out")

    @abstractmethod
    def refit(self, held: HeldOut) -> str:
        """Set the weights of the classifier anew; return in plain words what was learnt."""

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Draw the samples that are held out, before the first epoch."""
        if epoch == 0 and self.refit_on == "held-out":
            self.held_out = _draw(source, self.held_out_share, method=self.name).to(self.held_out.device)

    def sampling_weights(self, source: Source, phase: str) -> Float[Tensor, " samples"] | None:
        """Leave out what is held out."""
        if self.refit_on == "validation":
            return None
        if len(self.held_out) != len(source):
            raise ValueError(
                f"{self.name} holds samples out of {len(self.held_out):,}, {source.name} has {len(source):,}: train "
                "and resume with the same data"
            )
        return (~self.held_out).cpu().double()

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels = labels_of(batch, method=self.name)
        embeddings, logits = self.classify(batch.inputs)
        return step_of(cross_entropy(logits, labels).mean(), embeddings, {"accuracy": accuracy(logits, labels)})

    @torch.no_grad()
    def after_training(self, source: Source, validation: Source | None) -> str:
        """Learn the last layer anew."""
        part, positions = source, torch.nonzero(self.held_out.cpu()).flatten()
        if self.refit_on == "validation":
            if validation is None or validation.labels is None:
                raise ValueError(
                    f"{self.name} is to learn its last layer from the validation part, which "
                    f"{'is not there' if validation is None else 'has no labels'}: set one aside with "
                    "--validation-share, or leave --refit-on out"
                )
            part, positions = validation, torch.nonzero(validation.labels >= 0).flatten()
        if part.labels is None:
            raise ValueError(f"{self.name} needs labels, {part.name} has none: give labels (class folders, --label)")
        found = over_source(self.encoder, lambda _, inputs: self.encoder(inputs).cpu(), part, positions.split(256))
        return self.refit(HeldOut(part, positions, torch.cat(found).double(), part.labels[positions]))

    def of_samples(self) -> dict[str, Tensor]:
        """Return which training samples were held out."""
        return {"held_out": self.held_out.cpu()} if len(self.held_out) else {}

    def set_classifier(self, weight: Float[Tensor, "classes features"], bias: Float[Tensor, " classes"]) -> None:
        """Put a new last layer in the place of the classifier."""
        classifier = self.linear_classifier()
        with torch.no_grad():
            classifier.weight.copy_(weight)
            classifier.bias.copy_(bias)


def _draw(source: Source, share: float, *, method: str) -> Tensor:
    """Hold out a share of each class, by torch's generator; of a class of several samples at least one on each side."""
    if source.labels is None:
        raise ValueError(f"{method} needs labels, {source.name} has none: give labels (class folders, --label)")
    held = torch.zeros(len(source), dtype=torch.bool)
    for label in source.labels.unique():
        members = torch.nonzero(source.labels == label).flatten()
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held[members[torch.randperm(len(members))[:count]]] = True
    if not held.any():
        raise ValueError(
            f"{method} holds out samples of each class, and {source.name} has one of each: give more samples, or a "
            "validation part and --refit-on validation"
        )
    return held
