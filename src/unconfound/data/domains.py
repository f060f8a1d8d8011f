"""Leave one domain out: train on all domains of a folder but one, and test on that one.

The layouts of PACS, VLCS and OfficeHome, and of any folder of domain folders of class folders.
"""

from __future__ import annotations

from pathlib import Path

import torch

from unconfound.data.folders import EXTENSIONS, find_files
from unconfound.data.image_parts import Reading, read_parts
from unconfound.data.source import Dataset
from unconfound.data.subset import Subset
from unconfound.suggestions import nearest_name

# DomainBed (Gulrajani and Lopez-Paz, "In Search of Lost Domain Generalization", ICLR 2021) holds out a fifth of each
# training domain to choose between candidates; the older protocol splits each into 70 % and 30 %.
DOMAINBED_SHARE, CLASSIC_SHARE = 0.2, 0.3
# Images of each domain, as published, by the beginning of its name.
PUBLISHED = {
    "pacs": {"artpainting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929},
    "vlcs": {"caltech101": 1415, "labelme": 2656, "sun09": 3282, "voc2007": 3376},
    "officehome": {"art": 2427, "clipart": 4365, "product": 4439, "realworld": 4357},
}
_SPLITS = {"train", "test", "val", "valid", "validation", "crossval", "full"}


def domains(root: Path | None, *, held_out: str | None, reading: Reading) -> Dataset:
    """Read a folder of domain folders of class folders: all domains but one to train on, that one to test on.

    The groups are the training domains, so a validation part (`unconfound.data.load.load`) has figures for each; the
    test set, whose domain is none of them, has no groups. All domains are decoded together, once for all choices of
    `held_out`.

    Args:
        root: the folder that holds the domains' folders, as `PACS/photo/dog/*.jpg`.
        held_out: the domain to test on; capitals, spaces and underscores do not matter.
        reading: how images are decoded.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no or an unknown domain is held out, there are fewer than two, images lie loose, a domain lacks
            classes that another has, or too many images are damaged.
    """
    if root is None:
        raise ValueError("domains are read from files: say which folder holds the domains' folders (--data-root)")
    if not root.is_dir():
        raise FileNotFoundError(f"domains need the folder {root}: there is none; nothing is downloaded")
    files, _ = find_files(root, EXTENSIONS)
    steps = [file.split("/") for file in files]
    loose = next((file for file, path in zip(files, steps, strict=True) if len(path) < 3), None)
    if loose is not None:
        raise ValueError(f"{root} holds the image {loose}: images belong into DOMAIN/CLASS/")
    classes = _checked_classes(root, {(path[0], path[1]) for path in steps})
    names = sorted({path[0] for path in steps})
    tested = _named(held_out, names)
    learnt = [name for name in names if name != tested]
    listed, notes = reading.files(root, files)
    source = read_parts(
        root.name,
        listed,
        {"train": len(files)},
        labels=torch.tensor([classes.index(path[1]) for path in steps]),
        classes=classes,
        groups=torch.tensor([learnt.index(path[0]) if path[0] != tested else -1 for path in steps]),
        group_names=learnt,
        reading=reading,
        notes=[*notes, *_published_notes(root.name, [path[0] for path in steps])],
    )["train"]
    assert source.groups is not None
    train, test = ((source.groups >= 0) == known for known in (True, False))
    learning = Subset(source, train.nonzero().squeeze(1), name=f"{root.name} without {tested}", notes=source.notes)
    return Dataset(
        train=learning,
        tests={"test": Subset(source, test.nonzero().squeeze(1), name=f"{root.name} {tested}", grouped=False)},
        labelled=learning,
        restore={"kind": "images", "image_size": listed.image_size, "channels": listed.channels},
    )


def _checked_classes(root: Path, pairs: set[tuple[str, str]]) -> list[str]:
    """Return the classes, which all domains must have."""
    names = {name for name, _ in pairs}
    classes = {label for _, label in pairs}
    if len(names) < 2:
        raise ValueError(f"{root} holds {len(names)} domains: two or more folders of class folders are needed")
    if {label.lower() for label in classes} <= _SPLITS:
        raise ValueError(
            f"{root} holds DOMAIN/{'|'.join(sorted(classes))} where classes belong: join the parts into DOMAIN/CLASS"
        )
    for name in sorted(names):
        lacking = sorted(label for label in classes if (name, label) not in pairs)
        if lacking:
            raise ValueError(
                f"the domain {name} of {root} lacks the classes {', '.join(lacking[:5])}"
                f"{f' and {len(lacking) - 5:,} more' if len(lacking) > 5 else ''}: all domains need the same classes"
            )
    return sorted(classes)


def _named(held_out: str | None, names: list[str]) -> str:
    if held_out is None:
        raise ValueError(f"domains need one to test on: choose --held-out from {', '.join(names)}")
    found = {_plain(name): name for name in names}.get(_plain(held_out))
    if found is None:
        raise ValueError(f"there is no domain {held_out!r}: {nearest_name(held_out, names)}")
    return found


def _published_notes(name: str, of_files: list[str]) -> list[str]:
    """Note domains of a published set that have other numbers of images."""
    published = next((counts for known, counts in PUBLISHED.items() if known in _plain(name)), {})
    notes = []
    for given in sorted(set(of_files)):
        plain = _plain(given)
        of_set = next((count for known, count in published.items() if known.startswith(plain)), None)
        if of_set is not None and of_files.count(given) != of_set:
            notes.append(f"subset: {of_files.count(given):,} of {of_set:,} images of {given}")
    return notes


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
