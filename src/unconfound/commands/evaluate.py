"""`unconfound evaluate`: measure encoders and write evaluation.json and report.html."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt
from unconfound.options.data import DataOptions
from unconfound.options.embedding import EmbeddingOptions
from unconfound.parsing import parse
from unconfound.recipes import Recipe, flags_of, read_recipe
from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.data import Dataset
    from unconfound.evaluation.figures import Evaluation
    from unconfound.evaluation.judging import Judging

# Options of the data that decide which samples are trained on, and not only how many.
SPLIT = (
    "test_share",
    "data_seed",
    "held_out",
    "validation_domain",
    "classic_split",
    "validation_share",
    "unseen_classes",
    "folds",
    "fold",
)
# Those of them that decide which samples test.
TESTED = ("test_share", "data_seed", "held_out", "unseen_classes", "folds", "fold")


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments(Checked):
    """Measure the encoders of one or more runs: probe, neighbours, retrieval, groups, reliance on background."""

    runs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN ...]", help_behavior_hint="(required)")
    ]
    """Run folders to evaluate."""
    out: Path | None = None
    """Folder for evaluation.json and report.html; by default the run folder, or the parent of the first of several."""
    neighbours: PositiveInt = 5
    """Number of training samples that vote in the nearest-neighbour classifier."""
    seed: NonNegativeInt = 0
    """Seed of the validation split of the linear probe, or of the folds of its cross-validation."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    data: DataOptions = field(default_factory=DataOptions)


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
        from unconfound.commands.audit import audit

        return audit(runs, data, out=out or "runs/evaluation", judging=judging, **options)
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

    Raises:
        ValueError: two runs take data that are read differently, or were trained on other parts of them.
    """
    from unconfound.encoders import load_encoder
    from unconfound.evaluation.judging import Judging
    from unconfound.loading import load
    from unconfound.progress import announced
    from unconfound.report.audit import audit_encoders

    names = [run.name for run in given.runs]
    labels = names if len(set(names)) == len(names) else [str(run) for run in given.runs]
    runs = dict(zip(labels, given.runs, strict=True))
    if dataset is None:
        _check_same_split(given)
    _check_same_input(given.runs)
    encoders = {label: load_encoder(run) for label, run in runs.items()}
    if dataset is None:
        with announced(f"reading {given.data.data}"):
            dataset = load(given.data, restore=encoding_of(given))
    judging = judging or Judging(neighbours=given.neighbours, seed=given.seed, **vars(given.embedding))
    return audit_encoders(encoders, dataset, out=folder_of(given), runs=runs, judging=judging)


def _check_same_split(given: EvaluateArguments) -> None:
    """Refuse runs beside the first that were trained on other parts of the same data, as `check_split` does the first.

    Raises:
        ValueError: names the run and what differs.
    """
    for run in given.runs[1:]:
        trained = run_recipe(run).sections.get("data", {})
        if trained.get("data") != given.data.data:
            continue
        for key in TESTED:
            asked, used = getattr(given.data, key), trained.get(key, getattr(DataOptions, key))
            if asked != used:
                flag = key.replace("_", "-")
                raise ValueError(
                    f"{run} was trained with --{flag} {used}, not {asked} as {given.runs[0]}, so its training samples "
                    "are among those that are tested: evaluate it by itself"
                )


def _check_same_input(runs: Sequence[Path]) -> None:
    """Refuse runs for which no one reading of the data serves, as an encoder would be asked about other inputs.

    Raises:
        ValueError: names two runs and what differs.
    """
    from unconfound.encoders import read_card
    from unconfound.encoders.same_input import different_inputs

    first = read_card(runs[0])
    for run in runs[1:]:
        different = different_inputs(first, read_card(run))
        if different is not None:
            raise ValueError(f"{runs[0]} takes {different[0]}, {run} {different[1]}: evaluate each by itself")


def encoding_of(given: EvaluateArguments) -> dict[str, Any] | None:
    """Return how the data of the first run were read, where others are to be read in the same way.

    Args:
        given: with the data that are to be read.

    Raises:
        ValueError: another label or group than that of the run, whose classes and groups are known alone.
    """
    from unconfound.encoders import read_card
    from unconfound.encoders.saved import own_reading

    run = given.runs[0]
    if given.data.data == run_recipe(run).sections.get("data", {}).get("data"):
        return own_reading(run)
    restore = read_card(run).restore
    encoding = restore.get("encoding", {})
    for role in ("label", "group"):
        asked = getattr(given.data, role)
        if role in encoding and asked not in (None, encoding[role]):
            what = f", {encoding[role]!r}" if encoding[role] is not None else ": it has none"
            raise ValueError(f"--{role} {asked} is not what {run} was read with{what}: leave it out, or train on it")
    return restore


def folder_of(given: EvaluateArguments) -> Path:
    """Return where the figures go."""
    return given.out or (given.runs[0] if len(given.runs) == 1 else given.runs[0].parent)


def run_recipe(run: Path) -> Recipe:
    """Read the configuration of a run folder.

    Raises:
        FileNotFoundError: no run is there.
    """
    if not (run / "config.toml").is_file():
        raise FileNotFoundError(f"{run} is no run folder: it holds no config.toml")
    return read_recipe(str(run / "config.toml"))


def check_split(arguments: EvaluateArguments, recipe: Recipe, *, stated: bool) -> None:
    """Refuse to evaluate an encoder on samples that it was trained on, or on nobody knows what.

    Args:
        arguments: with the run's own data as defaults.
        recipe: of the run.
        stated: the user named the data.

    Raises:
        ValueError: the data are the run's own, but split otherwise, or neither the run nor the user names any.
    """
    trained = recipe.sections.get("data", {})
    if not trained and not stated:
        raise ValueError(
            f"{recipe.name} does not say which data the run was trained on, as these were handed over in Python: "
            "give --data, or use unconfound.audit"
        )
    # A validation part is taken out of the training samples that are left.
    drawn = ("train_samples",) if trained.get("validation_share") else ()
    for key in (*SPLIT, *drawn):
        # What a run's file leaves out was left at its default.
        asked, used = getattr(arguments.data, key), trained.get(key, getattr(DataOptions, key))
        if arguments.data.data == trained.get("data") and asked != used:
            flag = key.replace("_", "-")
            raise ValueError(
                f"--{flag} {asked} is another split than the run's ({used}), with training samples among the "
                f"samples it is evaluated on: leave --{flag} out"
            )


def command(words: Sequence[str]) -> None:
    """Do what `unconfound evaluate` says."""
    # Mistakes first: they need no torch.
    given = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.report.advice import closing_advice
    evaluations = evaluate_runs(given)
    out = folder_of(given)
    print_evaluations(evaluations, out)
    embed = f"unconfound embed {shlex.quote(str(given.runs[0]))} DATA --out embeddings.parquet"
    print(f"Next: open {out / 'report.html'}, or {embed}")
    for line in closing_advice(evaluations):
        print(line)
