"""What methods share that learn a classifier from labels: the classifier, the views of its samples, and the step."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unconfound.data import Schema
from unconfound.encoders import Encoder
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.bottleneck_classifier import classifier_head
from unconfound.methods.parts.labelled import check_groups, need_classes
from unconfound.options.methods.classifying import BottleneckOptions
from unconfound.views import ImageViews

# The dataclass of a method's options.
Chosen = TypeVar("Chosen")


class Classifier(Method, Generic[Chosen]):
    """A method that learns a classifier on top of the encoder, from labels. A subclass defines `forward`.

    Args:
        encoder, schema: as for every method.
        options: of the method; None: its defaults. Where they are `BottleneckOptions`, they may put a variational
            information bottleneck in front of the classifier.

    Attributes:
        head: the classifier: embeddings -> (logits, what is added to the loss).

    Raises:
        ValueError: the data have fewer than two classes, or fewer than two groups where the method needs groups.
    """

    needs_labels: ClassVar[bool] = True

    def __init__(self, encoder: Encoder, schema: Schema, options: Chosen | None = None) -> None:
        super().__init__(encoder, schema)
        self.options: Chosen = self.Options() if options is None else options
        need_classes(schema, method=self.name)
        if self.needs_groups:
            check_groups(schema, method=self.name)
        self.encoder = encoder
        bottleneck = self.options if isinstance(self.options, BottleneckOptions) else BottleneckOptions()
        self.head = classifier_head(encoder.features, len(schema.classes), bottleneck)

    def classify(self, inputs: Any) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch classes"]]:
        """Return the embeddings and the logits of samples, for a classifier without a bottleneck."""
        embeddings = self.encoder(inputs)
        logits, _ = self.head(embeddings)
        return embeddings, logits

    def linear_classifier(self) -> nn.Linear:
        """Return the classifier; a bottleneck adds no noise there."""
        return self.head.as_linear()


def step_of(loss: Float[Tensor, ""], embeddings: Float[Tensor, "*batch features"], scalars: dict[str, Tensor]) -> Step:
    """Return what the training loop takes."""
    return Step(loss, scalars, torch.atleast_2d(embeddings.detach().float()))


def accuracy(logits: Float[Tensor, "batch classes"], labels: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Return the share of right predictions in [0, 1]."""
    return (logits.detach().argmax(1) == labels).float().mean()


def augmenting_views(schema: Schema, *, augment: bool) -> ImageViews | None:
    """Make the views that `--augment` asks for, two of each image; None: it does not.

    Raises:
        ValueError: the data are no images.
    """
    if not augment:
        return None
    if schema.modality != "images":
        raise ValueError(f"--augment makes views of images, the data are {schema.modality}: leave it out")
    return ImageViews(min(schema.shape[1:]))
