"""From what a user names to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from unconfound.data.arrays import image_arrays, is_rows, row_arrays
from unconfound.data.composer import composition_from
from unconfound.data.demo import demo
from unconfound.data.images import image_folder
from unconfound.data.named import torchvision_set
from unconfound.data.pixel_rows import as_rows
from unconfound.data.source import Dataset, Source
from unconfound.data.subset import Subset
from unconfound.data.swaps import foreground_only, in_memory, swaps
from unconfound.data.tables import table
from unconfound.suggestions import nearest_name

# The TU sets by the names of their folders; any other folder of that form can be given by its path.
TU_SETS = {
    name.lower().replace("_", "-"): name
    for name in ("MUTAG", "PTC_MR", "IMDB-BINARY", "IMDB-MULTI", "REDDIT-BINARY", "PROTEINS", "NCI1")
}
# Named sets whose images are files, which are read in any size.
IMAGE_FILES = ("tiny-imagenet", "imagenet100", "imagenet9", "coco")
NAMED = {
    "demo": "handwritten digits on photographs, built in",
    "composition": "any --foregrounds (mnist, fashion-mnist, ...) on any folder of --photographs",
    "cifar10": "CIFAR-10 under --data-root",
    "cifar100": "CIFAR-100 under --data-root",
    "stl10": "STL-10 under --data-root",
    "mnist": "MNIST under --data-root",
    "fashion-mnist": "Fashion-MNIST under --data-root",
    "tiny-imagenet": "Tiny-ImageNet under --data-root",
    "imagenet100": "ImageNet-100 under --data-root",
    "imagenet9": "ImageNet-9 of the Backgrounds Challenge, all its variants, under --data-root",
    "coco": "COCO 2017, one sample an object with its mask, under --data-root",
    "adult": "table: Adult (census income) under --data-root",
    "letter": "table: Letter recognition under --data-root",
    **{name: f"graphs: {folder} of the TU collection under --data-root" for name, folder in TU_SETS.items()},
    "ag-news": "text: AG News under --data-root",
    "trec": "text: TREC questions under --data-root",
    "sst2": "text: SST-2 sentences under --data-root",
    "spoken-digits": "series: Free Spoken Digit Dataset under --data-root",
}
PATHS = {
    "path/to/folder": "images in class folders, or flat and unlabelled; with train/ and test/ folders or split here",
    "path/to/images.npz": "arrays of images or rows (.npy, .npz)",
    "path/to/table.csv": "a table (.csv, .tsv, .parquet) with --label and --group",
    "path/to/tu/folder": "graphs in the TU form (NAME_A.txt, NAME_graph_indicator.txt, ...)",
    "path/to/texts.jsonl": "texts: .csv, .tsv, .parquet or .jsonl with --text COLUMN, or .txt with one a line",
    "path/to/series.npz": "series: an array [samples, time, channels], or ragged with lengths",
    "path/to/recordings": "WAV files in class folders, as log-mel frames",
}
TEXTS = (".jsonl", ".txt")
TABLES = (".csv", ".tsv", ".gz", ".parquet", ".pq")
ARRAYS = (".npy", ".npz")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to read, and how."""

    data: str = "demo"
    """a name or the path of a folder, array, table or text file, as `unconfound list` has them"""
    data_root: Path | None = None
    """where the files of a named data set lie"""
    label: str | None = None
    """column of a table that holds the class"""
    group: str | None = None
    """column of a table that holds the group, for worst-group figures; it is no feature"""
    text: str | None = None
    """column of a table, or field of JSON lines, that holds a text: the data are then these texts"""
    rows: bool = False
    """read images as rows of a table, one column a pixel and channel"""
    series: bool = False
    """read an array [samples, time, channels] as series, not as images"""
    node_features: Literal["auto", "labels", "degree", "constant"] = "auto"
    """of graphs: node labels one-hot, degree one-hot, or the constant 1; auto is labels where there are any, else 1"""
    max_length: int = 256
    """longest text (tokens) or series (frames); what is longer is cut"""
    masks: Path | None = None
    """folder of masks parallel to a folder of images, bright on the foreground"""
    image_size: int | None = None
    """side of the images in pixels; by default that of the images, 224 at most"""
    channels: int = 3
    """3 reads images of a folder in colour, 1 in grey"""
    test_share: float = 0.2
    """share held out for the evaluation where the data bring no test split"""
    train_samples: int | None = None
    """learn from so many training samples at most, drawn by --data-seed"""
    test_samples: int | None = None
    """judge on so many samples of each test set at most, the same of all, drawn by --data-seed"""
    correlation: float = 0.9
    """demo and composition: share of the training foregrounds that stand on their own class's scene"""
    foregrounds: str | None = None
    """composition: name or path of the foregrounds, bright on dark"""
    photographs: Path | None = None
    """composition: folder of photographs for the scenes"""
    bad_share: float = 0.01
    """share of unreadable images that is skipped; more is an error"""
    memory_gib: float = 4.0
    """largest decoded image folder that is cached and held in memory; a larger one is streamed by workers"""
    workers: int = 2
    """processes that decode a streamed folder"""
    data_seed: int = 0
    """of the held-out split and of compositions; stays the same when --seed changes"""

    def __post_init__(self) -> None:
        for name in ("test_share", "correlation", "bad_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels}")
        for name in ("train_samples", "test_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {self.max_length}")
        if self.image_size is not None and self.image_size < 8:
            raise ValueError(f"image_size must be at least 8 pixels, got {self.image_size}")


def load(options: DataOptions, *, restore: Mapping[str, Any] | None = None) -> Dataset:
    """Read a data set by its name or path.

    Args:
        options: what and how.
        restore: `Dataset.restore` of the data that an encoder was trained on, to read new data the same way: images get
            the same size and channels, the columns of a table the same encoding.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: what is there cannot be learnt from; the message says why.
    """
    dataset = _read(options, restore or {})
    if options.rows or (restore or {}).get("kind") == "pixel-rows":
        dataset = as_rows(dataset)
    else:
        dataset = with_swaps(dataset, seed=options.data_seed)
    if options.train_samples is not None:
        dataset = _fewer_to_learn(dataset, options.train_samples, seed=options.data_seed)
    if options.test_samples is not None:
        tests: dict[str, Source] = {
            name: Subset(source, _some(len(source), options.test_samples, seed=options.data_seed))
            for name, source in dataset.tests.items()
        }
        dataset = replace(dataset, tests=tests)
    return dataset


def _fewer_to_learn(dataset: Dataset, samples: int, *, seed: int) -> Dataset:
    """Keep so many training samples; all labelled ones where only some carry labels."""
    count = len(dataset.train)
    if samples >= count:
        return dataset
    positions = _some(count, samples, seed=seed)
    notes = (*dataset.train.notes, f"{samples:,} of {count:,} training samples, as asked")
    train = Subset(dataset.train, positions, notes=notes)
    if dataset.labelled is not dataset.train:
        return replace(dataset, train=train)
    foreground = dataset.train_foreground and Subset(dataset.train_foreground, positions)
    return replace(dataset, train=train, labelled=train, train_foreground=foreground)


def _some(count: int, wanted: int, *, seed: int) -> Int[Tensor, " wanted"]:
    """Draw positions without repetition, ascending."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:wanted].sort().values


def _read(options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    name = options.data
    if name in NAMED and name not in ("demo", "composition", *IMAGE_FILES) and options.image_size is not None:
        raise ValueError(f"{name} has images of its own size: leave --image-size {options.image_size} out")
    # Arrays may be oblong: they keep their size, and an encoder that minds says so.
    known = {
        key: restore[key]
        for key, kind in (("image_size", int), ("channels", int), ("max_length", int), ("node_features", str))
        if isinstance(restore.get(key), kind)
    }
    options = replace(options, **known)
    if name in NAMED:
        return _named(options, restore)
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"no file, folder or data set {name!r}: {nearest_name(name, NAMED)}")
    return _folder(path, options, restore) if path.is_dir() else _file(path, options, restore)


def _named(options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    name, root, seed = options.data, options.data_root, options.data_seed
    if name == "demo":
        return demo(correlation=options.correlation, seed=seed, **_size(options))
    if name == "composition":
        return _composition(options)
    if name in TU_SETS:
        from unconfound.data.tu import tu_set

        return tu_set(TU_SETS[name], root, node_features=options.node_features, encoding=_encoding(restore, "graphs"))
    if name in ("adult", "letter"):
        from unconfound.data.uci import uci_table

        return uci_table(name, root, group=options.group, encoding=_encoding(restore, "table"))
    if name in ("ag-news", "trec", "sst2"):
        from unconfound.data.named_text import named_text

        return named_text(
            name,
            root,
            test_share=options.test_share,
            seed=seed,
            max_length=options.max_length,
            encoding=_encoding(restore, "text"),
        )
    if name == "spoken-digits":
        from unconfound.data.recordings import spoken_digits

        return spoken_digits(root, max_length=options.max_length)
    if name in IMAGE_FILES:
        return _image_files(options)
    return torchvision_set(name, root, seed=seed)


def _image_files(options: DataOptions) -> Dataset:
    from unconfound.data.coco import coco
    from unconfound.data.image_parts import Reading
    from unconfound.data.imagenet9 import imagenet9
    from unconfound.data.imagenet100 import imagenet100
    from unconfound.data.tiny_imagenet import tiny_imagenet

    readers = dict(zip(IMAGE_FILES, (tiny_imagenet, imagenet100, imagenet9, coco), strict=True))
    reading = Reading(
        image_size=options.image_size,
        channels=options.channels,
        bad_share=options.bad_share,
        memory_gib=options.memory_gib,
        workers=options.workers,
    )
    return readers[options.data](options.data_root, reading=reading)


def _folder(path: Path, options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    from unconfound.data.recordings import has_recordings, recordings
    from unconfound.data.tu import is_tu_folder, tu_folder

    split: dict[str, Any] = {"test_share": options.test_share, "seed": options.data_seed}
    if is_tu_folder(path):
        return tu_folder(path, node_features=options.node_features, encoding=_encoding(restore, "graphs"))
    if has_recordings(path):
        return recordings(path, max_length=options.max_length, encoding=_encoding(restore, "recordings"), **split)
    return image_folder(
        path,
        masks=options.masks,
        image_size=options.image_size,
        channels=options.channels,
        bad_share=options.bad_share,
        memory_gib=options.memory_gib,
        workers=options.workers,
        **split,
    )


def _file(path: Path, options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    split: dict[str, Any] = {"test_share": options.test_share, "seed": options.data_seed}
    columns: dict[str, Any] = {"label": options.label, "group": options.group}
    if options.text is not None or path.suffix in TEXTS or restore.get("kind") == "text":
        from unconfound.data.texts import texts

        encoding = _encoding(restore, "text")
        return texts(path, text=options.text, max_length=options.max_length, encoding=encoding, **columns, **split)
    if path.suffix in ARRAYS:
        from unconfound.data.series import is_series, series

        if options.series or is_series(path) or restore.get("kind") == "series":
            return series(path, max_length=options.max_length, **split)
        read = row_arrays if is_rows(path) else image_arrays
        return read(path, **split)
    if path.suffix in TABLES:
        return table(path, encoding=_encoding(restore, "table"), **columns, **split)
    raise ValueError(f"{path} is of no known kind: use a folder of images, {', '.join((*ARRAYS, *TABLES, *TEXTS))}")


def _encoding(restore: Mapping[str, Any], kind: str) -> Any:
    """Return what training settled of data of this kind; that of another kind says nothing of it."""
    return restore.get("encoding") if restore.get("kind") == kind else None


def with_swaps(dataset: Dataset, *, seed: int = 0) -> Dataset:
    """Add the background swaps of labelled images that come with masks; other data sets are returned as they are."""
    test = dataset.tests.get("test")
    if test is None or test.labels is None or dataset.labelled is None:
        return dataset
    masked = in_memory(test), in_memory(dataset.labelled)
    if masked[0] is None or masked[1] is None:
        return dataset
    try:
        tests = swaps(masked[0], seed=seed)
    except ValueError as error:
        # Too few images to swap among is no reason not to train on them.
        dataset.train.notes = (*dataset.train.notes, f"no backgrounds are swapped: {error}")
        return dataset
    return replace(dataset, tests=tests, train_foreground=foreground_only(masked[1]))


def _composition(options: DataOptions) -> Dataset:
    if options.foregrounds is None or options.photographs is None:
        raise ValueError(
            "composition needs --foregrounds (mnist, fashion-mnist or a path) and --photographs (a folder of them)"
        )
    foregrounds = _read(replace(options, data=options.foregrounds, foregrounds=None), {})
    return composition_from(
        foregrounds, options.photographs, correlation=options.correlation, seed=options.data_seed, **_size(options)
    )


def _size(options: DataOptions) -> dict[str, Any]:
    return {} if options.image_size is None else {"size": options.image_size}
