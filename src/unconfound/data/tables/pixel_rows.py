"""Images as rows of a table, one column a pixel and channel: how DACL's paper makes tables of image sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Dataset, Source


class PixelRows(Source):
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
        self.base = base
        self.schema = replace(base.schema, modality="tables", shape=(channels * height * width,))
        self.name, self.notes = base.name, base.notes
        self.labels, self.groups, self.scenes, self.names = base.labels, base.groups, base.scenes, base.names

    def __len__(self) -> int:
        return len(self.base)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU; columns go by channel, row and column."""
        for batch in self.base.batches(order):
            yield replace(batch, inputs=batch.inputs.flatten(1), masks=None)  # type: ignore[union-attr]

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
