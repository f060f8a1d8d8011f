"""ImageNet-9 of the Backgrounds Challenge, with all its variants as test sets.

Variants that `unconfound.evaluation` knows have its names: "original", "mixed-same", "mixed-rand", "only-foreground"
(Only-FG) and "only-background" (Only-BG-T, where the object's box is tiled over). So it gives the background gap and,
where the training images of Only-FG are there, the four cells of training and testing on full images and on
foregrounds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.data.files.damaged import naming
from unconfound.data.files.folders import read_layout
from unconfound.data.files.set_folder import published_folder
from unconfound.data.images.foreground_masks import MaskedSource
from unconfound.data.images.image_table import ImageTable, part_numbers, read_image_parts
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet

IMAGENET9 = PublicSet(
    name="imagenet9",
    modality="images",
    about="ImageNet-9 of the Backgrounds Challenge, all its variants",
    paper="Xiao, Engstrom, Ilyas and Madry, Noise or Signal: The Role of Image Backgrounds in Object Recognition, "
    "ICLR 2021",
    source="https://github.com/MadryLab/backgrounds_challenge",
    reader="sets.imagenet9:imagenet9",
    folders=("imagenet9",),
)
# The folder of each test set. The first five show one foreground each, at the same place in all five.
VARIANTS = {
    "original": "original",
    "mixed-same": "mixed_same",
    "mixed-rand": "mixed_rand",
    "mixed-next": "mixed_next",
    "only-foreground": "only_fg",
    "only-background": "only_bg_t",
    "only-background-boxed": "only_bg_b",
    "no-foreground": "no_fg",
}
_WITH_FOREGROUND = tuple(VARIANTS)[:5]
_NEEDED = ("original", "mixed-same", "mixed-rand")
_TRAIN, _TRAIN_FOREGROUND = "original/train", "only_fg/train"


def imagenet9(root: Path | None, *, reading: Reading) -> Dataset:
    """Read ImageNet-9: the training images of its original version to train on, all variants to test on.

    The foregrounds stand in the same order in every test set that shows them; those that one of these sets lacks or
    that cannot be read there are left out of all. With the training images of Only-FG, `train_foreground` is known, and
    images without a counterpart there are left out of what probes are fitted on.

    Args:
        root: the folder that holds `imagenet9`, or that folder itself: `original/train/00_dog/*.JPEG`, ... and the
            variants `original/val/00_dog/*.JPEG`, `mixed_same/val/...`, either beside it or in `bg_challenge/`, as
            they are published. `only_fg/train` and `fg_mask/val/00_dog/*.npy` are read where they are there.
        reading: how images are decoded; without an image_size they keep theirs, 224.

    Raises:
        FileNotFoundError: the folder, the training images, or one of Original, Mixed-Same and Mixed-Rand is missing.
        ValueError: a folder holds other classes, no foreground is in all variants, or too many images are damaged.
    """
    folder = published_folder(IMAGENET9, root)
    if not (folder / _TRAIN).is_dir():
        raise FileNotFoundError(
            f"imagenet9 needs the training images {_TRAIN}/00_dog, ... in {folder}: they are published as Original of "
            "the Backgrounds Challenge; nothing is downloaded, put them there"
        )
    inside = {"train": _TRAIN}
    if (folder / _TRAIN_FOREGROUND).is_dir():
        inside["train, only foreground"] = _TRAIN_FOREGROUND
    sources, notes = _read(folder, inside, reading)
    train, tests = sources["train"], {name: sources[name] for name in VARIANTS if name in sources}
    labelled, foreground = train, None
    if "train, only foreground" in sources:
        labelled, foreground = _paired([train, sources["train, only foreground"]])
        if len(labelled) < len(train):
            notes.append(f"probes are fitted on {len(labelled):,} of {len(train):,} images: the others lack an Only-FG")
        else:
            train = labelled
    train.notes = (*train.notes, *notes)
    return Dataset(
        train=train,
        tests=tests,
        labelled=labelled,
        train_foreground=foreground,
        restore=reading.restore(train.schema),
    )


def imagenet9_tests(root: Path | None, *, reading: Reading) -> dict[str, Source]:
    """Read the test sets of ImageNet-9 alone, to evaluate a classifier that is there already.

    Args and errors are those of `imagenet9`, without the training images. The first set carries the notes.
    """
    folder = published_folder(IMAGENET9, root)
    tests, notes = _read(folder, {}, reading)
    tests["original"].notes = (*tests["original"].notes, *notes)
    return tests


def read_class_map(path: Path) -> Int[Tensor, "1000"]:
    """Read `in_to_in9.json`: the class of ImageNet-9 (0 to 8) of each class of ImageNet, or -1 where it has none.

    A classifier of ImageNet's thousand classes is evaluated by `class_map[logits.argmax(1)]`, as the challenge does: an
    answer that is in none of the nine classes is wrong.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or is no such map.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: the Backgrounds Challenge publishes it as in_to_in9.json; nothing is downloaded"
        )
    with naming(path):
        content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or content.keys() != {str(number) for number in range(1000)}:
        raise ValueError(f"{path} is no map of the classes 0 to 999 of ImageNet: use in_to_in9.json as published")
    for number, nine in content.items():
        if type(nine) is not int or not -1 <= nine <= 8:
            raise ValueError(f"{path} maps the class {number} to {nine!r}: 0 to 8, or -1 for none, is needed")
    return torch.tensor([content[str(number)] for number in range(1000)])


def _read(folder: Path, train: Mapping[str, str], reading: Reading) -> tuple[dict[str, Source], list[str]]:
    """Return the sources of the training folders and of the variants, and what is to be noted."""
    base = folder / "bg_challenge" if (folder / "bg_challenge").is_dir() else folder
    start = base.relative_to(folder).as_posix() + "/" if base != folder else ""
    there = [name for name, inside in VARIANTS.items() if (base / inside / "val").is_dir()]
    missing = [VARIANTS[name] for name in _NEEDED if name not in there]
    if missing:
        raise FileNotFoundError(
            f"imagenet9 needs {', '.join(f'{inside}/val' for inside in missing)} in {base}: they are part of the "
            "Backgrounds Challenge; nothing is downloaded, put them there"
        )
    folders = {**train, **{name: f"{start}{VARIANTS[name]}/val" for name in there}}
    listed = {part: _labelled_files(folder, inside) for part, inside in folders.items()}
    classes = {part: {label: name for _, label, name in files} for part, files in listed.items()}
    known = next(iter(classes.values()))
    for part, given in classes.items():
        if given != known or len(given) != 9:
            raise ValueError(
                f"{folder / folders[part]} holds the classes {', '.join(given[label] for label in sorted(given))}: "
                "the nine of ImageNet-9, 00_dog to 08_fish, are needed"
            )
    together = [each for files in listed.values() for each in files]
    table = ImageTable(
        name="imagenet9",
        folder=folder,
        files=[file for file, _, _ in together],
        labels=torch.tensor([label for _, label, _ in together]),
        classes=[known[label] for label in sorted(known)],
        parts=part_numbers([len(given) for given in listed.values()]),
        part_names=[*listed],
    )
    sources = read_image_parts(table, reading)
    shown = [name for name in _WITH_FOREGROUND if name in there]
    most = max(len(sources[name]) for name in shown)
    remarks = [f"{VARIANTS[name]} is not there" for name in VARIANTS if name not in there]
    for name, source in zip(shown, _paired([sources[name] for name in shown]), strict=True):
        sources[name] = source
    if len(sources["original"]) < most:
        remarks.append(
            f"{len(sources['original']):,} foregrounds are in all of {', '.join(shown)}: up to "
            f"{most - len(sources['original']):,} more, which one of them lacks, are left out"
        )
    if (base / "fg_mask" / "val").is_dir():
        masks = [base / "fg_mask" / "val" / _key(name) for name in sources["original"].names or ()]
        paths = tuple(path.with_name(f"{path.name}.npy") for path in masks)
        sources |= {name: MaskedSource(sources[name], paths) for name in shown}
    return sources, remarks


def _labelled_files(folder: Path, inside: str) -> list[tuple[str, int, str]]:
    """Return path, label and class of each image of a part. The label is the number before the class's name."""
    part = read_layout(folder / inside)
    found = []
    for file, name in zip(part.files, part.classes or [""] * len(part.files), strict=True):
        numbered = re.fullmatch(r"0([0-8])_(.+)", name)
        if numbered is None:
            raise ValueError(
                f"{folder / inside} holds {file}, which is in none of the class folders 00_dog to 08_fish: move it away"
            )
        found.append((f"{inside}/{file}", int(numbered[1]), numbered[2]))
    return found


def _paired(sources: Sequence[Source]) -> list[Source]:
    """Return the foregrounds that all sources show, in the same order in each."""
    places = []
    for source in sources:
        names = source.names or ()
        place = {_key(name): position for position, name in enumerate(names)}
        if len(place) < len(names):
            raise ValueError(
                f"{source.name} shows {len(names) - len(place):,} foregrounds twice: one image each is needed"
            )
        places.append(place)
    shared = sorted(set(places[0]).intersection(*places[1:]))
    if not shared:
        raise ValueError(
            f"{' and '.join(source.name for source in sources)} have no foreground in common by the names of their "
            "files, which are n02113712_1234.JPEG or fg_n02113712_1234_bg_n01531178_567.JPEG as published"
        )
    return [
        Subset(source, torch.tensor([place[key] for key in shared]), name=source.name, notes=source.notes)
        for source, place in zip(sources, places, strict=True)
    ]


def _key(name: str) -> str:
    """Return class folder and foreground of a file: "00_dog/n02113712_1234", whatever it stands on."""
    path = Path(name)
    return f"{path.parent.name}/{path.stem.removeprefix('fg_').partition('_bg_')[0]}"
