"""`unconfound mend`: a new run whose encoder or classifier relies less on the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from unconfound.commands.evaluate import EvaluateArguments, check_split, run_recipe
from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt, within
from unconfound.options.data import DataOptions
from unconfound.options.embedding import EmbeddingOptions
from unconfound.outputs import entries
from unconfound.parsing import parse
from unconfound.recipes import flags_of

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.data import Dataset
    from unconfound.evaluation.figures import Evaluation
    from unconfound.mending.remedies import Way

How = Literal["all", "refit", "erase", "leace", "nap", "whitening"]
# Those that change the encoder least come first.
WAYS: dict[How, tuple[Way, ...]] = {
    "all": ("refit", "leace", "nap", "whitening"),
    "refit": ("refit",),
    "erase": ("leace", "nap", "whitening"),
    "leace": ("leace",),
    "nap": ("nap",),
    "whitening": ("whitening",),
}


@dataclass(frozen=True, kw_only=True)
class MendArguments(Checked):
    """Make a new run that relies less on the background, from a run on images with masks, without training it anew."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Run folder of the encoder to mend, which is left as it is."""
    how: How = "all"
    """Way to mend: refit (a new classifier, fitted on exchanged backgrounds); leace, nap or whitening (a linear map of
    the embeddings that takes the background out, and a new classifier); erase (these three); or all."""
    gap: Annotated[float, within(0, 100)] = 5.0
    """Background gap in points that is good enough; of several ways, the one that changes least and reaches it is
    kept."""
    out: Path | None = None
    """Folder of the new run; by default that of RUN with -mended added to its name."""
    exchanges: PositiveInt = 2
    """Number of other backgrounds that each training image is put on."""
    directions: PositiveInt | None = None
    """Number of directions that nap removes and whitening keeps; by default a quarter of the width of the embedding."""
    seed: NonNegativeInt = 0
    """Seed of the exchanges, and of the split by which the regularisation of classifiers is chosen."""
    overwrite: bool = False
    """Replace an earlier run in --out."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    data: DataOptions = field(default_factory=DataOptions)


@dataclass(frozen=True)
class Mended:
    """What `mend` did.

    Args:
        run: the new run folder.
        way: whose encoder and classifier it holds.
        reached: whether the gap is at most the one that was asked for, with no fewer images recognised on random
            backgrounds than before.
        before: figures of the encoder as it was.
        after: figures by way.
    """

    run: Path
    way: Way
    reached: bool
    before: Evaluation
    after: dict[Way, Evaluation]


def mend(
    run: Path | str,
    data: Dataset | Path | str | None = None,
    *,
    how: How = "all",
    gap: float = 5.0,
    out: Path | str | None = None,
    **options: Any,
) -> Mended:
    """Make a new run that relies less on the background, from a run on images with masks.

    Args:
        run: the run folder.
        data: by default that of the run; another folder, file or name; or a data set in memory.
        how: a way, or several to choose from.
        gap: the background gap in points that is good enough.
        out: the new run folder; by default that of the run with -mended added.
        **options: other flags of `unconfound mend`, with underscores, as in `exchanges=8` or `masks="path/to/masks"`.

    Returns:
        The new run, and the figures before and after.

    Raises:
        ValueError, FileNotFoundError: any mistake in the options or the data, such as data without masks.
    """
    from unconfound.data import Dataset

    named = {} if data is None or isinstance(data, Dataset) else {"data": str(data)}
    said = {"how": how, "gap": gap, "out": None if out is None else str(out)}
    given = parsed([str(run), *flags_of(said | options | named)], stated=data is not None)
    return mend_run(given, dataset=data if isinstance(data, Dataset) else None)


def parsed(words: Sequence[str], *, stated: bool) -> MendArguments:
    """Parse the words of the command, with the data of the run as defaults.

    Args:
        words: the run folder and flags.
        stated: the user says which data to use.

    Raises:
        ValueError, FileNotFoundError: no run folder, a mistake in the words, or an output folder in use.
    """
    given: MendArguments = parse(MendArguments, list(words), command="mend")
    recipe = run_recipe(given.run)
    given = parse(MendArguments, list(words), command="mend", recipe=recipe, sections=("data",))
    check_split(EvaluateArguments(runs=(given.run,), data=given.data), recipe, stated=stated)
    out = folder_of(given)
    if out.resolve() == given.run.resolve():
        raise ValueError(f"--out {out} is the run that is to be mended: choose another --out")
    if entries(out) and not given.overwrite:
        raise ValueError(f"--out {out} holds something already: choose another --out, or give --overwrite")
    return given


def folder_of(given: MendArguments) -> Path:
    """Return where the new run goes."""
    return given.out or given.run.with_name(f"{given.run.resolve().name}-mended")


def mend_run(given: MendArguments, *, dataset: Dataset | None = None) -> Mended:
    """Mend the encoder of a run.

    Args:
        given: as `parsed` returns it.
        dataset: what `given.data` names, where it is in memory already.
    """
    from unconfound.data.load import load
    from unconfound.encoders import load_classifier, load_encoder
    from unconfound.mending.mend import MendingOptions, compare_ways
    from unconfound.mending.mended_run import write_mended_run
    from unconfound.progress import Bars
    from unconfound.training.fitting import plain
    from unconfound.training.run_folder import RunFolder

    out = folder_of(given)
    RunFolder(out, overwrite=given.overwrite).check()
    encoder, recipe = load_encoder(given.run), run_recipe(given.run)
    sections = dict(recipe.sections)
    with Bars(first=f"reading {given.data.data}") as progress:
        if dataset is None:
            dataset = load(given.data)
            sections["data"] = plain(given.data)
        options = MendingOptions(
            exchanges=given.exchanges, directions=given.directions, seed=given.seed, embedding=given.embedding
        )
        comparison = compare_ways(
            encoder, load_classifier(given.run), dataset, WAYS[given.how], options=options, progress=progress
        )
    way, reached = comparison.cheapest(given.gap / 100)
    write_mended_run(
        given.run,
        comparison.remedies[way],
        out=out,
        config={"method": recipe.method} | sections,
        how={"way": way}
        | {key: value for key, value in asdict(options).items() if key != "embedding" and value is not None},
        overwrite=given.overwrite,
    )
    return Mended(out, way, reached, comparison.before, comparison.after)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound mend` says."""
    # Mistakes first: they need no torch.
    given = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.evaluation import evaluation_table, terminal_table
        from unconfound.mending.mend import gap_of, recognised
    from unconfound.terminal import print_table

    mended = mend_run(given)
    print_table(terminal_table(evaluation_table([mended.before, *mended.after.values()]), name_width=12))
    gaps, shares = (
        [100 * of(evaluation).value for evaluation in (mended.after[mended.way], mended.before)]
        for of in (gap_of, recognised)
    )
    said = "reaches" if mended.reached else "recognises most on random backgrounds, but no way reaches"
    print(f"{mended.way} {said} a gap of {given.gap:g} points: {gaps[0]:.1f}, before {gaps[1]:.1f}.")
    print(f"On random backgrounds it recognises {shares[0]:.1f} %, before {shares[1]:.1f} %.")
    print(f"The mended run is in {mended.run}.\nNext: unconfound evaluate {mended.run}")
