"""Which images or recordings a folder holds, and what its subfolders mean."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.files.walking import find_files, same_form

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})

_TRAIN, _TESTS = "train", ("test", "val", "valid", "validation")


@dataclass(frozen=True)
class Layout:
    """The files of a folder of images or recordings, one part after the other.

    Args:
        files: paths relative to the root, with forward slashes, in order.
        classes: the class of each file (the name of a folder, in Unicode's form NFC), or None where the files lie
            loose.
        parts: how many files each part has: "train", and "test" for the first test folder, a second by its folder;
            "train" alone where the folder is not split.
        notes: what a reader of the log should know.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...] | None
    parts: dict[str, int]
    notes: tuple[str, ...]

    def positions(self) -> dict[str, Int[Tensor, " part"]]:
        """Return where the files of each part are."""
        return dict(zip(self.parts, torch.arange(len(self.files)).split([*self.parts.values()]), strict=True))

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, each once."""
        return tuple(sorted({*(self.classes or ())}))

    def labels(self, classes: Sequence[str]) -> Int[Tensor, " files"] | None:
        """Return the place of each file's class among these, -1 where it is none of them; None for loose files."""
        label_of = {name: label for label, name in enumerate(classes)}
        return None if self.classes is None else torch.tensor([label_of.get(name, -1) for name in self.classes])


def read_layout(
    path: Path,
    *,
    without: Path | None = None,
    what: str = "image",
    extensions: Collection[str] = EXTENSIONS,
    unseen_classes: bool = False,
) -> Layout:
    """Find out how a folder of images, or of other files, is laid out.

    Understood are class folders (`cat/1.jpg`, `cat/more/2.jpg`, `dog/1.png`), loose files (no labels), and either of
    these under `train` and `test`, `val`, `valid` or `validation` (in upper or lower case). Files that are hidden or of
    other types and folders that a system keeps (thumbnails of a NAS, say) are passed over; links are followed. Folders
    whose names differ in nothing but their Unicode form are one class.

    Args:
        path: the folder.
        without: a folder (of masks) that is no part of the data, should it lie inside.
        what: how errors call a file.
        extensions: of the files, in lower case.
        unseen_classes: test files may be of classes that the training files lack.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no such file, or loose ones beside folders of them, or test files of classes that the
            training files lack (unless `unseen_classes`).
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no folder {path}")
    if not path.is_dir():
        raise ValueError(f"{path} is a file: a folder of {what}s is needed")
    listed = find_files(path, extensions, without=without)
    found = listed.files
    if not found:
        raise ValueError(
            f"{path} holds no {what}, neither directly nor in its folders; "
            f"read are {', '.join(sorted(extension[1:] for extension in extensions))}"
        )
    notes = listed.notes(what)
    tops = sorted({file.split("/")[0] for file in found if "/" in file})
    by_lower = {top.lower(): top for top in tops}
    tests = [by_lower[test] for test in _TESTS if test in by_lower]
    if _TRAIN not in by_lower or (not tests and len(tops) > 1):
        if tops and all(top.lower() in _TESTS for top in tops):
            raise ValueError(f"{path} holds {' and '.join(tops)}, but no folder train")
        if _TRAIN in by_lower:
            notes.append(f"{by_lower[_TRAIN]} is taken for a class: it stands beside others, none of them a test set")
        return Layout(tuple(found), _classes(path, "", found, what), {"train": len(found)}, tuple(notes))
    beside = [top for top in tops if top != by_lower[_TRAIN] and top not in tests]
    beside += [file for file in found if "/" not in file]
    if beside:
        raise ValueError(
            f"{path} holds {what}s beside its folders {', '.join([by_lower[_TRAIN], *tests])}: {beside[0]}"
            f"{f' and {len(beside) - 1:,} more' if len(beside) > 1 else ''}; move them away"
        )
    folders = {"train": by_lower[_TRAIN], **dict(zip(["test", *map(str.lower, tests[1:])], tests, strict=False))}
    files = {part: [file for file in found if file.startswith(f"{folder}/")] for part, folder in folders.items()}
    classes = {folder: _classes(path, folder, files[part], what) for part, folder in folders.items()}
    _check_classes(classes, what, unseen_classes=unseen_classes)
    if tests and tests[0].lower() != "test":
        notes.append(f"the folder {tests[0]} serves as the test set")
    of_files = tuple(chain.from_iterable(given or () for given in classes.values()))
    return Layout(
        files=tuple(chain(*files.values())),
        classes=of_files or None,
        parts={part: len(given) for part, given in files.items()},
        notes=tuple(notes),
    )


def find_masks(masks: Path, images: tuple[str, ...]) -> tuple[Path, ...]:
    """Find the mask of each image: the same relative path, with the extension of any image type.

    Raises:
        FileNotFoundError: there is no such folder, or an image has no mask; every image needs one.
        ValueError: an image has two.
    """
    if not masks.is_dir():
        raise FileNotFoundError(f"there is no folder of masks {masks}")
    by_stem: dict[str, str] = {}
    for mask in find_files(masks, EXTENSIONS).files:
        other = by_stem.setdefault(_stem(mask), mask)
        if other != mask:
            raise ValueError(f"{masks} holds two masks of one image: {other} and {mask}; remove one")
    missing = [image for image in images if _stem(image) not in by_stem]
    if missing:
        raise FileNotFoundError(
            f"{len(missing):,} of {len(images):,} images have no mask in {masks}: {_stem(missing[0])}.* is missing"
        )
    return tuple(masks / by_stem[_stem(image)] for image in images)


def _classes(root: Path, folder: str, files: Sequence[str], what: str) -> tuple[str, ...] | None:
    """Return the class folder of each file of a part, or None where all of them lie loose."""
    inside = [file.removeprefix(f"{folder}/").split("/") if folder else file.split("/") for file in files]
    loose = sum(len(steps) == 1 for steps in inside)
    if 0 < loose < len(files):
        folders = sorted({steps[0] for steps in inside if len(steps) > 1})
        raise ValueError(
            f"{root / folder} holds {loose:,} loose {what}s beside {len(folders):,} folders of {what}s "
            f"({', '.join(folders[:3])}{', ...' if len(folders) > 3 else ''}): "
            "either put all of them into class folders or none"
        )
    return None if loose else tuple(same_form(steps[0]) for steps in inside)


def _check_classes(known: Mapping[str, tuple[str, ...] | None], what: str, *, unseen_classes: bool) -> None:
    """Refuse test folders whose classes are not those of the first folder, the training one."""
    (train, trained), *tests = known.items()
    for test, tested in tests:
        if (trained is None) != (tested is None):
            loose, classes = (train, test) if trained is None else (test, train)
            raise ValueError(f"{loose} holds loose {what}s, {classes} class folders: use one form for both")
        unknown = sorted({*(tested or ())} - {*(trained or ())})
        if unknown and not unseen_classes:
            raise ValueError(
                f"{test} holds classes that {train} lacks: {', '.join(unknown[:5])}"
                f"{f' and {len(unknown) - 5:,} more' if len(unknown) > 5 else ''}; "
                "to be evaluated on classes that were not trained on, say --unseen-classes"
            )


def _stem(relative: str) -> str:
    return same_form(os.path.splitext(relative)[0])
