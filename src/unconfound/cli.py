"""The command line: one function per command."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from unconfound.cli_search import index, search
from unconfound.terminal import print_table

# Everything heavy is imported by the command that needs it, behind its arguments: a usage text must not wait for it.

ABOUT = {
    "demo": "train three encoders on built-in data and show how much each leans on the background",
    "fit": "train an encoder: unconfound fit METHOD --data DATA --out RUN",
    "compare": "recipes x seeds as one table: unconfound compare RECIPE RECIPE ... --seeds 0 1 2",
    "evaluate": "measure the encoders of runs: unconfound evaluate RUN [RUN ...]",
    "embed": "write embeddings of new data: unconfound embed RUN DATA --out FILE.parquet",
    "index": "keep embeddings for searching: unconfound index RUN DATA --out INDEX",
    "search": "find the nearest items: unconfound search INDEX QUERY [QUERY ...]",
    "export": "write an encoder for other programs: unconfound export RUN --out FILE.onnx",
    "list": "methods, encoders, data sets, recipes and comparisons: unconfound list [methods] [images]",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 after a user's mistake, which is one line on the terminal.

    With UNCONFOUND_TRACEBACK=1 in the environment the whole traceback is shown.
    """
    commands = {
        "demo": demo,
        "fit": fit,
        "compare": compare,
        "evaluate": evaluate,
        "embed": embed,
        "index": index,
        "search": search,
        "export": export,
        "list": list_names,
    }
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("-h", "--help"):
            _print_usage()
        elif name == "--version":
            from unconfound import __version__

            print(f"unconfound {__version__}")
        elif name in commands:
            commands[name](rest)
        else:
            from unconfound.suggestions import nearest_name

            raise ValueError(f"unknown command {name!r}: {nearest_name(name, commands)}")
    except BrokenPipeError:
        # `unconfound list | head`: the reader has seen enough. Nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError) as error:
        if os.environ.get("UNCONFOUND_TRACEBACK"):
            raise
        advice = ""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            advice = ": free some space, then go on with the same command and --resume"
        print(f"unconfound: error: {' '.join(str(error).split())}{advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("unconfound: stopped", file=sys.stderr)
        return 130
    return 0


def demo(arguments: list[str]) -> None:
    """Train random, supervised and simclr on built-in data and report."""
    from unconfound.arguments import DemoArguments
    from unconfound.parsing import parse

    given: DemoArguments = parse(DemoArguments, arguments, command="demo")

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.demo import run_demo
    evaluations = run_demo(given)
    if evaluations is not None:
        _print_evaluations(evaluations, given.out)
        print(f"Next: unconfound fit simclr --data path/to/images --out {given.out.parent / 'mine'}")


def fit(arguments: list[str]) -> None:
    """Train an encoder with one method."""
    from unconfound.fit_arguments import fit_arguments
    from unconfound.recipes import read_recipe

    method, recipe, rest = _method_and_recipe(arguments)
    if method is None and recipe is None and set(rest) & {"-h", "--help"}:
        from unconfound.listing import listing

        print("usage: unconfound fit METHOD [--recipe NAME] [flags]\n")
        print(f"{listing()}\n\nFlags of a method: unconfound fit METHOD --help")
        return
    name, given = fit_arguments(rest, method=method, recipe=read_recipe(recipe) if recipe else None)

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.runs import fit_run
    fitted = fit_run(name, given)
    if fitted.finished and int(os.environ.get("RANK", "0")) == 0:
        from unconfound.encoders import loading_snippet

        print(f"The encoder is in {fitted.run}. To use it:\n\n{loading_snippet(fitted.run)}\n")
        print(f"Next: unconfound evaluate {fitted.run}")


def compare(arguments: list[str]) -> None:
    """Train and judge recipes with several seeds and write their table."""
    from unconfound.arguments import CompareArguments
    from unconfound.parsing import parse

    flagged = next((place for place, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    recipes, words = arguments[:flagged], arguments[flagged:]
    given, flags = parse(CompareArguments, words, command="compare", unknown=True)

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.commands.compare import run_comparison
    comparison = run_comparison(recipes, given, flags)
    if not comparison.finished:
        return
    from unconfound.report.comparison_tables import terminal_table

    print_table(terminal_table(comparison))
    print(f"Tables: {given.out / 'comparison.md'}, comparison.csv and summary.csv\nReport: {given.out / 'report.html'}")
    if comparison.failed:
        print(f"{len(comparison.failed)} of {len(comparison.runs)} cells failed: --resume tries them again")
    done = [cell for cell in comparison.cells if cell.status == "done"]
    runs = {cell.row: str(given.out / cell.run) for cell in done if cell.setting == done[0].setting}
    pictures = shlex.join(["unconfound", "evaluate", *runs.values(), "--out", str(given.out / "pictures")])
    print(f"Next: open {given.out / 'report.html'}, or for neighbours and maps: {pictures}")


def evaluate(arguments: list[str]) -> None:
    """Measure the encoders of runs and write evaluation.json and report.html."""
    from unconfound.arguments import EvaluateArguments
    from unconfound.parsing import parse

    given: EvaluateArguments = parse(EvaluateArguments, arguments, command="evaluate")

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.data.load import load
        from unconfound.encoders import load_encoder
        from unconfound.evaluation.judging import Judging
        from unconfound.report.audit import audit
        from unconfound.runs import check_split, run_recipe

    if not given.runs:
        raise ValueError("evaluate needs a run folder: unconfound evaluate runs/simclr")
    # Again, with the data of the first run as defaults under the user's flags.
    recipe = run_recipe(given.runs[0])
    given = parse(EvaluateArguments, arguments, command="evaluate", recipe=recipe, sections=("data",))
    check_split(given, recipe, stated=any(word.split("=")[0] == "--data" for word in arguments))
    names = [run.name for run in given.runs]
    labels = names if len(set(names)) == len(names) else [str(run) for run in given.runs]
    runs = dict(zip(labels, given.runs, strict=True))
    encoders = {label: load_encoder(run) for label, run in runs.items()}
    with announced(f"reading {given.data.data}"):
        dataset = load(given.data)
    out = given.out or (given.runs[0] if len(given.runs) == 1 else given.runs[0].parent)
    evaluations = audit(
        encoders,
        dataset,
        out=out,
        runs=runs,
        judging=Judging(
            neighbours=given.neighbours,
            seed=given.seed,
            batch_size=given.batch_size,
            device=given.device,
            precision=given.precision,
        ),
    )
    _print_evaluations(evaluations, out)
    print(f"Next: open {out / 'report.html'}, or unconfound embed {given.runs[0]} DATA --out embeddings.parquet")


def embed(arguments: list[str]) -> None:
    """Write the embeddings of new data."""
    from unconfound.arguments import EmbedArguments
    from unconfound.parsing import parse

    given: EmbedArguments = parse(EmbedArguments, arguments, command="embed")

    from unconfound.progress import Bars, announced

    with announced("loading torch"):
        from unconfound.runs import embed_run
    with Bars(first=f"reading {given.source}") as progress:
        samples = embed_run(given, progress=progress)
    reader = "pandas.read_parquet" if given.out.suffix == ".parquet" else "numpy.load"
    print(f"{samples:,} embeddings are in {given.out}\nNext: {reader}({str(given.out)!r})")


def export(arguments: list[str]) -> None:
    """Write an encoder as one file that runs without unconfound."""
    from unconfound.arguments import ExportArguments
    from unconfound.parsing import parse

    given: ExportArguments = parse(ExportArguments, arguments, command="export")

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.encoders.export import export_run
    with announced(f"exporting {given.run}"):
        exported = export_run(
            given.run, given.out, classifier=given.classifier, dtype=given.dtype, overwrite=given.overwrite
        )
    print(f"The encoder of {given.run} is in {given.out}, whose answers were checked against its own.")
    for kind, port in [("input", exported.input), *(("output", port) for port in exported.outputs)]:
        shape = ", ".join(str(size) for size in port.shape)
        print(f"  {kind:<6}  {port.name:<10}  {port.dtype:<7}  [{shape}]")
    if exported.classes:
        print(f"  classes of the logits: {', '.join(exported.classes)}")
    if given.out.suffix == ".onnx":
        print(f"Next: onnxruntime.InferenceSession({str(given.out)!r}).run(None, {{'inputs': inputs}})")
    else:
        print(f"Next: torch.export.load({str(given.out)!r}).module()(inputs)")


def list_names(arguments: list[str]) -> None:
    """Print the methods, encoders, data sets, recipes and comparisons there are."""
    from unconfound.listing import MODALITIES, TITLES, listing

    if set(arguments) & {"-h", "--help"}:
        print("usage: unconfound list [WORD ...]\n")
        print("Print what there is, one line per entry. Words choose from it:")
        print(f"  {', '.join(TITLES)}\n  {', '.join(MODALITIES)} (entries for these and for any data)")
        return
    print(listing(arguments))


def _method_and_recipe(arguments: list[str]) -> tuple[str | None, str | None, list[str]]:
    """Take the method (the first word, if it is no flag) and --recipe NAME out of the arguments of `fit`."""
    rest, method, recipe = list(arguments), None, None
    if rest and not rest[0].startswith("-"):
        method = rest.pop(0)
    for place, word in enumerate(rest):
        if word == "--recipe" or word.startswith("--recipe="):
            if word == "--recipe" and place + 1 == len(rest):
                raise ValueError("--recipe needs the name of a recipe (unconfound list) or the path of a TOML file")
            recipe = word.partition("=")[2] or rest.pop(place + 1)
            rest.pop(place)
            break
    return method, recipe, rest


def _print_evaluations(evaluations: Sequence[object], out: Path) -> None:
    from unconfound.evaluation.table import evaluation_table

    print_table(evaluation_table(evaluations))  # type: ignore[arg-type]
    print(f"Figures: {out / 'evaluation.json'}\nReport:  {out / 'report.html'}")


def _print_usage() -> None:
    print("usage: unconfound COMMAND ...\n")
    print("Learn what a sample is, not where it stands, and show whether it worked.\n")
    print("\n".join(f"  {name:<10}{about}" for name, about in ABOUT.items()))
    print("\nHelp on a command: unconfound COMMAND --help. A first look, in under three minutes: unconfound demo")


if __name__ == "__main__":
    sys.exit(main())
