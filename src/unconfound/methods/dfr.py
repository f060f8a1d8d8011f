"""Deep feature reweighting: keep the encoder, learn the last layer anew where groups are balanced."""

from __future__ import annotations

from typing import final

import torch

from unconfound.data import Batch, Source
from unconfound.encoders.apply import over_source
from unconfound.methods.method import Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import (
    cross_entropy,
    labels_of,
    source_groups,
)
from unconfound.methods.parts.last_layer import fit_last_layer
from unconfound.options.methods.classifying import DFROptions


@final
class DFR(Classifier[DFROptions]):
    """Cross-entropy, and in the end a new last layer on samples whose groups are balanced. Needs labels and groups.

    Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations", ICLR 2023. With a
    validation part this is the paper's DFR (Val): groups are used there alone, and figures on that part are no longer
    those of unseen samples. Without, or with refit_on="training", it is DFR (Tr), on the samples that the encoder was
    trained on; `--validation-share` sets samples aside that it was not. `fit_last_layer` says how, and where we depart.
    """

    name = "dfr"
    Options = DFROptions
    needs_groups = True

    def before_epoch(self, epoch: int, source: Source) -> None:
        """Refuse data without groups now and not after the training."""
        source_groups(source, method=self.name)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels = labels_of(batch, method=self.name)
        embeddings, logits = self.classify(batch.inputs)
        scalars = {"accuracy": accuracy(logits, labels)}
        return step_of(cross_entropy(logits, labels).mean(), embeddings, scalars)

    @torch.no_grad()
    def after_training(self, source: Source, validation: Source | None) -> str:
        """Fit the last layer anew."""
        part = source
        if self.options.refit_on == "validation" and validation is not None and validation.groups is not None:
            part = validation
        if part.labels is None:
            raise ValueError(f"dfr needs labels, {part.name} has none: give labels (class folders, --label)")
        groups, labelled = source_groups(part, method=self.name), torch.nonzero(part.labels >= 0).flatten()
        embeddings = over_source(self.encoder, lambda _, inputs: self.encoder(inputs).cpu(), part, labelled.split(256))
        classifier = self.linear_classifier()
        found = fit_last_layer(
            torch.cat(embeddings),
            part.labels[labelled],
            groups[labelled],
            classes=classifier.out_features,
            penalty=self.options.penalty,
            inverse_strengths=self.options.inverse_strengths,
            draws=self.options.draws,
        )
        classifier.weight.copy_(found.weight)
        classifier.bias.copy_(found.bias)
        return (
            f"dfr fit the last layer anew on {found.groups} groups x {found.samples:,} samples of {part.name} "
            f"({self.options.draws} draws), {self.options.penalty} at {found.inverse_strength:g}, which gave the worst "
            f"group an accuracy of {found.worst_group_accuracy:.3f} on a held-out half"
        )
