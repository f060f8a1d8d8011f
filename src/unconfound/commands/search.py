"""`unconfound search`: find the nearest items of an index."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from unconfound.terminal import print_table


def command(words: Sequence[str]) -> None:
    """Do what `unconfound search` says; the function of its name is `unconfound.retrieval.search`."""
    from unconfound.parsing import parse
    from unconfound.search_arguments import SearchArguments

    given: SearchArguments = parse(SearchArguments, list(words), command="search")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        from unconfound.evaluation import terminal_table
        from unconfound.retrieval import search as find
        from unconfound.retrieval.hits_table import hits_table
        from unconfound.retrieval.scores import SCORES, scores_line, search_scores, write_scores

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
    print_table(terminal_table(hits_table(answers)))
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
        write_contact_sheet(sheet, answers, command=shlex.join(["unconfound", "search", *words]))
    print(f"Neighbours: {table}\nNext: open {sheet}")
