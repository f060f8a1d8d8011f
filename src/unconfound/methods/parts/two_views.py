"""What methods that compare two views of each sample share: drawing the views, and the form of what is learnt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather, world
from unconfound.methods.method import Method, Step
from unconfound.views import ImageViews, image_views

# The dataclass of a method's options.
Chosen = TypeVar("Chosen")
_APART = "tells the samples of a batch apart, and this batch holds one"


# Not frozen, for the reason given at Batch.
@dataclass(eq=False)
class Compared:
    """What a method makes of two views of each sample, with its graph.

    Args:
        loss: the method's own.
        projections: [2 batch, width] what its loss compares, of this process's samples: the first views of all, then
            the second ones. With a predictor that is its input; with a target network, the online one's.
        embeddings: [2 batch, features] the encoder's output.
        scalars: named and detached, for the log.
    """

    loss: Float[Tensor, ""]
    projections: Float[Tensor, "views width"]
    embeddings: Float[Tensor, "views features"]
    scalars: dict[str, Tensor] = field(default_factory=dict)

    def step(self) -> Step:
        """Return what the training loop takes."""
        return Step(self.loss, self.scalars, embeddings=self.embeddings.detach().float())


class TwoViewMethod(Method, Generic[Chosen]):
    """A method that compares two views of each sample. Every such method can be the host of ICL-MSR.

    A subclass defines `compare`. It draws no random numbers, and whatever it changes (BatchNorm's statistics, queues)
    is a registered buffer: ICL-MSR calls it on copies of the weights and buffers, which leaves no trace. The options
    hold the width of the projections as `projection_features`.

    Args:
        encoder, schema: as for every method.
        options: of the method; None: its defaults.
        views: [batch, ...] -> [2 batch, ...]; None: the image views that the options describe.

    Class attributes:
        refuses_one: why the method refuses a batch of one sample, as the error puts it; None: its loss does so.

    Raises:
        ValueError: the data are no images, and there are no `views`.
    """

    refuses_one: ClassVar[str | None] = _APART
    compares_two_views = True

    def __init__(
        self,
        encoder: Encoder,
        schema: Schema,
        options: Chosen | None = None,
        *,
        views: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(encoder, schema)
        self.options: Chosen = self.Options() if options is None else options
        self.views = image_views(cast(Any, self.options), schema, method=self.name) if views is None else views
        self.encoder = encoder

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        return self.compare(*self.all_views(batch)).step()

    def all_views(self, batch: Batch) -> tuple[Float[Tensor, "views *shape"], ...]:
        """Draw all that is compared, as one tensor a size of views: here two views of each sample, of one size.

        Raises:
            ValueError: as `two_views`.
        """
        return (self.two_views(batch),)

    def two_views(self, batch: Batch) -> Float[Tensor, "views *shape"]:
        """Draw two views of each sample: [2 batch, ...], the first views of all samples, then the second ones.

        Raises:
            ValueError: the batch of all processes holds one sample.
        """
        if self.refuses_one is not None:
            refuse_one(len(batch), method=self.name, why=self.refuses_one)
        return views_of(batch, self.views)

    @abstractmethod
    def compare(self, views: Float[Tensor, "views *shape"]) -> Compared:
        """Compute the loss of two views of each sample, ordered as by `two_views`."""


def views_of(batch: Batch, views: Callable[[Tensor], Tensor]) -> Float[Tensor, "views *shape"]:
    """Draw two views of each sample, the second ones from `second_inputs` where the batch has them.

    Args:
        batch: samples of one shape.
        views: [batch, ...] -> [2 batch, ...].

    Returns:
        [2 batch, ...]: the first views of all samples, then the second ones.
    """
    inputs = cast(Tensor, batch.inputs)
    if batch.second_inputs is None:
        return views(inputs)
    both = inputs, cast(Tensor, batch.second_inputs)
    if isinstance(views, ImageViews):
        return torch.cat([views(each, count=1) for each in both])
    first, second = (views(each).chunk(2) for each in both)
    return torch.cat([first[0], second[1]])


def refuse_one(samples: int, *, method: str, why: str = _APART) -> None:
    """Refuse a batch that holds one sample over all processes.

    Args:
        samples: of this process; every process has as many.
        method: name of the method.
        why: what the method does with a batch.

    Raises:
        ValueError: there is one sample.
    """
    if samples * world()[1] < 2:
        raise ValueError(f"{method} {why}: use at least two")


def gathered(
    views: Float[Tensor, "views features"],
) -> tuple[Float[Tensor, "samples features"], Float[Tensor, "samples features"]]:
    """Return the first and the second views of all processes' samples, from both views of this process's samples."""
    first, second = views.chunk(2)
    return gather(first), gather(second)
