"""The named sets whose images are files, by the options of the command line."""

from __future__ import annotations

from unconfound.data.core.source import Dataset
from unconfound.data.images.coco import coco
from unconfound.data.images.parts import Reading
from unconfound.data.sets.cars196 import cars196
from unconfound.data.sets.celeba import celeba
from unconfound.data.sets.cub import cub
from unconfound.data.sets.domains import domains
from unconfound.data.sets.imagenet9 import imagenet9
from unconfound.data.sets.imagenet100 import imagenet100
from unconfound.data.sets.omniglot import omniglot
from unconfound.data.sets.online_products import online_products
from unconfound.data.sets.tiny_imagenet import tiny_imagenet
from unconfound.data.sets.waterbirds import waterbirds
from unconfound.options.data import DataOptions

_READERS = {
    "tiny-imagenet": tiny_imagenet,
    "imagenet100": imagenet100,
    "imagenet9": imagenet9,
    "coco": coco,
    "waterbirds": waterbirds,
    "stanford-online-products": online_products,
}
_BOXED = {"cub": cub, "cars196": cars196}


def image_set(options: DataOptions) -> Dataset:
    """Read one of `unconfound.options.data_sets.IMAGE_FILES`; what each needs and raises, its own function says."""
    reading, root = reading_of(options), options.data_root
    if options.data == "celeba":
        return celeba(root, label=options.label, group=options.group, reading=reading)
    if options.data == "domains":
        return domains(root, held_out=options.held_out, validation_domain=options.validation_domain, reading=reading)
    if options.data in _BOXED:
        return _BOXED[options.data](root, reading=reading, crop_boxes=options.crop_boxes)
    if options.data == "omniglot":
        return omniglot(root, image_size=options.image_size)
    return _READERS[options.data](root, reading=reading)


def reading_of(options: DataOptions) -> Reading:
    """Return how images are to be decoded."""
    return Reading(
        image_size=options.image_size,
        channels=options.channels,
        bits=options.bits,
        bad_share=options.bad_share,
        memory_gib=options.memory_gib,
        workers=options.workers,
        mask_values=options.mask_values,
    )
