"""What can be done about what an evaluation found, by what the user has: masks, a nuisance, groups, a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unconfound.data import Dataset
from unconfound.data.compose.swaps import in_memory
from unconfound.encoders import read_card
from unconfound.evaluation.figures import Evaluation, primary_of
from unconfound.options.data_sets import NAMED
from unconfound.recipes import read_recipe

# The option that names a nuisance of each kind of data, and its flag.
NUISANCES = {
    "tables": ("nuisance", "--nuisance COLUMN"),
    "text": ("nuisance_words", "--nuisance-words FILE"),
    "series": ("nuisance_snr", "--nuisance-snr LOWEST HIGHEST"),
}


@dataclass(frozen=True)
class Commands:
    """What a user types next for an encoder that has no run folder.

    Args:
        mend: what mends it; empty where nothing can.
        fine_tune: what trains it on; empty where it cannot be trained.
        measure: what measures its reliance on the background, in a sentence that ends with the command.
    """

    mend: str = "unconfound.mend(encoder, dataset)"
    fine_tune: str = ""
    measure: str = (
        "To measure the reliance on the background without masks of your own: unconfound.load(path, masks='estimate')"
    )


def advice_on(
    evaluation: Evaluation, dataset: Dataset, run: Path | None, *, commands: Commands | None = None
) -> tuple[str, ...]:
    """Say how an encoder comes to rely less on the background or nuisance, each way with its command.

    Nothing is said of an encoder whose gap may be zero by its 95 % interval, but for a group that is recognised less
    than the others.

    Args:
        evaluation: its figures.
        dataset: what it was evaluated on.
        run: its folder; None of an encoder that has none.
        commands: for an encoder without a run folder; by default those of Python.
    """
    commands = commands or Commands()
    if dataset.train.schema.modality == "images" and dataset.tests and not evaluation.background:
        return _to_measure(dataset, run, commands)
    gap = evaluation.gap
    if gap is not None and gap.low > 0:
        price = _price(evaluation)
        if run is None and not commands.mend:
            return price
        mended = (
            f"To lower the gap of {100 * gap.value:.1f} points: {_mend(dataset, run, commands, fine_tune=bool(price))}"
        )
        return (*price, mended, *_to_train(dataset, run))
    return _on_groups(evaluation, dataset)


def closing_advice(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return what is said of the encoder with the largest gap, or else of the first that something is."""
    return next((each.advice for each in largest_gap_first(evaluations) if each.advice), ())


def largest_gap_first(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Sort by the gap; those without one come last."""
    return sorted(evaluations, key=lambda each: -(each.gap.value if each.gap else -1.0))


def _price(evaluation: Evaluation) -> tuple[str, ...]:
    """Say so where a classifier without the background or nuisance loses more on samples as they are than it gains.

    Such a classifier is the probe of exchanged samples. A loss within the error of the figure is none.
    """
    own = "classifier" if "background_gap_classifier" in evaluation.background else "linear_probe"
    figures = [
        evaluation.tests.get(test, {}).get(predictor)
        for predictor in (own, "exchanged_probe")
        for test in ("original", "mixed-rand")
    ]
    if None in figures:
        return ()
    original, random, exchanged, exchanged_random = (figure for figure in figures if figure is not None)
    lost, gained = original.value - exchanged.value, exchanged_random.value - random.value
    if lost <= max(gained, original.value - original.low):
        return ()
    return (
        "A new classifier alone costs more than it gains here. One that was fitted on exchanged samples recognises "
        f"{100 * exchanged.value:.1f} % of original (now {100 * original.value:.1f} %) and "
        f"{100 * exchanged_random.value:.1f} % of mixed-rand (now {100 * random.value:.1f} %). If what is exchanged "
        "belongs to the class, leave the encoder as it is. If it does not, train the encoder on exchanged samples",
    )


def _mend(dataset: Dataset, run: Path | None, commands: Commands, *, fine_tune: bool) -> str:
    if run is None:
        given = commands.fine_tune if fine_tune and commands.fine_tune else commands.mend
        return given if exchangeable(dataset) else f"{given} with masks"
    mended = read_card(run).provenance.get("mended", {})
    before = mended.get("from")
    words = ["unconfound", "mend", str(run)]
    # What was mended and still has a gap needs more than what was done to it.
    if before is not None and mended.get("way") != "fine-tune" and (Path(before) / "config.toml").is_file():
        words = ["unconfound", "mend", before, "--how", "fine-tune", "--out", f"{before}-fine-tuned"]
    elif fine_tune:
        words += ["--how", "fine-tune"]
    return shlex.join([*words, *_exchanging(dataset, run)])


def _to_train(dataset: Dataset, run: Path | None) -> tuple[str, ...]:
    """Say how the same training goes without the background or nuisance, if its data can be read again."""
    if run is None or not exchangeable(dataset) or not _data(run):
        return ()
    provenance = read_card(run).provenance
    # One that draws foregrounds on other backgrounds has exchanged them already.
    exchanged = provenance.get("training", {}).get("exchange") or provenance.get("method") == "foreground-autoencoder"
    if "mended" in provenance or not provenance.get("trained") or exchanged:
        return ()
    words = ["unconfound", "fit", "--recipe", str(run / "config.toml"), "--exchange", "1", "--out", f"{run}-exchanged"]
    nuisance = dataset.train.nuisance
    how = "on exchanged backgrounds" if nuisance is None else f"with {nuisance.words} exchanged"
    return (f"To train it anew {how}: {shlex.join([*words, *_exchanging(dataset, run)])}",)


def _exchanging(dataset: Dataset, run: Path) -> list[str]:
    """Return the flag that gives masks to the training images or names a nuisance, where the run has none."""
    if not exchangeable(dataset):
        return ["--masks", "estimate"]
    used = _data(run)
    if dataset.train.nuisance is not None:
        option, flag = NUISANCES.get(dataset.train.schema.modality, ("", ""))
        return flag.split() if used and not used.get(option) else []
    lacking = used and used.get("masks") is None and used.get("data") not in NAMED
    return ["--masks", "FOLDER"] if lacking else []


def exchangeable(dataset: Dataset) -> bool:
    """Return whether the training samples have masks or a nuisance."""
    masked = dataset.labelled is not None and in_memory(dataset.labelled) is not None
    return masked or dataset.train.nuisance is not None


def _data(run: Path) -> dict[str, Any]:
    """Return what a run says of its data; nothing where they were handed over in Python."""
    config = run / "config.toml"
    return read_recipe(str(config)).sections.get("data", {}) if config.is_file() else {}


def _to_measure(dataset: Dataset, run: Path | None, commands: Commands) -> tuple[str, ...]:
    if dataset.mask_note and not exchangeable(dataset):
        return ("To measure the reliance on the background, give --masks FOLDER, as the estimated masks are useless",)
    if run is None:
        return (commands.measure,)
    words = shlex.join(["unconfound", "evaluate", str(run), "--masks", "estimate"])
    return (f"To measure the reliance on the background without masks of your own: {words}",)


def _on_groups(evaluation: Evaluation, dataset: Dataset) -> tuple[str, ...]:
    if not dataset.tests:
        return ()
    figures = evaluation.tests.get(primary_of(dataset.tests), {})
    for accuracy, worst in (("classifier", "worst_group_classifier"), ("linear_probe", "worst_group")):
        if accuracy in figures and worst in figures:
            if figures[worst].high >= figures[accuracy].low:
                return ()
            return (
                f"To raise the accuracy of the worst group, {100 * figures[worst].value:.1f} %, train with dfr or "
                "group-dro, which know the groups, with afr or jtt, which do not, or on exchanged backgrounds with "
                "--balance classes (docs/robust.md)",
            )
    return ()
