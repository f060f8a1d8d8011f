"""The main job on built-in data: train three encoders, show how much each leans on the background."""

from __future__ import annotations

from dataclasses import replace

from unconfound.arguments import DemoArguments
from unconfound.data.load import DataOptions, load
from unconfound.encoders import EncoderOptions
from unconfound.evaluation.figures import Evaluation
from unconfound.evaluation.judging import Judging
from unconfound.fit_arguments import fit_arguments
from unconfound.progress import announced, console
from unconfound.recipes import read_recipe
from unconfound.report.audit import audit
from unconfound.runs import fit_run
from unconfound.training.run_folder import RunFolder

METHODS = ("random", "supervised", "simclr")


def run_demo(arguments: DemoArguments) -> list[Evaluation] | None:
    """Train the three encoders into folders of their own and audit them together.

    Returns:
        The evaluations, or None where a signal asked to stop.

    Raises:
        ValueError: a run is there already, and neither --resume nor --overwrite is given.
    """
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
