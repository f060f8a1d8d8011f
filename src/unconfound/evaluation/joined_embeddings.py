"""Files of embeddings joined to the samples of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from unconfound.data import Dataset, Source
from unconfound.data.core.subset import Subset
from unconfound.evaluation.embedding_files import EmbeddingFile
from unconfound.evaluation.figures import VALIDATION, primary_of
from unconfound.evaluation.given_embeddings import GivenEmbeddings
from unconfound.evaluation.joined_names import EXCHANGED, Wanted, first_of, rows_of_sets


@dataclass(frozen=True, eq=False)
class Joined:
    """What `join_embeddings` returns.

    Args:
        dataset: the samples that every file has embeddings of.
        encoders: the embeddings of these, by the names of the files.
    """

    dataset: Dataset
    encoders: dict[str, GivenEmbeddings]


def join_embeddings(files: Mapping[str, EmbeddingFile], dataset: Dataset) -> Joined:
    """Join the rows of files to the samples of a data set, by name: see `rows_of_sets`.

    Samples that a file has no embedding of are left out of the data, so that all encoders are measured on the same
    ones. Test sets on exchanged backgrounds keep the samples that the test set as it is keeps. A set that a file has
    nothing of is not measured for it.

    Args:
        files: by the names that tables use.
        dataset: labelled.

    Raises:
        ValueError: the data have no labels; or a file names no samples, has two rows for one, or none for any of the
            training samples, on which the probe is fitted.
    """
    if dataset.labelled is None:
        raise ValueError(f"{dataset.train.name} has no labels, which an audit needs")
    labelled = dataset.labelled
    sources: dict[str, Source] = {"train": labelled, **dataset.tests}
    if dataset.validation is not None:
        sources[VALIDATION] = dataset.validation
    wanted = {name: _wanted(source) for name, source in sources.items()}
    # Made from the training samples, by whoever wrote the images to be embedded.
    wanted |= {name: wanted["train"] for name in ("train-foreground", "train-exchanged")}
    rows = {name: rows_of_sets(file, wanted) for name, file in files.items()}
    for name, found in rows.items():
        if not bool((found["train"] >= 0).any()):
            raise ValueError(
                f"{files[name].path} has embeddings of none of the {len(labelled):,} training samples "
                f"({first_of(wanted['train'].names)}), on which the probe is fitted"
            )
    keep = _kept(sources, rows)
    whole = bool(keep["train"].all())
    encoders = {
        name: GivenEmbeddings(_sets(files[name], found, keep, whole=whole), _notes(files[name], found, wanted))
        for name, found in rows.items()
    }
    parts = {name: _part(source, keep[name]) for name, source in sources.items() if name in keep}
    foreground = dataset.train_foreground
    narrowed = replace(
        dataset,
        train=parts["train"],
        labelled=parts["train"],
        tests={name: parts[name] for name in dataset.tests if name in parts},
        validation=parts.get(VALIDATION),
        train_foreground=None if foreground is None else _part(foreground, keep["train"]),
        adversarial=dataset.adversarial if whole else {},
    )
    return Joined(narrowed, encoders)


def _wanted(source: Source) -> Wanted:
    if source.names is not None:
        return Wanted(source.names)
    return Wanted([str(place) for place in range(len(source))], placed=True)


def _kept(
    sources: Mapping[str, Source], rows: Mapping[str, Mapping[str, Int[Tensor, " samples"]]]
) -> dict[str, Bool[Tensor, " samples"]]:
    """Return which samples of each set all files have; no set that is as it was and that one of them lacks."""
    keep: dict[str, Tensor] = {}
    for name in sources:
        if name in EXCHANGED:
            continue
        found = torch.stack([each[name] >= 0 for each in rows.values()]).all(0)
        if bool(found.any()):
            keep[name] = found
    tests = [name for name in keep if name not in ("train", VALIDATION)]
    exchanged = [name for name in sources if name in EXCHANGED]
    base = primary_of(tests) if tests else None
    same = [name for name in exchanged if base is not None and len(sources[name]) == len(sources[base])]
    shared = torch.ones(len(sources[base] if base else ()), dtype=torch.bool) if base is None else keep[base]
    for name in same:
        for each in rows.values():
            # A file that has nothing of a set does not decide which of its samples are measured.
            shared = shared & (each[name] >= 0) if bool((each[name] >= 0).any()) else shared
    if base is not None:
        keep[base] = shared
    for name in exchanged:
        everything = torch.ones(len(sources[name]), dtype=torch.bool)
        keep[name] = shared if name in same else everything
    return keep


def _sets(
    file: EmbeddingFile,
    found: Mapping[str, Int[Tensor, " samples"]],
    keep: Mapping[str, Bool[Tensor, " samples"]],
    *,
    whole: bool,
) -> dict[str, Tensor]:
    """Return the embeddings of the sets that a file has."""
    sets = {}
    for name, rows in found.items():
        kept = keep.get("train" if name.startswith("train-") else name)
        if kept is None or bool((rows[kept] < 0).any()):
            continue
        # Of fewer samples each would have got another background.
        if name == "train-exchanged" and not whole:
            continue
        sets[name] = file.features[rows[kept]]
    return sets


def _part(source: Source, keep: Bool[Tensor, " samples"]) -> Source:
    if bool(keep.all()):
        return source
    return Subset(source, keep.nonzero().flatten(), notes=source.notes)


def _notes(
    file: EmbeddingFile, found: Mapping[str, Int[Tensor, " samples"]], wanted: Mapping[str, Wanted]
) -> tuple[str, ...]:
    """Say which names did not join."""
    notes = []
    missing = {name: (rows < 0) for name, rows in found.items() if name not in EXCHANGED}
    for name, lacking in missing.items():
        if bool(lacking.any()):
            names = [wanted[name].names[place] for place in lacking.nonzero().flatten()[:4].tolist()]
            notes.append(
                f"{int(lacking.sum()):,} of the {len(lacking):,} samples of {name} have no embedding in "
                f"{file.path.name} and are left out: {first_of(names)}"
            )
    used = torch.zeros(len(file.features), dtype=torch.bool)
    for rows in found.values():
        used[rows[rows >= 0]] = True
    if not bool(used.all()) and file.names is not None:
        names = [file.names[place] for place in (~used).nonzero().flatten()[:4].tolist()]
        notes.append(
            f"{int((~used).sum()):,} of the {len(used):,} rows of {file.path.name} are of no sample of the data: "
            f"{first_of(names)}"
        )
    return tuple(notes)
