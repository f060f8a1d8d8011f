"""Images that do not fit into memory, decoded by worker processes batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from unconfound.data.core.batch import Batch
from unconfound.data.core.source import Schema, Source
from unconfound.data.images.decoded import ImageFiles
from unconfound.data.images.decoding import large_images_allowed


@dataclass(eq=False)
class StreamingSource(Source):
    """Image files that are decoded each time they are asked for, to the same values as those held in memory.

    Args:
        name: how logs and reports call it.
        schema: what one sample is.
        files: what is decoded, and how.
        workers: number of processes that decode ahead; with 0 the caller's own decodes.
        labels: [samples], or None.
        notes: what was skipped or adapted.
    """

    name: str
    schema: Schema
    files: ImageFiles
    workers: int = 2
    labels: Int[Tensor, " samples"] | None = None
    groups: Int[Tensor, " samples"] | None = None
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """The path of each image, relative to its folder."""
        return self.files.images

    def __len__(self) -> int:
        return len(self.files.images)

    def batches(self, order: Iterable[Int[Tensor, " batch"]]) -> Iterator[Batch]:
        """Yield one batch for each index tensor of `order`, on the CPU.

        Raises:
            ValueError: a file cannot be decoded any more, although it could when it was checked.
        """
        loader = DataLoader(
            _DecodedBatches(self.files),
            batch_sampler=_IndexLists(order),
            num_workers=self.workers,
            collate_fn=_unchanged,
            # Its seed would otherwise be drawn from the random numbers of the training.
            generator=torch.Generator(),
        )
        for positions, images, masks in loader:
            if isinstance(images, str):
                raise ValueError(f"{images}; it could be read when the run began: put it back, or start anew")
            shapes = None if masks is None else torch.from_numpy(masks)
            yield self._batch(torch.from_numpy(images), torch.tensor(positions), shapes)


class _IndexLists:
    """Index tensors as lists, which travel to a worker more cheaply."""

    def __init__(self, order: Iterable[Tensor]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[int]]:
        return (index.tolist() for index in self.order)


class _DecodedBatches(Dataset[object]):
    """Decodes a whole batch at a time.

    It returns arrays of NumPy, which travel through a pipe: tensors would need /dev/shm, and that of a container is
    often too small. An image that cannot be decoded is named in place of the images, so that the error is raised,
    in one line, where the batch was asked for.
    """

    def __init__(self, files: ImageFiles) -> None:
        self.files = files

    def __getitems__(self, positions: list[int]) -> tuple[list[int], np.ndarray | str, np.ndarray | None]:
        images: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        with large_images_allowed():
            for position in positions:
                decoded = self.files.decode(position)
                if isinstance(decoded, str):
                    return positions, f"{self.files.root / self.files.images[position]}: {decoded}", None
                image, mask = decoded
                images.append(image)
                masks += [] if mask is None else [mask]
        return positions, np.stack(images), np.stack(masks) if masks else None


def _unchanged(batch: object) -> object:
    return batch
