"""From what a user names to a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from unconfound.data.arrays import image_arrays, is_rows, row_arrays
from unconfound.data.compose.composer import Composition, composition_from
from unconfound.data.compose.digits_on_scenes import SHARE, digits_on_scenes
from unconfound.data.compose.every_scene import every_scene
from unconfound.data.compose.exchanged import with_exchanged_tests
from unconfound.data.compose.swaps import foreground_only, in_memory, swaps
from unconfound.data.core.source import Dataset
from unconfound.data.divide.fewer_samples import fewer_to_learn, fewer_to_test
from unconfound.data.divide.unseen_classes import check_shared_classes, with_unseen_classes
from unconfound.data.divide.validation import with_validation
from unconfound.data.images.estimated_masks import with_estimated_masks
from unconfound.data.images.folder import image_folder
from unconfound.data.images.mask_verdict import Segment
from unconfound.data.images.reading import Reading
from unconfound.data.images.refined_masks import with_refined_masks
from unconfound.data.named_nuisance import with_nuisance
from unconfound.data.sets.domains import CLASSIC_SHARE, DOMAINBED_SHARE
from unconfound.data.tables.pixel_rows import as_rows
from unconfound.options.data import DataOptions
from unconfound.options.data_sets import (
    ARRAYS,
    COMPOSED,
    ESTIMATE,
    ESTIMATE_ALL,
    NAMED,
    PATHS,
    PUBLIC_SETS,
    TABLES,
    TEXTS,
)
from unconfound.suggestions import nearest_name

__all__ = ["NAMED", "PATHS", "DataOptions", "load_dataset", "with_swaps"]

# How `Dataset.restore` calls the kinds of data that are encoded.
_KINDS = {"images": "images", "tables": "table", "graphs": "graphs", "sequences": "text"}


def load_dataset(
    data: DataOptions | Path | str,
    *,
    restore: Mapping[str, Any] | None = None,
    segment: Segment | None = None,
    **options: Any,
) -> Dataset:
    """Read a data set by its name or path, as in `load_dataset("path/to/folder", image_size=64)`.

    Args:
        data: a folder, a file or the name of a public set; or what and how, as `DataOptions`.
        restore: `Dataset.restore` of the data that an encoder was trained on, to read new data the same way: images get
            the same size and channels, the columns of a table the same encoding.
        segment: estimates masks by the encoder of a run, where the option `masks` names one (`unconfound.load`).
        **options: beside a path or a name, those of `DataOptions`.

    Raises:
        TypeError: an unknown option.
        FileNotFoundError: nothing is there.
        ValueError: what is there cannot be learnt from; the message says why.
    """
    return _load(data_options(data, **options), restore or {}, segment)


def data_options(data: DataOptions | Path | str, **options: Any) -> DataOptions:
    """Return what and how to read, of arguments of `load_dataset`."""
    paths = {each.name for each in fields(DataOptions) if "Path" in str(each.type)}
    options = {key: Path(value) if key in paths and isinstance(value, str) else value for key, value in options.items()}
    return replace(data, **options) if isinstance(data, DataOptions) else DataOptions(data=str(data), **options)


def _load(options: DataOptions, restore: Mapping[str, Any], segment: Segment | None) -> Dataset:
    estimation = _estimation(options, segment)
    if estimation is not None:
        options = replace(options, masks=None)
    divided = options.unseen_classes and options.data not in ("demo", "composition")
    # What is divided by class needs no samples drawn for a test.
    dataset = _read(replace(options, test_share=0.0) if divided else options, restore)
    dataset = with_nuisance(dataset, options)
    if not _divisible(options, restore):
        check_shared_classes(dataset)
    if divided:
        dataset = with_unseen_classes(dataset, folds=options.folds, fold=options.fold)
    if estimation is not None:
        dataset = with_estimated_masks(dataset, **estimation)
    if options.refine_masks:
        dataset = with_refined_masks(dataset, wrong_by=options.refine_masks)
    if options.rows or restore.get("kind") == "pixel-rows":
        dataset = as_rows(dataset)
    else:
        dataset = with_swaps(with_exchanged_tests(dataset, seed=options.data_seed), seed=options.data_seed)
    drawing: dict[str, Any] = {"seed": options.data_seed, "by_class": options.unseen_classes}
    if options.train_samples is not None:
        dataset = fewer_to_learn(dataset, options.train_samples, **drawing)
    share, of_domains = options.validation_share, options.data == "domains"
    if of_domains and not options.unseen_classes:
        share = CLASSIC_SHARE if options.classic_split else share or DOMAINBED_SHARE
    if dataset.validation is None and share > 0:
        dataset = with_validation(dataset, share, seed=options.data_seed, by_group=of_domains)
    if options.test_samples is not None:
        dataset = fewer_to_test(dataset, options.test_samples, **drawing)
    if options.adversarial_backgrounds:
        scenes = every_scene(dataset, backgrounds_per_class=options.adversarial_backgrounds, seed=options.data_seed)
        dataset = replace(dataset, adversarial=scenes)
    return dataset


def _estimation(options: DataOptions, segment: Segment | None) -> dict[str, Any] | None:
    """Return how masks are estimated, as `with_estimated_masks` takes it; None where they are read from files."""
    named = options.masks
    if segment is None and str(named) not in (ESTIMATE, ESTIMATE_ALL):
        if named is not None and (named / "encoder.json").is_file():
            raise ValueError(f"--masks {named} is a run: read the data by unconfound.load, which asks its encoder")
        return None
    if options.mask_values is not None:
        raise ValueError(f"mask_values say how masks in files are read: leave them out with --masks {named}")
    if segment is not None:
        return {"instead": True, "segment": segment, "origin": f"estimated by the encoder of {named}"}
    word = Path(str(named))
    if word.is_dir():
        raise ValueError(
            f"--masks {word} is not a folder, but one of that name is here: give its whole path, {word.absolute()}, "
            "or rename it"
        )
    return {"instead": str(named) == ESTIMATE_ALL}


def _read(options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    name = options.data
    if options.image_size is not None and name not in COMPOSED and _has_own_size(name):
        raise ValueError(f"{name} has images of its own size: leave --image-size {options.image_size} out")
    boxed = [each for each, known in PUBLIC_SETS.items() if known.boxes]
    if options.crop_boxes and name not in (*boxed, "composition"):
        raise ValueError(f"{name} has no boxes to crop to, as {' and '.join(boxed)} have: leave --crop-boxes out")
    # Arrays may be oblong: they keep their size, and an encoder that minds says so.
    known = {
        key: restore[key]
        for key, kind in (("image_size", int), ("channels", int), ("max_length", int), ("node_features", str))
        if isinstance(restore.get(key), kind)
    }
    if "channels" in known:
        known["bits"] = restore.get("bits", 16)
    options = replace(options, **known)
    if name in NAMED:
        return _named(options, restore)
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"no file, folder or data set {name!r}: {nearest_name(name, NAMED)}")
    return _folder(path, options, restore) if path.is_dir() else _file(path, options, restore)


def _named(options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    if options.data == "demo":
        return digits_on_scenes(_how(options, share=SHARE))
    if options.data == "composition":
        return _composition(options)
    known = PUBLIC_SETS[options.data]
    module, _, function = known.reader.partition(":")
    read = getattr(import_module(f"unconfound.data.{module}"), function)
    first = *filter(None, (known.called,)), options.data_root
    return _call(read, *first, options=options, restore=restore, kind=_KINDS[known.modality])


def _folder(path: Path, options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    from unconfound.data.graphs.tu import is_tu_folder, tu_folder
    from unconfound.data.images.metadata import Metadata, metadata_folder
    from unconfound.data.sequences.recordings import has_recordings, recordings

    if is_tu_folder(path):
        return _call(tu_folder, path, options=options, restore=restore, kind="graphs")
    if has_recordings(path):
        return _call(recordings, path, options=options, restore=restore, kind="recordings")
    if options.metadata is not None:
        beside = Metadata(options.metadata, options.label, options.group)
        return _call(metadata_folder, path, beside, options=options, restore=restore)
    return _call(image_folder, path, options=options, restore=restore)


def _file(path: Path, options: DataOptions, restore: Mapping[str, Any]) -> Dataset:
    if options.text is not None or path.suffix in TEXTS or restore.get("kind") == "text":
        from unconfound.data.sequences.texts import texts

        return _call(texts, path, options=options, restore=restore, kind="text")
    if path.suffix in ARRAYS:
        from unconfound.data.sequences.series import is_series, series

        serial = options.series or is_series(path) or restore.get("kind") == "series"
        read = series if serial else row_arrays if is_rows(path) else image_arrays
        return _call(read, path, options=options, restore=restore)
    if path.suffix in TABLES:
        from unconfound.data.tables.table import table

        return _call(table, path, options=options, restore=restore, kind="table")
    raise ValueError(f"{path} is of no known kind: use a folder of images, {', '.join((*ARRAYS, *TABLES, *TEXTS))}")


def _call(
    read: Callable[..., Dataset], *first: Any, options: DataOptions, restore: Mapping[str, Any], kind: str = "images"
) -> Dataset:
    """Call a reader with those options that it has parameters for.

    Its `encoding` is what training settled of data of this kind; that of another kind says nothing of it.
    """
    given = {each.name: getattr(options, each.name) for each in fields(options)} | {
        "reading": reading_of(options),
        "seed": options.data_seed,
        "unseen_classes": _divisible(options, restore),
        "encoding": restore.get("encoding") if restore.get("kind") == kind else None,
    }
    asked = list(signature(read).parameters)[len(first) :]
    return read(*first, **{name: given[name] for name in asked if name in given})


def reading_of(options: DataOptions) -> Reading:
    """Return how images are to be decoded."""
    return Reading(**{each.name: getattr(options, each.name) for each in fields(Reading) if each.name != "cache"})


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
    size = None if _has_own_size(options.foregrounds) else options.image_size
    foregrounds = _read(replace(options, data=options.foregrounds, foregrounds=None, image_size=size), {})
    return composition_from(
        foregrounds,
        options.photographs,
        _how(
            options,
            classes=options.foreground_classes,
            photographs_per_class=options.photographs_per_class,
            colour=options.tint,
            group_counts=options.group_counts,
            train_samples=None if options.group_counts is None else options.train_samples,
        ),
    )


def _has_own_size(name: str) -> bool:
    return name in COMPOSED or (name in PUBLIC_SETS and PUBLIC_SETS[name].image_size is not None)


def _how(options: DataOptions, **others: Any) -> Composition:
    """Return how foregrounds are composed."""
    if options.image_size is not None:
        others["size"] = options.image_size
    return Composition(
        correlation=options.correlation,
        seed=options.data_seed,
        unseen_classes=options.unseen_classes,
        folds=options.folds,
        fold=options.fold,
        **others,
    )


def _divisible(options: DataOptions, restore: Mapping[str, Any]) -> bool:
    """Say whether training and test may have other classes: they are to be divided so, or an encoder's data were."""
    return options.unseen_classes or bool(restore.get("unseen_classes"))
