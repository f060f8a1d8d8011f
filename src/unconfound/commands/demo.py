"""`unconfound demo`: train three encoders on built-in data and report how much each relies on the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    from unconfound.data.load import DataOptions, load
    from unconfound.evaluation.judging import Judging
    from unconfound.fit_parsing import parse_fit
    from unconfound.options.encoders import EncoderOptions
    from unconfound.progress import announced, console
    from unconfound.recipes import read_recipe
    from unconfound.report.audit import audit
    from unconfound.runs import fit_run
    from unconfound.training.run_folder import RunFolder

    arguments = DemoArguments(out=Path(out), **options)
    out = arguments.out
    for method in METHODS:
        RunFolder(out / method, resume=arguments.resume, overwrite=arguments.overwrite).check()
    data = DataOptions(data="demo", correlation=arguments.correlation)
    with announced("making the demo's images"):
        dataset = load(data)
    console.print(
        f"{len(dataset.train):,} training images of digits, {100 * arguments.correlation:.0f} % on the scene of their "
        f"own class; {len(dataset.tests['original']):,} test images"
    )
    encoders, runs = {}, {}
    for method in METHODS:
        _, given = parse_fit([], method=method, recipe=read_recipe(f"{method}/demo"))
        training = replace(
            given.training,
            seed=arguments.seed,
            device=arguments.device,
            precision=arguments.precision,
            epochs=arguments.epochs or given.training.epochs,
            batch_size=arguments.batch_size or given.training.batch_size,
        )
        given = replace(
            given,
            out=out / method,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            data=data,
            encoder=given.encoder if arguments.encoder is None else EncoderOptions(encoder=arguments.encoder),
            training=training,
        )
        fitted = fit_run(method, given, dataset=dataset)
        if not fitted.finished:
            return None
        encoders[method], runs[method] = fitted.encoder, fitted.run
    return audit(encoders, dataset, out=out, runs=runs, judging=Judging(device=arguments.device))


def command(words: Sequence[str]) -> None:
    """Do what `unconfound demo` says."""
    given: DemoArguments = parse(DemoArguments, list(words), command="demo")

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.report.audit  # noqa: F401
    evaluations = demo(**vars(given))
    if evaluations is not None:
        print_evaluations(evaluations, given.out)
        print(f"Next: unconfound fit simclr --data path/to/images --out {given.out.parent / 'mine'}")
