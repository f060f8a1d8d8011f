"""Make an index of the embeddings of some data, add to it, and take items out of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import torch
from rich.progress import Progress

from unconfound.devices import choose_device, choose_precision
from unconfound.encoders import load_encoder, read_card
from unconfound.retrieval.additions import embedded_pieces
from unconfound.retrieval.fingerprint import encoder_fingerprint
from unconfound.retrieval.index_folder import check_index_folder, copy_encoder, next_generation, writing
from unconfound.retrieval.manifest import Manifest, Origin, read_manifest, write_manifest
from unconfound.retrieval.names import full_name, matching_names
from unconfound.retrieval.opened import Index, open_index
from unconfound.retrieval.reading import Split, read_splits
from unconfound.retrieval.rewrite import kept_pieces, shard_rows, write_pieces
from unconfound.retrieval.shards import check_files, read_items


def index(
    run: Path | str | None = None,
    data: Path | str | None = None,
    *,
    out: Path | str,
    add: bool = False,
    remove: Sequence[str] = (),
    overwrite: bool = False,
    data_root: Path | None = None,
    batch_size: int = 512,
    device: str | torch.device = "auto",
    precision: str = "32",
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda _: None,
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
        batch_size: samples embedded at a time.
        device: "auto" (the best one here), "cpu", "cuda", "cuda:N" or "mps": where the encoder runs.
        precision: of the encoder: "32", "bf16", "16", or "auto" (bf16 where the hardware gains from it).
        progress: where a bar is shown.
        tell: called with each line on what was noteworthy in the data and what changed.

    Returns:
        The index, open.

    Raises:
        FileNotFoundError: no run, data or index is there.
        ValueError: the arguments contradict each other, `out` holds something else, the index is of another encoder,
            the data do not fit the encoder, an embedding is not finite, or no item has a name of `remove`.
    """
    folder, change = Path(out), add or bool(remove)
    _check_request(run, data, add=add, change=change, overwrite=overwrite)
    device = choose_device(device)
    precision = choose_precision(precision, device)
    check_index_folder(folder, change=change, overwrite=overwrite)
    parts: list[Split] = []
    if run is not None:
        if change:
            _check_encoder(read_manifest(folder), Path(run), folder)
        parts = read_splits(str(data), read_card(run), data_root=data_root)
        for note in chain.from_iterable(part.source.notes for part in parts):
            tell(note)
    with writing(folder):
        check_index_folder(folder, change=change, overwrite=overwrite)  # again, now that nobody else can change it
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
                batch_size=batch_size,
                device=device,
                precision=precision,
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
    tell(f"{len(added) - replaced:,} items added, {replaced:,} replaced, {taken:,} removed")
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
    fingerprint = encoder_fingerprint(run)
    if fingerprint != manifest.fingerprint:
        raise ValueError(
            f"{folder} holds embeddings of another encoder ({manifest.fingerprint[:8]}) than that of {run} "
            f"({fingerprint[:8]}): choose another --out, or index all data anew with --overwrite"
        )
