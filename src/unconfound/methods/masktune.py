"""MaskTune: hide what a trained model looks at, and tune it on the rest."""

from __future__ import annotations

import copy
from typing import cast, final

import torch
from torch import Tensor, nn

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.inputs import unit_range
from unconfound.functional.saliency import most_salient
from unconfound.methods.method import Phase, Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import cross_entropy, labels_of
from unconfound.methods.parts.model_saliency import class_saliency
from unconfound.options.methods.refitting import MaskTuneOptions


@final
class MaskTune(Classifier[MaskTuneOptions]):
    """Cross-entropy, and in the last epoch the same on images whose most salient part is black. Needs labels.

    Asgari Taghanaki et al., "MaskTune: Mitigating Spurious Correlations by Forcing to Explore", NeurIPS 2022. The
    saliency is XGrad-CAM's of the class that the trained model predicts, on its last feature map; pixels above the mean
    plus two standard deviations are masked (`most_salient`). The model then goes on, for one epoch, on masked images
    alone. Masks of the foregrounds and groups are not needed.

    The paper masks all images once, by the checkpoint of the best validation accuracy. We mask each batch, by a copy
    of the model as it was before the tuning, which needs no memory for images and takes exchanged backgrounds into
    account. The paper tunes at the last learning rate of its step schedule. Ours falls to 0, so the tuning has a
    schedule of its own, with the peak of the training unless told otherwise; and momenta start anew.
    """

    name = "masktune"
    Options = MaskTuneOptions

    trained_taken: Tensor

    def __init__(self, encoder: Encoder, schema: Schema, options: MaskTuneOptions | None = None) -> None:
        if schema.modality != "images":
            raise ValueError(f"masktune masks images, the data are {schema.modality}: take another method")
        super().__init__(encoder, schema, options)
        self.trained = copy.deepcopy(nn.Sequential(encoder, self.linear_classifier())).requires_grad_(False)
        self.register_buffer("trained_taken", torch.zeros((), dtype=torch.bool))
        # Reading the buffer waits for the device: once is enough.
        self.asked = False

    def phases(self) -> tuple[Phase, ...]:
        """First whole images, then masked ones."""
        parameters = (*self.encoder.parameters(), *self.head.parameters())
        tuning = self.options.tuning_epochs
        return (
            Phase("train", parameters, stop=-tuning),
            Phase("tune", parameters, start=-tuning, learning_rate=self.options.tuning_learning_rate),
        )

    def before_update(self, phase: str, *, done: float, learning_rate: float) -> None:
        """Keep the trained model, by which images are masked, before the first update on these."""
        if phase != "tune" or self.asked:
            return
        self.asked = True
        if not bool(self.trained_taken):
            self.trained.load_state_dict(nn.Sequential(self.encoder, self.linear_classifier()).state_dict())
            self.trained_taken.fill_(True)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels, images = labels_of(batch, method=self.name), cast(Tensor, batch.inputs)
        told: dict[str, Tensor] = {}
        if phase == "tune":
            saliency, size = class_saliency(self.trained, images), (images.shape[2], images.shape[3])
            hidden = most_salient(saliency, size, deviations=self.options.deviations)
            images = unit_range(images) * ~hidden
            told["masked"] = hidden.float().mean()
        embeddings, logits = self.classify(images)
        told["accuracy"] = accuracy(logits, labels)
        return step_of(cross_entropy(logits, labels).mean(), embeddings, told)
