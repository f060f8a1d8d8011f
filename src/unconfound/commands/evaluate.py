"""`unconfound evaluate`: measure encoders and write evaluation.json and report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.arguments import EvaluateArguments
    from unconfound.data import Dataset
    from unconfound.evaluation.figures import Evaluation
    from unconfound.evaluation.judging import Judging


def evaluate(
    runs: Path | str | Sequence[Path | str] | Mapping[str, Any],
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    judging: Judging | None = None,
    **options: Any,
) -> list[Evaluation]:
    """Measure the encoders of runs, or other encoders, and write evaluation.json and report.html.

    Args:
        runs: a run folder or several, as `unconfound evaluate` takes them; or encoders by name, ours or not, on a data
            set: then this is `unconfound.audit`.
        data: by default the data of the first run; another folder, file or name; or a data set in memory.
        out: the folder of evaluation.json and report.html; by default the run folder, or that of several runs' parent.
        judging: neighbours, seed, batch size, device and precision.
        **options: of the data, as in `masks="path/to/masks"`.

    Returns:
        The figures of each encoder.

    Raises:
        TypeError: encoders without a data set.
        ValueError, FileNotFoundError: any mistake in the options or the data, or samples that a run was trained on.
    """
    from unconfound.data import Dataset

    if isinstance(runs, Mapping):
        from unconfound.report.audit import audit

        if not isinstance(data, Dataset):
            raise TypeError(f"encoders need a Dataset to be measured on, got {data!r}: take unconfound.load(...)")
        if options:
            raise TypeError(f"{', '.join(options)}: options go into unconfound.load(...)")
        return audit(runs, data, out=out or "runs/evaluation", judging=judging)
    from unconfound.recipes import flags_of

    folders = [runs] if isinstance(runs, Path | str) else list(runs)
    named = {} if data is None or isinstance(data, Dataset) else {"data": str(data)}
    words = [*map(str, folders), *([] if out is None else ["--out", str(out)]), *flags_of(options | named)]
    in_memory = data if isinstance(data, Dataset) else None
    given = parsed(words, stated=data is not None)
    return evaluate_runs(given, dataset=in_memory, judging=judging)


def parsed(words: Sequence[str], *, stated: bool) -> EvaluateArguments:
    """Parse the words of the command, with the data of the first run as defaults.

    Args:
        words: run folders and flags.
        stated: the user says which data to use.

    Raises:
        ValueError, FileNotFoundError: no run folder, or a mistake in the words.
    """
    from unconfound.arguments import EvaluateArguments
    from unconfound.parsing import parse
    from unconfound.runs import check_split, run_recipe

    given: EvaluateArguments = parse(EvaluateArguments, list(words), command="evaluate")
    if not given.runs:
        raise ValueError("evaluate needs a run folder: unconfound evaluate runs/simclr")
    recipe = run_recipe(given.runs[0])
    given = parse(EvaluateArguments, list(words), command="evaluate", recipe=recipe, sections=("data",))
    check_split(given, recipe, stated=stated)
    return given


def evaluate_runs(
    given: EvaluateArguments, *, dataset: Dataset | None = None, judging: Judging | None = None
) -> list[Evaluation]:
    """Measure the encoders of runs.

    Args:
        given: as `parsed` returns it.
        dataset: what `given.data` names, where it is in memory already.
        judging: in place of what `given` says.
    """
    from unconfound.data.load import load
    from unconfound.encoders import load_encoder
    from unconfound.evaluation.judging import Judging
    from unconfound.progress import announced
    from unconfound.report.audit import audit

    names = [run.name for run in given.runs]
    labels = names if len(set(names)) == len(names) else [str(run) for run in given.runs]
    runs = dict(zip(labels, given.runs, strict=True))
    encoders = {label: load_encoder(run) for label, run in runs.items()}
    if dataset is None:
        with announced(f"reading {given.data.data}"):
            dataset = load(given.data)
    judging = judging or Judging(
        neighbours=given.neighbours,
        seed=given.seed,
        batch_size=given.batch_size,
        device=given.device,
        precision=given.precision,
    )
    return audit(encoders, dataset, out=folder_of(given), runs=runs, judging=judging)


def folder_of(given: EvaluateArguments) -> Path:
    """Return where the figures go."""
    return given.out or (given.runs[0] if len(given.runs) == 1 else given.runs[0].parent)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound evaluate` says."""
    from unconfound.arguments import EvaluateArguments
    from unconfound.parsing import parse

    # Usage texts and mistakes first: they need no torch.
    parse(EvaluateArguments, list(words), command="evaluate")

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.report.audit  # noqa: F401
    given = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))
    evaluations = evaluate_runs(given)
    out = folder_of(given)
    print_evaluations(evaluations, out)
    print(f"Next: open {out / 'report.html'}, or unconfound embed {given.runs[0]} DATA --out embeddings.parquet")
