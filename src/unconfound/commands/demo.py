"""`unconfound demo`: train three encoders on built-in data and show how much each leans on the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.arguments import DemoArguments
    from unconfound.evaluation.figures import Evaluation

METHODS = ("random", "supervised", "simclr")


def demo(out: Path | str = "runs/demo", **options: Any) -> list[Evaluation] | None:
    """Train random, supervised and simclr on digits over photographs, and measure how much each leans on the scene.

    Args:
        out: the folder of the runs, evaluation.json and report.html.
        **options: other flags of `unconfound demo`, with underscores, as in `correlation=0.1` or `epochs=3`.

    Returns:
        The figures of each encoder, or None where a signal asked to stop.

    Raises:
        ValueError: a run is there already, and neither `resume` nor `overwrite` is given.
    """
    from unconfound.arguments import DemoArguments

    return run_demo(DemoArguments(out=Path(out), **options))


def run_demo(arguments: DemoArguments) -> list[Evaluation] | None:
    """Do what `demo` does."""
    from unconfound.data.load import DataOptions, load
    from unconfound.evaluation.judging import Judging
    from unconfound.fit_arguments import fit_arguments
    from unconfound.options.encoders import EncoderOptions
    from unconfound.progress import announced, console
    from unconfound.recipes import read_recipe
    from unconfound.report.audit import audit
    from unconfound.runs import fit_run
    from unconfound.training.run_folder import RunFolder

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
        _, given = fit_arguments([], method=method, recipe=read_recipe(f"{method}/demo"))
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
    from unconfound.arguments import DemoArguments
    from unconfound.parsing import parse

    given: DemoArguments = parse(DemoArguments, list(words), command="demo")

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.report.audit  # noqa: F401
    evaluations = run_demo(given)
    if evaluations is not None:
        print_evaluations(evaluations, given.out)
        print(f"Next: unconfound fit simclr --data path/to/images --out {given.out.parent / 'mine'}")
