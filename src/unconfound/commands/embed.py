"""`unconfound embed`: write the embeddings of new data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from rich.progress import Progress

    from unconfound.evaluation.embeddings import Embeddings


def embed(
    run: Path | str,
    data: Path | str,
    *,
    out: Path | str | None = None,
    overwrite: bool = False,
    batch_size: int = 512,
    device: str = "auto",
    precision: str = "32",
    data_root: Path | str | None = None,
    progress: Progress | None = None,
) -> dict[str, Embeddings]:
    """Embed all splits of some data, a validation part included, with a run's encoder.

    The data are read as the run's own were. For a source and an encoder in memory there is
    `unconfound.evaluation.embed`.

    Args:
        run: the run folder.
        data: a folder, file or name of data of the kind that the encoder was trained on.
        out: where to write them: .parquet (with names, labels and splits) or .npy (the embeddings alone).
        overwrite: replace `out`.
        batch_size: samples per pass through the encoder.
        device: "auto" (the best one here), "cpu", "cuda", "cuda:N" or "mps".
        precision: of the encoder: "32", "bf16", "16", or "auto" (bf16 where the hardware gains from it).
        data_root: where the files of a named data set lie.
        progress: where a bar is shown.

    Returns:
        Split -> its embeddings.

    Raises:
        ValueError: `out` is there already or of another kind, or the data do not fit the encoder.
        FileNotFoundError: there is no run, or there are no data.
    """
    from unconfound.devices import choose_device, choose_precision
    from unconfound.encoders import load_classifier, load_encoder, read_card
    from unconfound.evaluation.embed import embed as embed_source
    from unconfound.evaluation.save import save_embeddings
    from unconfound.progress import console
    from unconfound.retrieval.reading import read_splits

    run, out = Path(run), None if out is None else Path(out)
    if out is not None and out.suffix not in (".parquet", ".npy"):
        raise ValueError(f"--out {out} must end in .parquet or .npy")
    if out is not None and out.exists() and not overwrite:
        raise ValueError(f"{out} is there already: choose another --out, or give --overwrite")
    card, encoder = read_card(run), load_encoder(run)
    parts = read_splits(str(data), card, data_root=None if data_root is None else Path(data_root))
    sources = {part.split: part.source for part in parts}
    device = choose_device(device)
    precision = choose_precision(precision, device)
    embedded = {}
    for split, source in sources.items():
        for note in source.notes:
            console.print(note)
        embedded[split] = embed_source(
            encoder, source, batch_size=batch_size, device=device, precision=precision, progress=progress
        )
    if out is not None:
        classifier = load_classifier(run)
        if classifier is not None and classifier.out_features != len(card.schema.classes):
            # Its answers have no names.
            classifier = None
        save_embeddings(out, embedded, sources, classifier=classifier, classes=card.schema.classes)
    return embedded


def command(words: Sequence[str]) -> None:
    """Do what `unconfound embed` says."""
    from unconfound.arguments import EmbedArguments
    from unconfound.parsing import parse

    given: EmbedArguments = parse(EmbedArguments, list(words), command="embed")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        import unconfound.evaluation.embed  # noqa: F401
    with Bars(first=f"reading {given.source}") as progress:
        embedded = embed(
            given.run,
            given.source,
            out=given.out,
            overwrite=given.overwrite,
            batch_size=given.batch_size,
            device=given.device,
            precision=given.precision,
            data_root=given.data_root,
            progress=progress,
        )
    samples = sum(map(len, embedded.values()))
    reader = "pandas.read_parquet" if given.out.suffix == ".parquet" else "numpy.load"
    print(f"{samples:,} embeddings are in {given.out}\nNext: {reader}({str(given.out)!r})")
