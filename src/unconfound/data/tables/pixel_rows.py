"""Images as rows of a table, one column a pixel and channel: how DACL's paper makes tables of image sets."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.changed import ChangedSource
from unconfound.data.core.source import Dataset, Source


class PixelRows(ChangedSource):
    """The images of `base` as rows, without a copy of them; masks are left out, as rows have no place.

    Args:
        base: images.

    Raises:
        ValueError: the base holds no images.
    """

    def __init__(self, base: Source) -> None:
        if base.schema.modality != "images":
            raise ValueError(
                f"{base.name} holds {base.schema.modality}, only images can be read as rows: leave --rows out"
            )
        channels, height, width = base.schema.shape
        super().__init__(base)
        self.schema = replace(base.schema, modality="tables", shape=(channels * height * width,))

    def changed(self, batch: Batch) -> Batch:
        """Flatten the images; columns go by channel, row and column."""
        assert isinstance(batch.inputs, Tensor)
        return replace(batch, inputs=batch.inputs.flatten(1), masks=None)

    def statistics(self, *, samples: int = 10_000) -> tuple[Float[Tensor, " columns"], Float[Tensor, " columns"]]:
        """Mean and standard deviation of each column's channel, over all of its pixels.

        A column's own would not do: pixels in corners hardly ever vary, and what views add there, as Gaussian noise
        does, would be divided by a deviation near 0.
        """
        _, height, width = self.base.schema.shape
        mean, deviation = self.base.statistics(samples=samples)
        return mean.repeat_interleave(height * width), deviation.repeat_interleave(height * width)


def as_rows(dataset: Dataset) -> Dataset:
    """Read every source of a data set of images as rows."""
    train = PixelRows(dataset.train)
    labelled = train if dataset.labelled is dataset.train else dataset.labelled and PixelRows(dataset.labelled)
    return Dataset(
        train=train,
        tests={name: PixelRows(source) for name, source in dataset.tests.items()},
        labelled=labelled,
        restore=dataset.restore | {"kind": "pixel-rows"},
        validation=None if dataset.validation is None else PixelRows(dataset.validation),
    )
