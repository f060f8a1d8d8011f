"""`unconfound embed`: write the embeddings of new data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

import tyro

from unconfound.options.constraints import Checked
from unconfound.options.embedding import EmbeddingOptions, ReadingOptions, flat, grouped
from unconfound.parsing import parse
from unconfound.processes import joined_processes, own_device

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from rich.progress import Progress

    from unconfound.data import Source
    from unconfound.evaluation.embed_to_file import WrittenEmbeddings
    from unconfound.evaluation.embedding_parts import Output
    from unconfound.evaluation.embeddings import Embeddings


@dataclass(frozen=True, kw_only=True)
class EmbedArguments(Checked):
    """Write the embeddings of new data, which are read like the run's own data.

    They are written as they come, so the data may be larger than memory. An embedding that was stopped or killed goes
    on with --resume. Start the command by torchrun to share the work between several processes.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder of the encoder."""
    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """Folder, file or name of data of the kind that the encoder was trained on."""
    out: Path
    """File to write: .parquet (with names, labels and splits) or .npy (the embeddings alone)."""
    resume: bool = False
    """Go on with an embedding that was stopped or killed; start it where there is none."""
    overwrite: bool = False
    """Replace an existing file, and remove what was begun."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)


@overload
def embed(
    run: Path | str,
    data: Path | str,
    *,
    out: None = None,
    data_root: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Embeddings]: ...


@overload
def embed(
    run: Path | str,
    data: Path | str,
    *,
    out: Path | str,
    resume: bool = False,
    overwrite: bool = False,
    data_root: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> WrittenEmbeddings: ...


def embed(
    run: Path | str,
    data: Path | str,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    data_root: Path | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Embeddings] | WrittenEmbeddings:
    """Embed all splits of some data, a validation part included, with a run's encoder.

    The data are read as the run's own were. With `out`, embeddings are written as they come, in parts of a folder
    beside the file, and are not held in memory; the processes of a group that `torch.distributed` knows share the work.
    For a source and an encoder in memory there is `unconfound.evaluation.embed`.

    Args:
        run: the run folder.
        data: a folder, file or name of data of the kind that the encoder was trained on.
        out: where to write them: .parquet (with names, labels and splits) or .npy (the embeddings alone).
        resume: go on with what was begun, bit for bit as if it had not been stopped, or start where nothing was.
        overwrite: replace `out`, and remove what was begun.
        data_root: where the files of a named data set lie.
        progress: where a bar is shown.
        **options: `batch_size`, `device` and `precision`, as `EmbeddingOptions` has them, and `workers` and
            `memory_gib`, as `ReadingOptions` has them.

    Returns:
        Split -> its embeddings, in memory; with `out` which file holds how many of each split.

    Raises:
        ValueError: `out` or its parts are there already, or `out` is of another kind; the parts are of another run, of
            other data or options; another process is at work on them; or the data do not fit the encoder.
        FileNotFoundError: there is no run, or there are no data.
        EmbeddingStopped: with `out`, Ctrl-C or SIGTERM asked to stop; `resume` goes on.
    """
    from unconfound.devices import resolved
    from unconfound.encoders import load_encoder, read_card
    from unconfound.evaluation.embed import embed as embed_source
    from unconfound.evaluation.embedding_parts import Output
    from unconfound.functional.distributed import world
    from unconfound.progress import console
    from unconfound.retrieval.data_splits import read_sources

    run = Path(run)
    output = None if out is None else Output(Path(out), resume, overwrite)
    if output is not None and world()[0] == 0:
        output.check()
    embedding, reading = grouped(options)
    embedding = resolved(embedding)
    root = None if data_root is None else Path(data_root)
    sources = read_sources(str(data), read_card(run), data_root=root, reading=reading)
    for source in sources.values():
        for note in source.notes if world()[0] == 0 else ():
            console.print(note)
    if output is not None:
        origin = {"data": str(data), "data_root": root}
        return _to_file(run, output, sources, origin=origin, embedding=embedding, progress=progress)
    encoder = load_encoder(run)
    return {
        split: embed_source(encoder, source, progress=progress, **vars(embedding)) for split, source in sources.items()
    }


def _to_file(
    run: Path,
    output: Output,
    sources: Mapping[str, Source],
    *,
    origin: Mapping[str, Any],
    embedding: EmbeddingOptions,
    progress: Progress | None,
) -> WrittenEmbeddings:
    """Embed splits into a file, and end between two batches where a signal asks for it."""
    from unconfound.encoders import load_classifier, load_encoder, read_card
    from unconfound.evaluation.data_digest import data_digest
    from unconfound.evaluation.embed_to_file import embed_to_file
    from unconfound.evaluation.joined_parts import NamedClassifier
    from unconfound.functional.distributed import world
    from unconfound.progress import console
    from unconfound.retrieval.index_encoder import encoder_fingerprint
    from unconfound.retrieval.item_names import full_name
    from unconfound.training.stop import EmbeddingStopped, StopRequest

    classes, linear = read_card(run).schema.classes, load_classifier(run)
    # The answers of a classifier of other classes have no names.
    named = None if linear is None or linear.out_features != len(classes) else NamedClassifier(linear, classes)
    plan = {
        "run": encoder_fingerprint(run),
        "classifier": None if named is None else named.fingerprint(),
        "data": full_name(origin["data"]),
        "data_root": None if origin["data_root"] is None else str(origin["data_root"].absolute()),
        "contents_of_the_data": data_digest(sources),
        "device": embedding.device.partition(":")[0],
        "precision": embedding.precision,
    }
    started = time.monotonic()
    with StopRequest() as stop:

        def end_if_asked() -> None:
            if stop.requested:
                seconds = time.monotonic() - started
                said = f"stopped after {seconds:,.0f} s as asked; go on with the same command and --resume"
                if world()[0] == 0:
                    console.print(said)
                raise EmbeddingStopped(f"{output.path}: {said}", stop.number)

        return embed_to_file(
            output,
            load_encoder(run),
            sources,
            plan=plan,
            embedding=replace(embedding, device=own_device(embedding.device)),
            classifier=named,
            after_batch=end_if_asked,
            progress=progress,
        )


def command(words: Sequence[str]) -> None:
    """Do what `unconfound embed` says."""
    given: EmbedArguments = parse(EmbedArguments, list(words), command="embed")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        import unconfound.evaluation.embed_to_file  # noqa: F401
    with joined_processes() as rank, Bars(first=f"reading {given.data}") as progress:
        written = embed(**flat(given), progress=progress if rank == 0 else None)
    if rank:
        return
    reader = "pandas.read_parquet" if given.out.suffix == ".parquet" else "numpy.load"
    print(f"{len(written):,} embeddings are in {given.out}\nNext: {reader}({str(given.out)!r})")
