"""The report: one file with everything a reader needs to see how much the encoders rely on the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unconfound.data import Dataset
from unconfound.files import write_text
from unconfound.report.entry import Entry
from unconfound.report.evaluated_sets import CROSS_VALIDATION, whose_samples
from unconfound.report.render import render
from unconfound.report.sections import SECTIONS, Page
from unconfound.report.sentences import sentences


def write_report(
    path: Path,
    entries: Sequence[Entry],
    dataset: Dataset,
    *,
    title: str,
    command: str,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Write one self-contained HTML page that opens without network.

    The same arguments give the same page. Parts without data are left out.

    Args:
        path: the file, by custom `report.html`. It is there whole or not at all.
        entries: the encoders, in the order in which tables list them.
        dataset: what they were trained and evaluated on.
        title: the page's heading.
        command: what a reader types to get this page again.
        environment: versions and hardware, in words.

    Returns:
        `path`.

    Raises:
        ValueError: there are no entries, two share a name, or there is neither a test set nor a label.
    """
    names = [entry.name for entry in entries]
    if not entries:
        raise ValueError("a report needs at least one encoder; evaluate one first")
    if len(set(names)) < len(names):
        raise ValueError(f"two encoders share a name ({', '.join(names)}); name each differently")
    page = Page(entries, dataset, command, environment or {})
    schema, sample = dataset.train.schema, page.samples[0][0]
    classes = len(page.sources[page.primary].schema.classes)
    common = {
        "dataset": dataset,
        "primary": page.primary,
        "place": whose_samples(page.primary),
        "crossed": page.primary == CROSS_VALIDATION,
        "folds": entries[0].evaluation.settings.get("folds"),
        "repeats": entries[0].evaluation.settings.get("repeats", 1),
        "modality": schema.modality,
        "channels": schema.shape[0],
        "classes": classes,
        "several": len(entries) > 1,
        "swaps": page.swaps,
        "asking": page.asking,
        "nuisance": page.nuisance,
        "drawn": bool(sample.size),
        "value_columns": list(sample.values),
    }
    shown = []
    for section in SECTIONS:
        data = section.data(page)
        if any(data.values()):
            shown.append((section, render(f"sections/{section.name}.html", **common, **data)))
    meaning = sentences(
        page.evaluations,
        classes=classes,
        primary=page.primary,
        images=schema.modality == "images",
        nuisance=page.nuisance,
    )
    write_text(path, render("report.html", title=title, meaning=meaning, sections=shown))
    return path
