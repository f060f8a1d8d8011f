"""`unconfound mend`: a new run whose encoder or classifier relies less on the background or a nuisance."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from unconfound.commands.evaluate import EvaluateArguments, check_split, run_recipe
from unconfound.options.constraints import Checked, NonNegativeInt, PositiveFloat, PositiveInt, within
from unconfound.options.data import DataOptions
from unconfound.options.embedding import EmbeddingOptions
from unconfound.outputs import entries
from unconfound.parsing import parse
from unconfound.recipes import flags_of

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.data import Dataset
    from unconfound.evaluation.figures import Evaluation, Figure
    from unconfound.mending.mend import Comparison, MendingOptions
    from unconfound.mending.remedies import Way
    from unconfound.mending.subject import Subject

How = Literal["all", "refit", "erase", "leace", "nap", "whitening", "fine-tune"]
# Those that change the encoder least come first.
WAYS: dict[How, tuple[Way, ...]] = {
    "all": ("refit", "leace", "nap", "whitening"),
    "refit": ("refit",),
    "erase": ("leace", "nap", "whitening"),
    "leace": ("leace",),
    "nap": ("nap",),
    "whitening": ("whitening",),
    # Starts from the classifier of refit.
    "fine-tune": ("refit",),
}


@dataclass(frozen=True, kw_only=True)
class MendArguments(Checked):
    """Make a new run that relies less on the background, from a run or another encoder and images with masks; or on a
    nuisance, from tables, texts or recordings."""

    encoder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENCODER")]
    """Encoder to mend, which is left as it is: a run folder, an .onnx file, or the name of an encoder such as resnet18
    or any timm model, which needs --data."""
    how: How = "all"
    """Way to mend: refit (a new classifier, fitted on exchanged backgrounds or nuisances); leace, nap or whitening (a
    linear map of the embeddings that takes these out, and a new classifier); erase (these three); all (these four); or
    fine-tune (the encoder and a refitted classifier are trained on exchanged backgrounds or nuisances)."""
    gap: Annotated[float, within(0, 100)] = 5.0
    """Gap in points, between the accuracies on mixed-same and mixed-rand, that is good enough; of several ways, the one
    that changes least and reaches it on held-out training samples is kept."""
    out: Path | None = None
    """Folder of the new run; by default that of the run with -mended added to its name, or runs/NAME-mended."""
    exchanges: PositiveInt = 2
    """Number of other backgrounds or nuisances that each training sample gets, before anything is fitted to its
    embeddings."""
    directions: PositiveInt | None = None
    """Number of directions that nap removes and whitening keeps; by default a quarter of the width of the embedding."""
    epochs: PositiveInt = 5
    """Number of epochs of fine-tune."""
    learning_rate: PositiveFloat = 1e-3
    """Peak learning rate of fine-tune."""
    pretrained: bool = False
    """Give an encoder that is named its published weights, which are downloaded unless they are cached."""
    weights: Path | None = None
    """Give an encoder that is named the weights in this .safetensors file, with the parameter names of timm or
    torchvision."""
    seed: NonNegativeInt = 0
    """Seed of the exchanges, of the training samples that are held out, and of fine-tune."""
    overwrite: bool = False
    """Replace an earlier run in --out."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    data: DataOptions = field(default_factory=DataOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrained and self.weights is not None:
            raise ValueError(f"--pretrained and --weights {self.weights} are two ways to start: leave one of them out")


@dataclass(frozen=True)
class Mended:
    """What `mend` did.

    Args:
        run: the new folder: a run, or a remedy (`load_remedy`) where the encoder is a function or an ONNX file.
        way: whose encoder and classifier it holds.
        reached: whether the gap of held-out training samples is at most the one that was asked for, with no fewer
            recognised with random backgrounds or nuisances than before.
        before: figures of the encoder as it was, on the test sets.
        after: figures on the test sets, by way.
        mask_note: how far estimated masks can be relied on; empty where they were given.
        nuisance: what was exchanged, as in "the column sex"; empty where that is the background.
        rebuilt: whether the folder is a run.
    """

    run: Path
    way: Way
    reached: bool
    before: Evaluation
    after: dict[Way, Evaluation]
    mask_note: str = ""
    nuisance: str = ""
    rebuilt: bool = True


def mend(
    encoder: Path | str | Callable[[Any], Any],
    data: Dataset | Path | str | None = None,
    *,
    how: How = "all",
    gap: float = 5.0,
    out: Path | str | None = None,
    **options: Any,
) -> Mended:
    """Make a new run that relies less on the background of images or on a nuisance of other data.

    Args:
        encoder: a run folder, an .onnx file, the name of an encoder, or a module or function that turns a batch of
            inputs into embeddings.
        data: by default that of the run; another folder, file or name; or a data set in memory.
        how: a way, or several to choose from.
        gap: the gap in points that is good enough.
        out: the new folder; by default that of the run with -mended added, or runs/NAME-mended.
        **options: other flags of `unconfound mend`, with underscores, as in `exchanges=8` or `masks="path/to/masks"`.

    Returns:
        The new run, and the figures before and after.

    Raises:
        ValueError, FileNotFoundError: any mistake in the options or the data, such as images without masks.
    """
    from unconfound.data import Dataset

    named = {} if data is None or isinstance(data, Dataset) else {"data": str(data)}
    said = {"how": how, "gap": gap, "out": None if out is None else str(out)}
    given_function = encoder if callable(encoder) else None
    name = getattr(encoder, "__name__", type(encoder).__name__) if given_function else str(encoder)
    words = [name, *flags_of(said | options | named)]
    given = parsed(words, stated=data is not None, function=given_function is not None)
    return mend_encoder(given, dataset=data if isinstance(data, Dataset) else None, function=given_function)


def parsed(words: Sequence[str], *, stated: bool, function: bool = False) -> MendArguments:
    """Parse the words of the command, with the data of a run as defaults.

    Args:
        words: the encoder and flags.
        stated: the user says which data to use.
        function: the encoder is not read by its name.

    Raises:
        ValueError, FileNotFoundError: no run folder, a mistake in the words, or an output folder in use.
    """
    given: MendArguments = parse(MendArguments, list(words), command="mend")
    if not function and in_folder(given):
        recipe = run_recipe(Path(given.encoder))
        given = parse(MendArguments, list(words), command="mend", recipe=recipe, sections=("data",))
        check_split(EvaluateArguments(runs=(Path(given.encoder),), data=given.data), recipe, stated=stated)
        if given.pretrained or given.weights is not None:
            raise ValueError(f"{given.encoder} is a run, which has weights: leave --pretrained and --weights out")
    elif given.encoder.endswith(".safetensors"):
        raise ValueError(
            f"{given.encoder} holds weights and no network: give the folder of the run, or the name of the network and "
            f"--weights {given.encoder}"
        )
    elif not stated:
        raise ValueError(
            f"{given.encoder} is no run folder, which says what it was trained on: give a run folder, or --data for "
            "the name of an encoder or an .onnx file"
        )
    out = folder_of(given)
    if out.resolve() == Path(given.encoder).resolve():
        raise ValueError(f"--out {out} is the run that is to be mended: choose another --out")
    if entries(out) and not given.overwrite:
        raise ValueError(f"--out {out} holds something already: choose another --out, or give --overwrite")
    return given


def in_folder(given: MendArguments) -> bool:
    """Return whether the encoder is that of a folder, and not an .onnx file or a name."""
    return Path(given.encoder).is_dir()


def folder_of(given: MendArguments) -> Path:
    """Return where the new run goes."""
    if given.out is not None:
        return given.out
    source = Path(given.encoder)
    if not in_folder(given):
        return Path("runs", f"{source.stem}-mended")
    # The folder "." has no name to add to.
    return (source if source.name else source.resolve()).with_name(f"{source.resolve().name}-mended")


def mend_encoder(
    given: MendArguments, *, dataset: Dataset | None = None, function: Callable[[Any], Any] | None = None
) -> Mended:
    """Mend an encoder.

    Args:
        given: as `parsed` returns it.
        dataset: what `given.data` names, where it is in memory already.
        function: the encoder, where it is not named.
    """
    from unconfound.encoders import read_card
    from unconfound.loading import load
    from unconfound.mending.mend import MendingOptions, compare_ways
    from unconfound.mending.mended_run import write_mended
    from unconfound.mending.saved_remedy import check_remedy_folder
    from unconfound.mending.subject import subject_of
    from unconfound.progress import Bars
    from unconfound.training.fitting import plain
    from unconfound.training.run_folder import RunFolder

    if function is not None or given.encoder.endswith(".onnx"):
        if given.how == "fine-tune":
            raise ValueError(
                f"{given.encoder} cannot be trained: fine-tune takes a run folder or the name of an encoder"
            )
        check_remedy_folder(folder_of(given), overwrite=given.overwrite)
    else:
        RunFolder(folder_of(given), overwrite=given.overwrite).check()
    if function is None and in_folder(given):
        read_card(given.encoder)  # its mistakes before those of the data
    options = MendingOptions(
        exchanges=given.exchanges, directions=given.directions, seed=given.seed, embedding=given.embedding
    )
    with Bars(first=f"reading {given.data.data}") as progress:
        # Data that were handed over in Python have no words by which a command could read them again.
        said = {} if dataset is not None else {"data": plain(given.data)}
        dataset = dataset or load(given.data)
        subject = subject_of(
            given.encoder,
            dataset,
            function=function,
            pretrained=given.weights or given.pretrained,
            config={} if function is not None else _config(given, said),
        )
        comparison = compare_ways(
            subject.encoder, subject.classifier, dataset, WAYS[given.how], options=options, progress=progress
        )
    if given.how == "fine-tune":
        way = _fine_tuned(given, subject, comparison, dataset, options)
        reached = comparison.reaches(way, given.gap / 100)
    else:
        way, reached = comparison.cheapest(given.gap / 100)
        write_mended(
            subject,
            comparison.remedies[way],
            out=folder_of(given),
            how={"way": way} | _words(options),
            classes=dataset.train.schema.classes,
            overwrite=given.overwrite,
        )
    return Mended(
        folder_of(given),
        way,
        reached,
        comparison.before.tested,
        {each: measured.tested for each, measured in comparison.after.items()},
        mask_note=dataset.mask_note,
        nuisance="" if dataset.train.nuisance is None else dataset.train.nuisance.words,
        rebuilt=subject.origin is not None,
    )


def _config(given: MendArguments, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the config.toml of the mended run says: what that of the run does, or the name of the encoder."""
    if in_folder(given):
        recipe = run_recipe(Path(given.encoder))
        return {"method": recipe.method} | recipe.sections | data
    encoder: dict[str, Any] = {"encoder": given.encoder}
    if given.pretrained or given.weights is not None:
        encoder |= {"pretrained": True} if given.weights is None else {"weights": str(given.weights)}
    return {"method": "random"} | data | {"encoder": encoder}


def _fine_tuned(
    given: MendArguments, subject: Subject, comparison: Comparison, dataset: Dataset, options: MendingOptions
) -> Way:
    """Train on from the refitted classifier, and add what that comes to."""
    from unconfound.mending.fine_tuned import FineTuning, fine_tune
    from unconfound.mending.mend import measure
    from unconfound.progress import console
    from unconfound.training.stop import TrainingStopped

    tuning = FineTuning(epochs=given.epochs, learning_rate=given.learning_rate)
    try:
        fitted = fine_tune(
            subject,
            comparison.remedies["refit"].classifier,
            dataset,
            tuning,
            out=folder_of(given),
            how={"way": "fine-tune"} | _words(options) | asdict(tuning),
            options=options,
            overwrite=given.overwrite,
        )
    except TrainingStopped:
        console.print(f"{folder_of(given)} holds no encoder yet: mend starts anew with --overwrite")
        raise
    assert fitted.classifier is not None
    comparison.after["fine-tune"] = measure("fine-tune", fitted.encoder, fitted.classifier, dataset, options=options)
    return "fine-tune"


def _words(options: MendingOptions) -> dict[str, Any]:
    return {key: value for key, value in asdict(options).items() if key != "embedding" and value is not None}


def command(words: Sequence[str]) -> None:
    """Do what `unconfound mend` says."""
    # Mistakes first: they need no torch.
    given = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))

    from unconfound.progress import announced, console

    with announced("loading torch"):
        from unconfound.evaluation import evaluation_table, terminal_table
        from unconfound.mending.mend import gap_of, recognised
    from unconfound.terminal import print_table

    mended = mend_encoder(given)
    if mended.mask_note:
        console.print(mended.mask_note)
    named = mended.rebuilt and not in_folder(given)
    if named and not given.pretrained and given.weights is None:
        console.print(f"{given.encoder} is untrained: --pretrained or --weights FILE gives it trained weights")
    print_table(terminal_table(evaluation_table([mended.before, *mended.after.values()]), name_width=12))
    before, after = mended.before, mended.after[mended.way]
    samples, where = (
        ("samples", f"with {mended.nuisance} of random classes")
        if mended.nuisance
        else ("images", "on random backgrounds")
    )
    said = "reaches" if mended.reached else f"recognises most {where}, but no way reaches"
    if mended.way == "fine-tune" and not mended.reached:
        said = "does not reach"
    print(f"On held-out training {samples} {mended.way} {said} a gap of {given.gap:g} points.")
    print(f"On the test sets the gap is {_percent(gap_of(after))} points, before {_percent(gap_of(before))}.")
    print(f"It recognises {_percent(recognised(after))} % {where}, before {_percent(recognised(before))} %.")
    whole, once = (recognised(each, "original") for each in (after, before))
    print(f"Of the {samples} as they are it recognises {_percent(whole)} %, before {_percent(once)} %.")
    if whole.value < once.value and recognised(after).value < recognised(before).value:
        print(f"So it recognises fewer of both: rather keep {given.encoder} as it is.")
    if not mended.rebuilt:
        print(f"The classifier, and the map if there is one, are in {mended.run}. To apply them to embeddings:")
        print(
            f"unconfound.load_remedy({str(mended.run)!r}).logits(embeddings), or .of(embeddings) for mended embeddings"
        )
        return
    print(f"The mended run is in {mended.run}.\nNext: {shlex.join(['unconfound', 'evaluate', str(mended.run)])}")
    if not mended.reached and mended.way != "fine-tune":
        print(f"To train on: {shlex.join(['unconfound', 'mend', *_to_fine_tune(words, mended.run)])}")


def _to_fine_tune(words: Sequence[str], run: Path) -> list[str]:
    """Return the words of a command with another way and folder; what they say of the data is needed again."""
    replaced = ("--how", "--out")
    kept = [
        word
        for before, word in zip(("", *words), words, strict=False)
        if before not in replaced and word.split("=")[0] not in (*replaced, "--overwrite")
    ]
    return [*kept, "--how", "fine-tune", "--out", f"{run}-fine-tuned"]


def _percent(figure: Figure) -> str:
    return f"{100 * figure.value:.1f}"
