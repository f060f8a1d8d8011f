"""`unconfound index`: keep embeddings for searching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from unconfound.options.constraints import Checked
from unconfound.options.embedding import EmbeddingOptions, ReadingOptions, flat, grouped
from unconfound.parsing import parse

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from rich.progress import Progress

    from unconfound.retrieval import Index
    from unconfound.retrieval.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class IndexArguments(Checked):
    """Store the embeddings of data for `unconfound search`: unconfound index RUN DATA --out INDEX.

    In an existing index, --add adds data and --remove removes items. An update that is interrupted leaves the index as
    it was.
    """

    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """Run folder of the encoder; not needed when items are only removed."""
    data: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="DATA")] = None
    """Folder, file or name of data of the kind that the encoder was trained on."""
    out: Path
    """Folder of the index."""
    add: bool = False
    """Add to the index in --out; items replace earlier ones of the same name."""
    remove: tuple[str, ...] = ()
    """Names of items to remove from the index in --out, or folders or files to remove all items of."""
    overwrite: bool = False
    """Replace an existing index."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)


def index(
    run: Path | str | None = None,
    data: Path | str | None = None,
    *,
    out: Path | str,
    add: bool = False,
    remove: Sequence[str] = (),
    overwrite: bool = False,
    data_root: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Index:
    """Embed data with the encoder of a run and keep them where `search` finds them.

    The index is a folder of its own: the embeddings, the items' names and labels, and a copy of the encoder. A file's
    item is named by its absolute path, any other sample by its data and position ("/home/me/table.csv:12"). An item
    that is added again under its name replaces the earlier one. An update is there whole or not at all: killed at any
    moment it leaves the index as it was, and the next update removes what it left.

    Args:
        run: a run folder; not needed where items are only removed.
        data: a folder, file or name of data of the kind that the encoder was trained on; all of its splits are taken.
        out: the folder of the index.
        add: add to the index that is there; it must be of the same encoder.
        remove: names of items to take out of the index that is there, or of folders and files, of which all items are
            taken out. They are taken out before others are added.
        overwrite: replace the index that is there.
        data_root: where the files of a named data set lie.
        progress: where a bar is shown, and each line on what was noteworthy in the data and what changed.
        **options: `batch_size`, `device` and `precision`, as `EmbeddingOptions` has them, and `workers` and
            `memory_gib`, as `ReadingOptions` has them.

    Returns:
        The index, open.

    Raises:
        FileNotFoundError: no run, data or index is there.
        ValueError: the arguments contradict each other, `out` holds something else, the index is of another encoder,
            the data do not fit the encoder, an embedding is not finite, or no item has a name of `remove`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from unconfound.devices import resolved
    from unconfound.encoders import load_encoder, read_card
    from unconfound.retrieval import open_index
    from unconfound.retrieval.data_splits import Split, read_splits
    from unconfound.retrieval.index_encoder import copy_encoder
    from unconfound.retrieval.index_folder import check_index_folder, next_generation, writing
    from unconfound.retrieval.item_names import full_name, matching_names
    from unconfound.retrieval.manifest import Manifest, Origin, read_manifest, write_manifest
    from unconfound.retrieval.shards import check_files, read_items
    from unconfound.retrieval.update import embedded_pieces, kept_pieces, shard_rows, write_pieces

    folder, change = Path(out), add or bool(remove)
    _check_request(run, data, add=add, change=change, overwrite=overwrite)
    embedding, reading = grouped(options)
    embedding = resolved(embedding)
    check_index_folder(folder, change=change, overwrite=overwrite)
    parts: list[Split] = []
    if run is not None:
        if change:
            _check_encoder(read_manifest(folder), Path(run), folder)
        parts = read_splits(str(data), read_card(run), data_root=data_root, reading=reading)
        _tell(progress, chain.from_iterable(part.source.notes for part in parts))
    with writing(folder, change=change, overwrite=overwrite):
        if run is None or change:
            before = read_manifest(folder)
        else:
            name, fingerprint = copy_encoder(Path(run), folder)
            before = Manifest(name, fingerprint, read_card(run).features)
        check_files(folder, before, checksums=False)
        there = read_items(folder, before.shards)["name"]
        removed = matching_names(there, remove, folder)
        added = pa.array([name for part in parts for name in part.names], pa.string())
        origins = before.origins
        if run is not None:
            _check_encoder(before, Path(run), folder)
            origin = Origin(full_name(str(data)), None if data_root is None else str(Path(data_root).absolute()))
            origins = origins if origin in origins else (*origins, origin)
            new = embedded_pieces(
                load_encoder(run),
                parts,
                origin=origins.index(origin),
                rows=shard_rows(before.features),
                embedding=embedding,
                progress=progress,
            )
        generation = next_generation(folder)
        gone = pa.concat_arrays([removed, added])
        shards = write_pieces(
            folder,
            chain(kept_pieces(folder, before, gone), new if run is not None else ()),
            generation=generation,
            rows=shard_rows(before.features),
        )
        write_manifest(folder, replace(before, shards=shards, origins=origins, generation=generation))
    replaced = pc.sum(pc.is_in(there, value_set=added)).as_py() or 0
    taken = pc.sum(pc.invert(pc.is_in(removed, value_set=added))).as_py() or 0
    _tell(progress, [f"{len(added) - replaced:,} items added, {replaced:,} replaced, {taken:,} removed"])
    return open_index(folder, checksums=False)


def _check_request(
    run: Path | str | None, data: Path | str | None, *, add: bool, change: bool, overwrite: bool
) -> None:
    if (run is None) != (data is None) or (run is None and (add or not change)):
        raise ValueError("index needs a run folder and data: unconfound index RUN DATA --out INDEX [--add]")
    if run is not None and change and not add:
        raise ValueError(f"--remove takes items out of the index: give --add to add those of {data}, too")
    if overwrite and change:
        raise ValueError("--overwrite replaces the index, --add and --remove change it: give one or the other")


def _check_encoder(manifest: Manifest, run: Path, folder: Path) -> None:
    """Refuse embeddings of two encoders in one index: they are no more alike than numbers drawn at random."""
    from unconfound.retrieval.index_encoder import encoder_fingerprint

    fingerprint = encoder_fingerprint(run)
    if fingerprint != manifest.fingerprint:
        raise ValueError(
            f"{folder} holds embeddings of another encoder ({manifest.fingerprint[:8]}) than that of {run} "
            f"({fingerprint[:8]}): choose another --out, or index all data anew with --overwrite"
        )


def _tell(progress: Progress | None, lines: Iterable[str]) -> None:
    if progress is not None:
        for line in lines:
            progress.console.print(line)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound index` says."""
    given: IndexArguments = parse(IndexArguments, list(words), command="index")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        import unconfound.retrieval  # noqa: F401
    with Bars(first=f"reading {given.data}") as progress:
        changed = index(**flat(given), progress=progress)
    print(f"{len(changed):,} items are in {given.out}\nNext: unconfound search {given.out} QUERY --out neighbours")
