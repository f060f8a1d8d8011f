"""`unconfound demo`: train three encoders on built-in data and report how much each relies on the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt, Share
from unconfound.options.training import Precision
from unconfound.parsing import parse
from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.evaluation.figures import Evaluation

METHODS = ("random", "supervised", "simclr")


@dataclass(frozen=True, kw_only=True)
class DemoArguments(Checked):
    """Train random, supervised and simclr on digits over photographs, and report their reliance on the background."""

    out: Path = Path("runs/demo")
    """Folder for the runs, evaluation.json and report.html."""
    correlation: Share = 0.9
    """Share of the training digits that are placed on the background of their own class; 0.1 is chance."""
    epochs: PositiveInt | None = None
    """Number of passes over the training data in each training; by default that of the demo's recipes."""
    batch_size: PositiveInt | None = None
    """Number of images per update in each training; by default that of the demo's recipes."""
    encoder: str | None = None
    """Encoder of all three trainings; by default a convnet of 16 to 128 channels."""
    seed: NonNegativeInt = 0
    """Seed of the initial weights, the order of the samples and the random views."""
    device: str = "auto"
    """Device to train on: auto (the best one available), cpu, cuda, cuda:N or mps."""
    precision: Precision = "auto"
    """Numerical precision of the trainings; auto is bf16 (mixed) where the hardware gains from it, and 32 elsewhere."""
    resume: bool = False
    """Continue a demo that was stopped."""
    overwrite: bool = False
    """Remove an earlier demo in --out first."""


def demo(out: Path | str = "runs/demo", **options: Any) -> list[Evaluation] | None:
    """Train random, supervised and simclr on digits over photographs, and report their reliance on the background.

    Args:
        out: the folder of the runs, evaluation.json and report.html.
        **options: other flags of `unconfound demo`, with underscores, as in `correlation=0.1` or `epochs=3`.

    Returns:
        The figures of each encoder, or None where a signal asked to stop.

    Raises:
        ValueError: a run is there already, and neither `resume` nor `overwrite` is given.
    """
    from unconfound.commands.fit import fit
    from unconfound.data.load import DataOptions, load
    from unconfound.evaluation.judging import Judging
    from unconfound.progress import announced, console
    from unconfound.report.audit import audit
    from unconfound.training.run_folder import RunFolder

    given = DemoArguments(out=Path(out), **options)
    runs = {method: given.out / method for method in METHODS}
    for run in runs.values():
        RunFolder(run, resume=given.resume, overwrite=given.overwrite).check()
    with announced("making the demo's images"):
        dataset = load(DataOptions(data="demo", correlation=given.correlation))
    console.print(
        f"{len(dataset.train):,} training images of digits, {100 * given.correlation:.0f} % on the scene of their "
        f"own class; {len(dataset.tests['original']):,} test images"
    )
    encoders = {}
    for method, run in runs.items():
        # The options of the demo are flags of `fit`, too.
        fitted = fit(method, dataset, recipe=f"{method}/demo", **(vars(given) | {"out": run}))
        if not fitted.finished:
            return None
        encoders[method] = fitted.encoder
    return audit(encoders, dataset, out=given.out, runs=runs, judging=Judging(device=given.device))


def command(words: Sequence[str]) -> None:
    """Do what `unconfound demo` says."""
    given: DemoArguments = parse(DemoArguments, list(words), command="demo")

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.report.advice import closing_advice
    evaluations = demo(**vars(given))
    if evaluations is not None:
        print_evaluations(evaluations, given.out)
        print(f"Next: unconfound fit simclr --data path/to/images --out {given.out.parent / 'mine'}")
        for line in closing_advice(evaluations):
            print(line)
