"""`unconfound mend`: a new run whose encoder or classifier relies less on the background or a nuisance."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    from unconfound.evaluation.figures import Figure
    from unconfound.mending.mend_encoder import Mended
    from unconfound.mending.remedies import Way

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
    learning_rate: PositiveFloat | None = None
    """Peak learning rate of fine-tune; by default that of the run, as are its optimizer and batch size, or 0.001 where
    there is none."""
    pretrained: bool = False
    """Give an encoder that is named its published weights, which are downloaded unless they are cached."""
    weights: Path | None = None
    """Give an encoder that is named the weights in this .safetensors file, with the parameter names of timm or
    torchvision."""
    seed: NonNegativeInt = 0
    """Seed of the exchanges, of the training samples that are held out, of fine-tune, and of the weights of an encoder
    that is untrained."""
    overwrite: bool = False
    """Replace an earlier run in --out."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    data: DataOptions = field(default_factory=DataOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrained and self.weights is not None:
            raise ValueError(f"--pretrained and --weights {self.weights} are two ways to start: leave one of them out")


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
    return mend_given(given, dataset=data if isinstance(data, Dataset) else None, function=given_function)


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


def mend_given(
    given: MendArguments, *, dataset: Dataset | None = None, function: Callable[[Any], Any] | None = None
) -> Mended:
    """Mend an encoder as the words of the command say.

    Args:
        given: as `parsed` returns it.
        dataset: what `given.data` names, where it is in memory already.
        function: the encoder, where it is not named.
    """
    from unconfound.encoders.saved import own_reading
    from unconfound.loading import load
    from unconfound.mending.fine_tuned import FineTuning
    from unconfound.mending.mend import MendingOptions
    from unconfound.mending.mend_encoder import Mending, check_mending, mend_encoder
    from unconfound.progress import announced
    from unconfound.training.fitting import plain

    run = run_recipe(Path(given.encoder)) if function is None and in_folder(given) else None
    mending = Mending(
        encoder=given.encoder,
        function=function,
        pretrained=given.weights or given.pretrained,
        run_config=None if run is None else {"method": run.method} | run.sections,
        # Data that were handed over in Python have no words by which a command could read them again.
        data={} if dataset is not None else plain(given.data),
        ways=WAYS[given.how],
        gap=given.gap / 100,
        tuning=FineTuning(epochs=given.epochs, learning_rate=given.learning_rate) if given.how == "fine-tune" else None,
        out=folder_of(given),
        overwrite=given.overwrite,
        options=MendingOptions(
            exchanges=given.exchanges, directions=given.directions, seed=given.seed, embedding=given.embedding
        ),
    )
    check_mending(mending)
    if dataset is None:
        with announced(f"reading {given.data.data}"):
            dataset = load(given.data, restore=None if run is None else own_reading(given.encoder))
    return mend_encoder(mending, dataset)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound mend` says."""
    # Mistakes first: they need no torch.
    given = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))

    from unconfound.progress import announced, console

    with announced("loading torch"):
        from unconfound.evaluation import evaluation_table, terminal_table
        from unconfound.mending.mend import gap_of, recognised
    from unconfound.terminal import print_table

    mended = mend_given(given)
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
