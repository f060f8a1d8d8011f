"""How image files become pixels: size, channels, cache, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unconfound.data.core.source import Schema
from unconfound.data.images.checks import check_alpha, check_depth, common_size
from unconfound.data.images.decoded import ImageFiles
from unconfound.data.images.decoding import Box
from unconfound.spans import Spans, read_spans


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images are decoded, cached and streamed.

    Args:
        image_size: side of the squares in pixels. None: the images' own size where all (of up to 200, evenly spaced)
            have the same square size of at most 224, else the median of their short sides rounded down to a multiple
            of 32, at least 32 and at most 224.
        channels: 3 for colours, 1 for brightness.
        bad_share: largest share of images that may be skipped, in [0, 1].
        memory_gib: gibibytes up to which decoded images are kept.
        cache: folder of the cache; None: the environment variable UNCONFOUND_CACHE, else ~/.cache/unconfound. It is
            kept below UNCONFOUND_CACHE_GIB gibibytes (20).
        workers: number of threads that decode at first, and of processes that decode batches.
        bits: of the values in 16-bit files, 8 to 16. None: 16, and an error where none of them (of up to 64, evenly
            spaced) reaches a quarter of the range.
        mask_values: the foreground of masks that are not black and white, as values such as "3" and spans such as
            "5-20"; see `unconfound.data.images.mask_values.foreground`.

    Raises:
        ValueError: an argument is out of its range.
    """

    image_size: int | None = None
    channels: int = 3
    bad_share: float = 0.01
    memory_gib: float = 4.0
    cache: Path | None = None
    workers: int = 2
    bits: int | None = None
    mask_values: Sequence[str | int] | None = None

    def __post_init__(self) -> None:
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size}: it must be at least 1 pixel, or None to choose it")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}: image files are read with 3 (colours) or 1 (brightness)")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}: the values in 16-bit files have 8 to 16")
        if not 0 <= self.bad_share <= 1:
            raise ValueError(f"bad_share is {self.bad_share}: it must lie between 0 and 1")
        if not self.memory_gib >= 0:
            raise ValueError(f"memory_gib is {self.memory_gib}: it must be at least 0")
        if self.workers < 0:
            raise ValueError(f"workers is {self.workers}: it must be at least 0")
        self.spans()

    def spans(self) -> Spans | None:
        """Return which values of masks are foreground, or None for the bright ones of black and white masks."""
        return None if self.mask_values is None else read_spans(self.mask_values)

    def files(
        self,
        root: Path,
        names: tuple[str, ...],
        *,
        masks: tuple[Path, ...] | None = None,
        boxes: tuple[Box, ...] | None = None,
        alpha: bool = False,
    ) -> tuple[ImageFiles, list[str]]:
        """Return image files under `root`, with a mask and a box each or none, and notes on how they are read.

        With `alpha`, images without files of masks have their opaque parts as masks, where most have transparent parts.
        """
        size, note = (self.image_size, None) if self.image_size else common_size(root, names)
        notes = [note] if note else []
        if self.bits is None:
            notes += check_depth(root, names)
        bits = 16 if self.bits is None else self.bits
        alpha, said = check_alpha(root, names) if alpha and masks is None else (False, [])
        files = ImageFiles(
            root, names, masks, size, self.channels, boxes=boxes, spans=self.spans(), bits=bits, alpha=alpha
        )
        return files, notes + said

    def restore(self, schema: Schema) -> dict[str, object]:
        """Return how other images are read as these were, for `Dataset.restore`."""
        return image_restore(schema) | ({} if self.bits in (None, 16) else {"bits": self.bits})


def image_restore(schema: Schema) -> dict[str, object]:
    """Return how other images are read as these were: their size (of oblong ones, both sides) and their channels."""
    channels, height, width = schema.shape
    return {"kind": "images", "image_size": height if height == width else [height, width], "channels": channels}
