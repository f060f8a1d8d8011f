"""`unconfound demo`: train encoders on built-in data, mend them, and report how much each relies on the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt, Share
from unconfound.options.training import Precision
from unconfound.parsing import parse
from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.evaluation.figures import Evaluation


class Trained(NamedTuple):
    """An encoder of the demo: the method whose recipe METHOD/demo trains it, and what differs from that recipe."""

    method: str
    options: dict[str, Any]


# By the names that tables and pictures use; in so few epochs that all is done in three minutes. "mended" is
# "supervised" that is trained on.
TRAININGS = {
    "random": Trained("random", {}),
    "simclr": Trained("simclr", {"epochs": 2}),
    "label-free": Trained("foreground-autoencoder", {"epochs": 7}),
    "supervised": Trained("supervised", {"epochs": 5}),
}
MENDED, FROM, MENDING_EPOCHS = "mended", "supervised", 5


@dataclass(frozen=True, kw_only=True)
class DemoArguments(Checked):
    """Train encoders of digits over photographs as usual, take the background out, with labels and without, and report
    how much each relies on it."""

    out: Path = Path("runs/demo")
    """Folder for the runs, evaluation.json and report.html."""
    correlation: Share = 0.9
    """Share of the training digits that are placed on the background of their own class; 0.1 is chance."""
    epochs: PositiveInt | None = None
    """Number of passes over the training data in each training; by default 2 to 7, so that all takes a few minutes."""
    batch_size: PositiveInt | None = None
    """Number of images per update in each training; by default that of the demo's recipes."""
    encoder: str | None = None
    """Encoder of all trainings; by default a convnet of 16 to 128 channels."""
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


def demo(out: Path | str = "runs/demo", **options: Any) -> list[Evaluation]:
    """Train encoders of digits over photographs, take the background out, and report how much each relies on it.

    "random" is not trained, "simclr" and "supervised" are trained as usual. "label-free" is trained by
    `foreground-autoencoder`, which needs no labels, and "mended" is "supervised", trained on with exchanged
    backgrounds.

    Args:
        out: the folder of the runs, evaluation.json and report.html.
        **options: other flags of `unconfound demo`, with underscores, as in `correlation=0.1` or `epochs=3`.

    Returns:
        The figures of each encoder.

    Raises:
        ValueError: a run is there already, and neither `resume` nor `overwrite` is given.
        TrainingStopped: Ctrl-C or SIGTERM asked to stop; `resume` goes on.
    """
    from unconfound.commands.fit import fit
    from unconfound.commands.mend import mend
    from unconfound.data.load import DataOptions, load_dataset
    from unconfound.encoders import load_encoder
    from unconfound.evaluation.judging import Judging
    from unconfound.progress import announced, console
    from unconfound.report.audit import audit_encoders
    from unconfound.training.run_folder import RunFolder

    given = DemoArguments(out=Path(out), **options)
    runs = {name: given.out / name for name in (*TRAININGS, MENDED)}
    for run in runs.values():
        RunFolder(run, resume=given.resume, overwrite=given.overwrite).check()
    with announced("making the demo's images"):
        dataset = load_dataset(DataOptions(data="demo", correlation=given.correlation))
    console.print(
        f"{len(dataset.train):,} training images of digits, {100 * given.correlation:.0f} % on the scene of their "
        f"own class; {len(dataset.tests['original']):,} test images"
    )
    # The other options of the demo are flags of `fit`, too.
    stated = {key: value for key, value in vars(given).items() if value is not None}
    for name, (method, own) in TRAININGS.items():
        fit(method, dataset, recipe=f"{method}/demo", **(vars(given) | own | stated | {"out": runs[name]}))
    if not (runs[MENDED] / "encoder.json").is_file() or given.overwrite:
        mend(
            runs[FROM],
            dataset,
            how="fine-tune",
            out=runs[MENDED],
            epochs=given.epochs or MENDING_EPOCHS,
            seed=given.seed,
            device=given.device,
            overwrite=True,
        )
    encoders = {name: load_encoder(run) for name, run in runs.items()}
    return audit_encoders(encoders, dataset, out=given.out, runs=runs, judging=Judging(device=given.device))


def command(words: Sequence[str]) -> None:
    """Do what `unconfound demo` says."""
    given: DemoArguments = parse(DemoArguments, list(words), command="demo")

    from unconfound.progress import announced

    with announced("loading torch"):
        import unconfound.report.audit  # noqa: F401
    evaluations = demo(**vars(given))
    print_evaluations(evaluations, given.out)
    mine = given.out.parent / "mine"
    print(f"Next: unconfound fit supervised --data path/to/images --masks estimate --exchange 1 --out {mine}")
