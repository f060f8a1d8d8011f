"""What methods share that compare two views of each image and, beside them, small crops of it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from unconfound.data import Batch, Schema
from unconfound.documents import one_line
from unconfound.encoders import Encoder
from unconfound.functional.distributed import gather
from unconfound.methods.parts.two_views import Chosen, Compared, TwoViewMethod
from unconfound.options.views import MultiCropOptions
from unconfound.views import ImageViews, local_views


class MultiCropMethod(TwoViewMethod[Chosen]):
    """A method that compares two global views of each image and, if wanted, further local ones: multi-crop.

    Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (NeurIPS 2020), section
    3.3. Each size of views is one tensor, which the encoder takes in one pass; the heads take all views together. So
    BatchNorm has the statistics of one size in the encoder, and of all views in a head, as in the authors' code.

    A subclass defines `compare`. Its options are `MultiCropOptions`.

    Args:
        encoder, schema, options: as for `TwoViewMethod`.

    Raises:
        ValueError: the data are no images, an option is out of its range, or the encoder does not take small crops.
    """

    def __init__(self, encoder: Encoder, schema: Schema, options: Chosen | None = None) -> None:
        super().__init__(encoder, schema, options)
        chosen = cast(MultiCropOptions, self.options)
        self.local_crops = chosen.local_crops
        self.local_views = local_views(chosen, schema)
        if self.local_crops:
            check_takes(encoder, schema, self.local_views.size)

    def all_views(self, batch: Batch) -> tuple[Float[Tensor, "views *shape"], ...]:
        """Draw the two global views of each image and, if there are local ones, these as a second tensor."""
        views = self.two_views(batch)
        return (views, crops_of(batch, self.local_views, self.local_crops)) if self.local_crops else (views,)

    def embed(self, views: Float[Tensor, "views *shape"], local: Tensor | None) -> Float[Tensor, "all_views features"]:
        """Embed each size of views in one pass: the two global views of all images, then the local ones."""
        return torch.cat([self.encoder(size) for size in (views, local) if size is not None])

    @abstractmethod
    def compare(self, views: Float[Tensor, "views *shape"], local: Tensor | None = None) -> Compared:
        """Compute the loss of the views of each image.

        Args:
            views: [2 batch, ...] ordered as by `two_views`.
            local: [local_crops x batch, ...] the first local views of all images, then the second ones, ...; None:
                there are none, as where ICL-MSR asks for projections alone.

        Returns:
            Projections and embeddings are those of the two global views.
        """


def crops_of(batch: Batch, views: ImageViews, count: int) -> Float[Tensor, "crops channels size size"]:
    """Draw local views of each image, each from an input of its own where the batch has them.

    Args:
        batch: images.
        views: of the local size.
        count: views of an image; where the batch has `local_inputs`, it has as many.

    Returns:
        [count x batch, ...]: the first views of all images, then the second ones, ... Without `local_inputs`, but with
        `second_inputs`, views are in turns of `inputs` and of these.
    """
    inputs = cast(Tensor, batch.inputs)
    if batch.local_inputs is not None:
        # One crop after the other, so that processes draw for their samples what one process would.
        return torch.cat([views(crop, count=1) for crop in batch.local_inputs.chunk(count)])
    if batch.second_inputs is None:
        return views(inputs, count=count)
    both = inputs, cast(Tensor, batch.second_inputs)
    return torch.cat([views(both[crop % 2], count=1) for crop in range(count)])


def gathered_views(rows: Float[Tensor, "rows features"], batch: int) -> Float[Tensor, "views samples features"]:
    """Return the views of all processes' samples, from those of this process's samples.

    Args:
        rows: [views x batch, features] the first views of all samples, then the second ones, ...
        batch: samples of this process.
    """
    return gather(rows.unflatten(0, (-1, batch)).transpose(0, 1)).transpose(0, 1)


@torch.no_grad()
def check_takes(encoder: Encoder, schema: Schema, size: int) -> None:
    """Refuse an encoder that cannot embed images of a size other than that of the data; only trying shows.

    Args:
        encoder: left as it is.
        schema: of the images that it is made for.
        size: side of smaller ones, in pixels.

    Raises:
        ValueError: it raises an error, or returns embeddings of another width.
    """
    modes = {module: module.training for module in encoder.modules()}
    channels = schema.shape[0]
    try:
        device = next(encoder.parameters()).device
        width = encoder.eval()(torch.zeros(1, channels, size, size, device=device)).shape[1]
        told = f"it returns {width:,} features in place of {encoder.features:,}" if width != encoder.features else ""
    except (RuntimeError, AssertionError, ArithmeticError, ValueError) as error:
        told = one_line(error)
    for module, training in modes.items():
        module.training = training
    if told:
        name: Any = encoder.architecture["name"]
        raise ValueError(
            f"{name} does not take local crops of {size} x {size} pixels ({told}): use another --local-size, "
            "--local-crops 0, or an encoder that takes any size, such as resnet18"
        )
