"""The commands that keep embeddings and find the nearest."""

from __future__ import annotations

import shlex

from unconfound.terminal import print_table

# Everything heavy is imported behind the arguments: a usage text must not wait for it.


def index(arguments: list[str]) -> None:
    """Make or change an index of embeddings."""
    from unconfound.parsing import parse
    from unconfound.search_arguments import IndexArguments

    given: IndexArguments = parse(IndexArguments, arguments, command="index")

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


def search(arguments: list[str]) -> None:
    """Find the nearest items of an index."""
    from unconfound.parsing import parse
    from unconfound.search_arguments import SearchArguments

    given: SearchArguments = parse(SearchArguments, arguments, command="search")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        from unconfound.retrieval import search as find
        from unconfound.retrieval.scores import SCORES, scores_line, search_scores, write_scores
        from unconfound.retrieval.table import answers_table

    if given.out is not None:
        # Before anything is embedded: the folder may be taken.
        from unconfound.report.contact_sheet import answers_files, write_contact_sheet

        table, sheet = answers_files(given.out, overwrite=given.overwrite)
    with Bars(first=f"reading {given.index} and the queries") as progress:
        answers = find(
            given.index,
            given.queries,
            neighbours=given.neighbours,
            backend=given.backend,
            data_root=given.data_root,
            batch_size=given.batch_size,
            device=given.device,
            precision=given.precision,
            progress=progress,
        )
    print_table(answers_table(answers))
    scores = search_scores(answers)
    if scores:
        print(scores_line(scores))
    if given.out is None:
        print("Next: the same with --out FOLDER, for neighbours.parquet and a sheet of pictures")
        return
    answers.save(table)
    if scores:
        write_scores(given.out / SCORES, scores)
    else:
        (given.out / SCORES).unlink(missing_ok=True)  # of an earlier search
    with announced(f"writing {sheet}"):
        write_contact_sheet(sheet, answers, command=shlex.join(["unconfound", "search", *arguments]))
    print(f"Neighbours: {table}\nNext: open {sheet}")
