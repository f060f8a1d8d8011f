"""Which samples of a data set a method learns from."""

from __future__ import annotations

from unconfound.data import Dataset, Source


def training_source(dataset: Dataset, *, labels: bool, method: str) -> Source:
    """Return the training samples, or their labelled part.

    Args:
        dataset: the data.
        labels: the method learns from labels.
        method: its name, for errors.

    Raises:
        ValueError: labels are needed, and there are none, they are not those of the classes, or all are of one class.
    """
    if not labels:
        return dataset.train
    if dataset.labelled is None:
        raise ValueError(
            f"{method} learns from labels and {dataset.train.name} has none: give labels (class folders, --label), "
            "or train simclr, which needs none"
        )
    source = dataset.labelled
    found = [] if source.labels is None else source.labels.unique().tolist()
    if found and not 0 <= found[0] <= found[-1] < len(source.schema.classes):
        raise ValueError(
            f"labels of {source.name} are 0 to {len(source.schema.classes) - 1}, got {found[0]} to {found[-1]}: "
            "leave out the samples without a label"
        )
    if len(found) == 1:
        raise ValueError(
            f"all {len(source):,} labelled samples of {source.name} are of one class, "
            f"{source.schema.classes[found[0]]!r}: {method} learns to tell at least two apart"
        )
    return source
