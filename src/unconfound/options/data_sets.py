"""The names of data sets, the forms of a path, and the kinds of data by file extension."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A public data set that `load` reads by its name. Its file in `data/sets/` has the record and the reader.

    Args:
        name: what `--data` calls it.
        modality: images, tables, graphs or sequences (texts and time series).
        about: one line for `unconfound list`.
        paper: what to cite.
        source: the page of the data, by its address.
        licence: what that page or the paper states; "see the source" where it states none that is known for sure.
        reader: MODULE:FUNCTION below `unconfound.data`; the function takes the data root and, by their names, the
            options that it has parameters for.
        called: what the function calls the set, where it reads several: its first argument.
        folders: the usual names of its folder below the data root.
        image_size: side of its images in pixels, where that cannot be chosen.
        boxes: whether images can be cropped to the boxes of their objects.
        counts: how much of what was published.
    """

    name: str
    modality: str
    about: str
    paper: str
    source: str
    licence: str = "see the source"
    reader: str
    called: str = ""
    folders: tuple[str, ...] = ()
    image_size: int | None = None
    boxes: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)


def _records() -> list[PublicSet]:
    """Read the records out of the text of the files in `data/sets/`: to import these would be to import torch."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(_SETS.glob("*.py"))]
    written = (found for text in texts for found in re.findall(r"^[A-Z0-9_]+ = (PublicSet\(\n.*?^\))$", text, _FLAGS))
    return [PublicSet(**_literal(record)) for record in written]


def _literal(record: str) -> dict[str, Any]:
    call = ast.parse(record, mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}


_SETS, _FLAGS = Path(__file__).parents[1] / "data" / "sets", re.MULTILINE | re.DOTALL
PUBLIC_SETS = {record.name: record for record in _records()}
# Made on request, from what is built in or from other data.
COMPOSED = {
    "demo": "handwritten digits on photographs, built in",
    "composition": "any --foregrounds (mnist, fashion-mnist, emnist-letters, ...) on any folder of --photographs",
}
PATHS_OF = {
    "images": {
        "path/to/folder": "images in class folders, flat, or by --metadata FILE; with train/ and test/ or split here",
        "path/to/images.npz": "arrays of images or rows (.npy, .npz)",
    },
    "tables": {
        "path/to/table.csv": "a table (.csv, .tsv, .parquet) with --label and --group",
    },
    "graphs": {
        "path/to/tu/folder": "graphs in the TU form (NAME_A.txt, NAME_graph_indicator.txt, ...)",
    },
    "sequences": {
        "path/to/texts.jsonl": "texts: .csv, .tsv, .parquet or .jsonl with --text COLUMN, or .txt with one per line",
        "path/to/series.npz": "series: an array [samples, time, channels], or ragged with lengths",
        "path/to/recordings": "sound files (.wav, .flac, .ogg, .opus, .mp3) in class folders, as log-mel frames",
    },
}
NAMED_OF = {
    modality: (COMPOSED if modality == "images" else {})
    | {name: known.about for name, known in PUBLIC_SETS.items() if known.modality == modality}
    for modality in PATHS_OF
}
NAMED = {name: about for sets in NAMED_OF.values() for name, about in sets.items()}
PATHS = {path: about for paths in PATHS_OF.values() for path, about in paths.items()}
ESTIMATE = "estimate"  # what --masks says in place of a folder
ESTIMATE_ALL = "estimate-all"  # likewise, also where the data bring masks
TEXTS = (".jsonl", ".txt")
TABLES = (".csv", ".tsv", ".gz", ".parquet", ".pq")
ARRAYS = (".npy", ".npz")
