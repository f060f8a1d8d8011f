"""`unconfound embed`: write the embeddings of new data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from unconfound.options.constraints import Checked
from unconfound.options.embedding import EmbeddingOptions, flat
from unconfound.outputs import check_output_file
from unconfound.parsing import parse

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from rich.progress import Progress

    from unconfound.evaluation.embeddings import Embeddings


@dataclass(frozen=True, kw_only=True)
class EmbedArguments(Checked):
    """Write the embeddings of new data, which are read like the run's own data."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder of the encoder."""
    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """Folder, file or name of data of the kind that the encoder was trained on."""
    out: Path
    """File to write: .parquet (with names, labels and splits) or .npy (the embeddings alone)."""
    overwrite: bool = False
    """Replace an existing file."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)


def embed(
    run: Path | str,
    data: Path | str,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    data_root: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Embeddings]:
    """Embed all splits of some data, a validation part included, with a run's encoder.

    The data are read as the run's own were. For a source and an encoder in memory there is
    `unconfound.evaluation.embed`.

    Args:
        run: the run folder.
        data: a folder, file or name of data of the kind that the encoder was trained on.
        out: where to write them: .parquet (with names, labels and splits) or .npy (the embeddings alone).
        overwrite: replace `out`.
        data_root: where the files of a named data set lie.
        progress: where a bar is shown.
        **options: `batch_size`, `device` and `precision`, as `EmbeddingOptions` has them.

    Returns:
        Split -> its embeddings.

    Raises:
        ValueError: `out` is there already or of another kind, or the data do not fit the encoder.
        FileNotFoundError: there is no run, or there are no data.
    """
    from unconfound.devices import resolved
    from unconfound.encoders import load_classifier, load_encoder, read_card
    from unconfound.evaluation.embed import embed as embed_source
    from unconfound.evaluation.save import save_embeddings
    from unconfound.progress import console
    from unconfound.retrieval.data_splits import read_splits

    run, out = Path(run), None if out is None else Path(out)
    if out is not None:
        check_output_file(out, suffixes=(".parquet", ".npy"), overwrite=overwrite)
    embedding = resolved(EmbeddingOptions(**options))
    card, encoder = read_card(run), load_encoder(run)
    parts = read_splits(str(data), card, data_root=None if data_root is None else Path(data_root))
    sources = {part.split: part.source for part in parts}
    embedded = {}
    for split, source in sources.items():
        for note in source.notes:
            console.print(note)
        embedded[split] = embed_source(encoder, source, progress=progress, **vars(embedding))
    if out is not None:
        classifier = load_classifier(run)
        if classifier is not None and classifier.out_features != len(card.schema.classes):
            # Its answers have no names.
            classifier = None
        save_embeddings(out, embedded, sources, classifier=classifier, classes=card.schema.classes)
    return embedded


def command(words: Sequence[str]) -> None:
    """Do what `unconfound embed` says."""
    given: EmbedArguments = parse(EmbedArguments, list(words), command="embed")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        import unconfound.evaluation.embed  # noqa: F401
    with Bars(first=f"reading {given.data}") as progress:
        embedded = embed(**flat(given), progress=progress)
    samples = sum(map(len, embedded.values()))
    reader = "pandas.read_parquet" if given.out.suffix == ".parquet" else "numpy.load"
    print(f"{samples:,} embeddings are in {given.out}\nNext: {reader}({str(given.out)!r})")
