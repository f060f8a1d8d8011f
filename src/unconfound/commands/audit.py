"""`unconfound audit`: measure encoders that one already has, or embeddings alone, without training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from unconfound.asked_encoders import (
    Asked,
    by_name,
    check_published,
    check_word,
    encoder_of,
    is_embeddings,
    is_named,
    is_run,
    trained_size,
)
from unconfound.commands.evaluate import EvaluateArguments, check_split, encoding_of, run_recipe
from unconfound.options.constraints import Checked, NonNegativeInt, PositiveInt
from unconfound.options.data import DataOptions
from unconfound.options.embedding import EmbeddingOptions
from unconfound.parsing import parse
from unconfound.recipes import flags_of
from unconfound.terminal import print_evaluations

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.data import Dataset
    from unconfound.evaluation.embedding_files import EmbeddingFile
    from unconfound.evaluation.figures import Evaluation
    from unconfound.evaluation.judging import Judging
    from unconfound.report.advice import Commands


@dataclass(frozen=True, kw_only=True)
class AuditArguments(Checked):
    """Measure how much encoders rely on the background, without training: published models, runs, files of others, or
    embeddings alone."""

    encoders: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="ENCODER [ENCODER ...]")] = ()
    """What to measure, side by side: the name of an encoder such as resnet50 or any timm model, a run folder, a model
    folder of the Hugging Face hub (config.json and model.safetensors), an .onnx file, or a file of embeddings (.npy,
    .npz or .parquet)."""
    out: Path | None = None
    """Folder for evaluation.json and report.html; by default runs/NAME-audit, or runs/audit for several encoders."""
    pretrained: bool = True
    """Give an encoder that is named its published weights, which are downloaded unless they are cached."""
    weights: Path | None = None
    """Give an encoder that is named the weights in this .safetensors file, with the parameter names of timm or
    torchvision."""
    names: Path | None = None
    """Text file with the name of the sample of each row, one a line, for a file of embeddings that has no names."""
    write_images: Path | None = None
    """Write the images of all sets to this folder instead of measuring encoders, those on other backgrounds too, so
    that an encoder that runs elsewhere can embed them."""
    neighbours: PositiveInt = 5
    """Number of training samples that vote in the nearest-neighbour classifier."""
    seed: NonNegativeInt = 0
    """Seed of the validation split of the linear probe, of the folds of its cross-validation, of the training samples
    on other backgrounds, and of the weights of an encoder that is untrained."""
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    data: DataOptions = field(default_factory=DataOptions)

    def __post_init__(self) -> None:
        super().__post_init__()
        named = sum(map(is_named, self.encoders))
        if self.weights is not None and named != 1:
            raise ValueError(f"--weights {self.weights} is for one encoder that is named, here are {named}")
        if self.write_images is not None and self.encoders:
            raise ValueError(f"--write-images {self.write_images} measures nothing: leave {self.encoders[0]} out")


def audit(
    encoders: Any,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    runs: Mapping[str, Path] | None = None,
    judging: Judging | None = None,
    **options: Any,
) -> list[Evaluation]:
    """Measure encoders side by side, and write evaluation.json and report.html.

    Args:
        encoders: one, or several in a list, as `unconfound audit` takes them; or by the names that tables and pictures
            use. Beside words and paths, each may be a module or a function that turns a batch of the data's inputs
            (uint8 images, rows, graphs or sequences) into [batch, features].
        data: a folder, a file, a name, or a data set in memory; by default that of the first run, or what a file of
            embeddings says itself. Labelled; evaluated by cross-validation if it has no test set. With masks or
            composed, reliance on background is measured; with a nuisance, that on the nuisance.
        out: the folder of evaluation.json and report.html; by default runs/NAME-audit, or runs/audit for several.
        runs: the run folders of functions that have one: their training curves and settings are shown, and the
            classifiers that were trained with them are evaluated.
        judging: neighbours, seed, batch size, device and precision, in place of options of these names.
        **options: other flags of `unconfound audit`, with underscores, as in `pretrained=False` or `masks="masks"`.

    Returns:
        The figures of each encoder.

    Raises:
        TypeError: something that is no encoder, such as an array; or options of data that are in memory.
        ValueError, FileNotFoundError: any mistake in the options or the data, or samples that a run was trained on.
    """
    from unconfound.data import Dataset

    asked = by_name(encoders)
    in_memory = data if isinstance(data, Dataset) else None
    if in_memory is not None and (of_data := options.keys() & {each.name for each in fields(DataOptions)}):
        raise TypeError(f"{', '.join(sorted(of_data))}: options of the data go into unconfound.load(...)")
    said = {"out": None if out is None else str(out)} | options
    if data is not None and in_memory is None:
        said["data"] = str(data)
    given, stated = parsed([*filter(_is_word, asked.values()), *flags_of(said)], asked, stated=data is not None)
    return audit_asked(given, asked, stated=stated, dataset=in_memory, runs=runs, judging=judging)


def _is_word(encoder: Asked) -> bool:
    return isinstance(encoder, str)


def parsed(
    words: Sequence[Any], asked: Mapping[str, Asked] | None = None, *, stated: bool
) -> tuple[AuditArguments, bool]:
    """Parse the words of the command, with the data of the first run as defaults.

    Args:
        words: encoders and flags.
        asked: the encoders by name, where some of them may be functions.
        stated: the user says which data to use.

    Returns:
        What is given, and whether there are data beside what files of embeddings say themselves.

    Raises:
        ValueError, FileNotFoundError: no encoder, no data, or a mistake in the words.
    """
    given: AuditArguments = parse(AuditArguments, list(words), command="audit")
    every: list[Asked] = list(given.encoders if asked is None else asked.values())
    if not every and given.write_images is None:
        raise ValueError(
            "audit needs an encoder: a name, as in unconfound audit resnet50 --data FOLDER, or a run, a model folder, "
            "an .onnx file or a file of embeddings"
        )
    for word in given.encoders:
        check_word(word)
    if given.names is not None and not any(map(is_embeddings, every)):
        raise ValueError(f"--names {given.names} is for a file of embeddings: leave it out")
    runs = [Path(word) for word in given.encoders if is_run(word)]
    if runs:
        given = parse(AuditArguments, list(words), command="audit", recipe=run_recipe(runs[0]), sections=("data",))
        for run in runs:
            check_split(EvaluateArguments(runs=(run,), data=given.data), run_recipe(run), stated=stated)
    elif not stated and not (every and all(map(is_embeddings, every))):
        raise ValueError("audit needs --data, with labelled samples to measure on: only a run says which it had")
    return given, stated or bool(runs)


def folder_of(given: AuditArguments, asked: Mapping[str, Asked]) -> Path:
    """Return where the figures go."""
    if given.out is not None:
        return given.out
    return Path("runs", f"{next(iter(asked)).replace('/', '_')}-audit" if len(asked) == 1 else "audit")


def audit_asked(
    given: AuditArguments,
    asked: Mapping[str, Asked],
    *,
    stated: bool,
    dataset: Dataset | None = None,
    runs: Mapping[str, Path] | None = None,
    judging: Judging | None = None,
) -> list[Evaluation]:
    """Measure encoders, or write the images that are to be embedded elsewhere.

    Args:
        given, stated: as `parsed` returns them.
        asked: the encoders by name.
        dataset: what `given.data` names, where it is in memory already.
        runs: the run folders of functions.
        judging: in place of what `given` says.
    """
    import torch

    from unconfound.evaluation.embedding_files import read_embedding_file
    from unconfound.evaluation.joined_embeddings import join_embeddings
    from unconfound.evaluation.judging import Judging
    from unconfound.evaluation.written_images import write_images
    from unconfound.progress import Bars, announced, console
    from unconfound.report.audit import audit_encoders

    own_runs = {name: Path(str(each)) for name, each in asked.items() if is_run(each)}
    # What is wrong with files of embeddings is said before the data are read.
    columns = {} if stated or given.data.metadata else {"label": given.data.label, "group": given.data.group}
    files = {
        name: read_embedding_file(Path(str(each)), names=given.names, **columns)
        for name, each in asked.items()
        if is_embeddings(each)
    }
    in_memory = dataset is not None
    if dataset is None and not stated:
        dataset, files = _of_files(given, files)
    if given.pretrained and given.weights is None:
        for each in asked.values():
            check_published(each)
    if dataset is None:
        given = _at_trained_size(given, [*asked.values()])
        dataset = _load(given, [*own_runs.values()])
    if given.write_images is not None:
        with Bars(first=f"writing images to {given.write_images}"):
            write_images(dataset, given.write_images, seed=given.seed)
        return []
    encoders: dict[str, Any] = {}
    for name, each in asked.items():
        if name not in files:
            with announced(f"loading {name}"):
                # What is untrained has the same weights whatever else is measured.
                torch.manual_seed(given.seed)
                encoders[name] = encoder_of(each, dataset, pretrained=given.weights or given.pretrained)
    if files:
        joined = join_embeddings(files, dataset)
        dataset, encoders = joined.dataset, encoders | joined.encoders
        for note in dict.fromkeys(note for each in joined.encoders.values() for note in each.notes):
            console.print(note)
    judging = judging or Judging(neighbours=given.neighbours, seed=given.seed, **vars(given.embedding))
    flags = None if in_memory or not stated else flags_of(_changed(given.data))
    return audit_encoders(
        {name: encoders[name] for name in asked},
        dataset,
        out=folder_of(given, asked),
        runs=own_runs | dict(runs or {}),
        judging=judging,
        commands={name: _commands(each, given, flags) for name, each in asked.items()},
    )


def _load(given: AuditArguments, runs: Sequence[Path]) -> Dataset:
    """Read the data, as those of the first run were."""
    from unconfound.loading import load
    from unconfound.progress import announced

    restore = encoding_of(EvaluateArguments(runs=tuple(runs), data=given.data)) if runs else None
    with announced(f"reading {given.data.data}"):
        return load(given.data, restore=restore)


def _at_trained_size(given: AuditArguments, asked: Sequence[Asked]) -> AuditArguments:
    """Read a folder of images at the size that the first encoder with published weights was trained on."""
    from unconfound.progress import console

    if given.data.image_size is not None or not Path(given.data.data).is_dir() or any(map(is_run, asked)):
        return given
    asked = [each for each in asked if not is_named(each) or given.pretrained or given.weights]
    size = next((size for each in asked if (size := trained_size(each))), None)
    if size is None:
        return given
    console.print(f"images are read at {size} x {size} pixels, for which the weights were trained (--image-size)")
    return replace(given, data=replace(given.data, image_size=size))


def _of_files(given: AuditArguments, files: Mapping[str, EmbeddingFile]) -> tuple[Dataset, dict[str, EmbeddingFile]]:
    """Make the data set of embeddings that say their labels themselves, or a table beside them does."""
    from unconfound.evaluation.dataset_of_embeddings import dataset_of_embeddings, with_table

    first, *_ = files
    if given.data.metadata is not None:
        described = with_table(files[first], given.data.metadata, label=given.data.label, group=given.data.group)
        files = {**files, first: described}
    rows = len(files[first].features)
    # Files without names are of the same samples in the same order.
    files = {
        name: replace(file, names=[str(row) for row in range(rows)])
        if file.names is None and len(file.features) == rows and files[first].names is None
        else file
        for name, file in files.items()
    }
    dataset = dataset_of_embeddings(files[first], test_share=given.data.test_share, seed=given.data.data_seed)
    return dataset, files


def _changed(data: DataOptions) -> dict[str, Any]:
    """Return the options of the data that are not at their defaults."""
    return {"data": data.data} | {
        each.name: value for each in fields(data) if (value := getattr(data, each.name)) != each.default
    }


def _commands(encoder: Asked, given: AuditArguments, flags: Sequence[str] | None) -> Commands:
    """Return what to type next for an encoder.

    Args:
        encoder: as it was asked for.
        given: the arguments.
        flags: of the data; None of data in memory, which no command can read.
    """
    from unconfound.report.advice import Commands

    if not isinstance(encoder, str):
        return Commands()
    masks = [] if given.data.masks else ["--masks", "estimate"]
    if is_embeddings(encoder):
        words = ["unconfound", "audit", "--write-images", "FOLDER", *(flags or ["--data", "DATA"]), *masks]
        how = "write the images on other backgrounds too, embed them, and audit those embeddings"
        return Commands(mend="", measure=f"To measure the reliance on the background, {how}: {shlex.join(words)}")
    if flags is None:
        return Commands(mend=f"unconfound.mend({encoder!r}, dataset)")
    weights = ["--weights", str(given.weights)] if given.weights else ["--pretrained"] if given.pretrained else []
    mend = ["unconfound", "mend", encoder, *flags, *(weights if is_named(encoder) else [])]
    words = ["unconfound", "audit", encoder, *flags, *masks]
    if is_named(encoder) and weights != ["--pretrained"]:
        words += weights or ["--no-pretrained"]
    measure = f"To measure the reliance on the background without masks of your own: {shlex.join(words)}"
    if Path(encoder).is_dir():
        return Commands(
            mend=f"unconfound.mend(load_model_folder({encoder!r}, dataset.train.schema), dataset)", measure=measure
        )
    tune = shlex.join([*mend, "--how", "fine-tune"]) if is_named(encoder) else ""
    return Commands(mend=shlex.join(mend), fine_tune=tune, measure=measure)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound audit` says."""
    # Mistakes first: they need no torch.
    given, stated = parsed(words, stated=any(word.split("=")[0] == "--data" for word in words))
    asked = by_name(list(given.encoders))

    from unconfound.progress import announced, console

    with announced("loading torch"):
        from unconfound.report.advice import closing_advice
    evaluations = audit_asked(given, asked, stated=stated)
    if given.write_images is not None:
        print(f"{given.write_images / 'images.txt'} names the images, one a line.")
        flags = shlex.join(flags_of(_changed(given.data)))
        print(
            f"Next: embed them in this order into embeddings.npy, then unconfound audit embeddings.npy {flags} "
            f"--names {shlex.quote(str(given.write_images / 'images.txt'))}"
        )
        return
    untrained = [word for word in given.encoders if is_named(word) and not given.pretrained and given.weights is None]
    for word in untrained:
        console.print(f"{word} is untrained: without --no-pretrained it gets its published weights")
    out = folder_of(given, asked)
    print_evaluations(evaluations, out)
    print(f"Next: open {out / 'report.html'}")
    for line in closing_advice(evaluations):
        print(line)
