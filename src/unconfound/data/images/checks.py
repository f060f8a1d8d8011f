"""What is checked and told of any set of image files: their common size, damaged ones, empty masks."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from unconfound.data.images.decoded import Decoded, ImageFiles
from unconfound.data.images.decoding import (
    UnreadableImageError,
    checked_size,
    deep_colours,
    has_transparent_parts,
    has_twelve_bits,
    image_shape,
    large_images_allowed,
)


def common_size(path: Path, names: tuple[str, ...]) -> tuple[int, str]:
    """Choose the side of the squares that images under `path` become, as `image_folder` says, and a note on it."""
    shapes = []
    with large_images_allowed():
        for position in np.linspace(0, len(names) - 1, min(200, len(names))).astype(int):
            try:
                shapes.append(image_shape(path / names[position]))
            except UnreadableImageError:
                continue  # counted and named when it is decoded
    if not shapes:
        if not any((path / name).exists() for name in names):
            raise FileNotFoundError(f"none of the {len(names):,} images is in {path}: {names[0]} is missing")
        raise ValueError(f"{path} holds {len(names):,} files named like images, but none of them can be read")
    height, width = shapes[0]
    if height == width <= 224 and all(shape == shapes[0] for shape in shapes):
        return height, f"image_size is {height}, the size of the images"
    short = int(np.median([min(shape) for shape in shapes]))
    size = min(224, max(32, short // 32 * 32))
    return size, (
        f"image_size is {size}: central squares are resized to it "
        f"(the images' short sides are {min(map(min, shapes))} to {max(map(min, shapes))} pixels)"
    )


def check_depth(path: Path, names: tuple[str, ...]) -> list[str]:
    """Return a note on images of 16 bits that use the lower ones only, by a look at up to 64 evenly spaced files.

    Raises:
        ValueError: most of all images are of that kind, none of which reaches a quarter of the range.
    """
    deep = [name for name in names if Path(name).suffix.lower() in (".png", ".tif", ".tiff")]
    positions = np.linspace(0, len(deep) - 1, min(64, len(deep))).astype(int)
    grey: list[int] = []
    colour: list[int] = []
    with large_images_allowed():
        for position in positions:
            with suppress(Exception), Image.open(path / deep[position]) as image:  # damaged: counted when it is decoded
                checked_size(image)
                if deep_colours(image):
                    colour.append(257 * int(np.asarray(image.convert("RGB")).max()))
                elif image.mode.startswith("I") and not has_twelve_bits(image):
                    grey.append(int(np.asarray(image).max()))
    notes = []
    for found in (grey, colour):
        highest = max(found, default=0)
        if not 0 < highest < 2**14:
            continue
        told = f"the 16-bit images in {path} hold values up to {highest:,} of 65,535, which would be nearly black"
        if found is colour:
            advice = "of 16-bit colours the upper 8 bits are read, so save them with 8 bits"
        else:
            bits = next(bits for bits in (8, 10, 12, 14) if highest < 2**bits)
            advice = (
                f"say how many bits they have (--bits {bits} for values up to {2**bits - 1:,}), or --bits 16 to read "
                "them as they are"
            )
        if len(found) / len(positions) * len(deep) > len(names) / 2:
            raise ValueError(f"{told}: {advice}")
        notes.append(f"{told}; they are few, and are read as they are: if that is wrong, {advice}")
    return notes


def check_alpha(path: Path, names: tuple[str, ...]) -> tuple[bool, list[str]]:
    """Say whether the alpha channel of images is their mask, by a look at up to 64 evenly spaced files.

    Returns:
        Whether most of them have transparent and opaque parts, and a note if any has.
    """
    positions = np.linspace(0, len(names) - 1, min(64, len(names))).astype(int)
    found = 0
    with large_images_allowed():
        for position in positions:
            with suppress(UnreadableImageError):  # damaged: counted when it is decoded
                found += has_transparent_parts(path / names[position])
    if not found:
        return False, []
    if found > len(positions) / 2:
        return True, ["the alpha channel of the images is taken as their masks: opaque parts are foreground"]
    return False, [
        f"{found} of {len(positions)} images looked at have transparent parts, which show white: they are too few to "
        "be taken as masks"
    ]


def skipped_note(path: Path, files: ImageFiles, decoded: Decoded, bad_share: float) -> list[str]:
    """Return a note on the images that cannot be read, if any.

    Raises:
        ValueError: they are more than `bad_share` of all, or all.
    """
    skipped, count = decoded.skipped, len(files.images)
    if not skipped:
        return []
    first = "; ".join(f"{files.images[position]} ({reason})" for position, reason in list(skipped.items())[:5])
    more = "; ..." if len(skipped) > 5 else ""
    told = f"{len(skipped):,} of {count:,} images ({len(skipped) / count:.2%}) cannot be read: {first}{more}"
    if len(skipped) > bad_share * count or len(skipped) == count:
        raise ValueError(
            f"{told}; bad_share allows {bad_share:.2%}: repair or remove them in {path}, or raise bad_share"
        )
    return [f"{told}; they are skipped"]


def mask_note(masks: Path | None, files: ImageFiles, decoded: Decoded, readable: int) -> list[str]:
    """Return a note on masks without any foreground, if there are some.

    Raises:
        ValueError: no mask has any.
    """
    if not decoded.empty_masks:
        return []
    if decoded.empty_masks == readable:
        if files.alpha:
            raise ValueError(
                f"no image in {masks} has opaque and transparent parts, although most seem to: look at them"
            )
        stated = (
            "all are black (of silhouettes, save the opacity as masks)"
            if files.spans is None
            else "none has a value of --mask-values"
        )
        raise ValueError(f"no mask in {masks} has any foreground: {stated}")
    if files.alpha:
        return [f"{decoded.empty_masks:,} of {readable:,} images are opaque or clear all over: they have no mask"]
    return [f"{decoded.empty_masks:,} of {readable:,} masks have no foreground"]
