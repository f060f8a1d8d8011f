"""`unconfound index`: keep embeddings for searching."""

from __future__ import annotations

from collections.abc import Sequence


def command(words: Sequence[str]) -> None:
    """Do what `unconfound index` says; the function of its name is `unconfound.retrieval.index`."""
    from unconfound.parsing import parse
    from unconfound.search_arguments import IndexArguments

    given: IndexArguments = parse(IndexArguments, list(words), command="index")

    from unconfound.progress import Bars, announced, console

    with announced("loading torch"):
        from unconfound.retrieval import index as change_index

    with Bars(first=f"reading {given.data}") as progress:
        changed = change_index(
            given.run,
            given.data,
            out=given.out,
            add=given.add,
            remove=given.remove,
            overwrite=given.overwrite,
            data_root=given.data_root,
            batch_size=given.batch_size,
            device=given.device,
            precision=given.precision,
            progress=progress,
            tell=console.print,
        )
    print(f"{len(changed):,} items are in {given.out}\nNext: unconfound search {given.out} QUERY --out neighbours")
