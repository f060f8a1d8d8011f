"""Leave one domain out: train on all domains of a folder but one, and test on that one.

The layouts of PACS, VLCS and OfficeHome, and of any folder of domain folders of class folders.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.core.source import Dataset
from unconfound.data.core.subset import Subset
from unconfound.data.files.folders import EXTENSIONS
from unconfound.data.files.walking import FolderFiles, find_files, same_form
from unconfound.data.images.image_table import ImageTable, read_image_parts
from unconfound.data.images.reading import Reading
from unconfound.options.data_sets import PublicSet
from unconfound.suggestions import nearest_name

DOMAINS = PublicSet(
    name="domains",
    modality="images",
    about="domains (PACS, VLCS, OfficeHome), each a folder of class folders in --data-root; one is --held-out",
    paper="PACS: Li et al., Deeper, Broader and Artier Domain Generalization, ICCV 2017; VLCS: Fang, Xu and Rockmore, "
    "Unbiased Metric Learning, ICCV 2013; OfficeHome: Venkateswara et al., Deep Hashing Network for Unsupervised "
    "Domain Adaptation, CVPR 2017",
    source="https://github.com/facebookresearch/DomainBed",
    reader="sets.domains:domains",
)
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


def domains(
    root: Path | None, *, held_out: str | None, reading: Reading, validation_domain: str | None = None
) -> Dataset:
    """Read a folder of domain folders of class folders: all domains but one to train on, that one to test on.

    The groups are the training domains, so a validation part (`unconfound.data.load.load_dataset`) has figures for
    each; the test set, whose domain is none of them, has no groups, and neither has a validation domain. All domains
    are decoded together, once for all choices of `held_out` and `validation_domain`.

    Args:
        root: the folder that holds the domains' folders, as `PACS/photo/dog/*.jpg`.
        held_out: the domain to test on; capitals, spaces and underscores do not matter.
        reading: how images are decoded.
        validation_domain: one more domain that is not trained on: it is the validation part, whole.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no or an unknown domain is held out, the validation domain is unknown or that one, none is left to
            train on, images lie loose, a domain lacks classes that another has, or too many images are damaged.
    """
    found, steps = _listed(root)
    assert root is not None
    classes = _checked_classes(root, {(path[0], path[1]) for path in steps})
    names = sorted({path[0] for path in steps})
    tested = _named(held_out, names)
    learnt, validated = [name for name in names if name != tested], None
    if validation_domain is not None:
        validated = _validated(root, validation_domain, tested, learnt)
        learnt.remove(validated)
    table = ImageTable(
        name=root.name,
        folder=root,
        files=found.files,
        labels=torch.tensor([classes.index(path[1]) for path in steps]),
        classes=classes,
        groups=torch.tensor([learnt.index(path[0]) if path[0] in learnt else -1 for path in steps]),
        parts=torch.zeros(len(steps), dtype=torch.long),
        group_names=learnt,
        notes=[*found.notes("image"), *_published_notes(root.name, [path[0] for path in steps])],
    )
    source = read_image_parts(table, reading)["train"]
    assert source.names is not None
    # Not by the files that were found: some may be damaged.
    kept = [same_form(name).split("/")[0] for name in source.names]
    told, validation = [*source.notes], None
    if validated is not None:
        validation = Subset(source, _positions(kept, [validated]), name=f"{root.name} {validated}", grouped=False)
        told.append(f"{len(validation):,} samples, the domain {validated}, are set aside for validation")
    without = f"{root.name} without {tested}{f' and {validated}' if validated else ''}"
    learning = Subset(source, _positions(kept, learnt), name=without, notes=told)
    return Dataset(
        train=learning,
        tests={"test": Subset(source, _positions(kept, [tested]), name=f"{root.name} {tested}", grouped=False)},
        labelled=learning,
        restore=reading.restore(source.schema),
        validation=validation,
    )


def training_domains(root: Path | None, *, held_out: str | None) -> list[str]:
    """List the domains of a folder but the one to test on, sorted, without reading an image.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no or an unknown domain is held out, or images lie loose.
    """
    names = sorted({path[0] for path in _listed(root)[1]})
    tested = _named(held_out, names)
    return [name for name in names if name != tested]


def _listed(root: Path | None) -> tuple[FolderFiles, list[list[str]]]:
    """Return what a folder of domains holds, and the steps of their paths: domain, class and what follows."""
    if root is None:
        raise ValueError("domains are read from files: say which folder holds the domains' folders (--data-root)")
    if not root.is_dir():
        raise FileNotFoundError(f"domains need the folder {root}: there is none; nothing is downloaded")
    found = find_files(root, EXTENSIONS)
    # An accent in the name of a domain or class may be written in two ways.
    steps = [same_form(file).split("/") for file in found.files]
    loose = next((file for file, path in zip(found.files, steps, strict=True) if len(path) < 3), None)
    if loose is not None:
        raise ValueError(f"{root} holds the image {loose}: images belong into DOMAIN/CLASS/")
    return found, steps


def _positions(of_samples: Sequence[str], kept: Container[str]) -> Int[Tensor, " kept"]:
    return torch.tensor([place for place, name in enumerate(of_samples) if name in kept], dtype=torch.long)


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
    return _spelt(held_out, names)


def _validated(root: Path, asked: str, tested: str, others: list[str]) -> str:
    found = _spelt(asked, [tested, *others])
    if found == tested:
        raise ValueError(
            f"--validation-domain {asked} is the domain that is held out to test on: choose it from {', '.join(others)}"
        )
    if len(others) < 2:
        raise ValueError(
            f"{root} holds {tested} to test on and {found} to validate on, and no domain to train on: leave "
            "--validation-domain out, or add domains"
        )
    return found


def _spelt(asked: str, names: list[str]) -> str:
    """Return a name as the folder has it."""
    found = asked if asked in names else {_plain(name): name for name in names}.get(_plain(asked))
    if found is None:
        raise ValueError(f"there is no domain {asked!r}: {nearest_name(asked, names)}")
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
